//! Which service gets which path.

use gateway::routes::{PerService, Service, route};
use http::Method;
use testkit::problem_code;

use crate::helpers::{Fleet, json_of};

const ID: &str = "0190a1b2-0000-7000-8000-000000000000";

#[tokio::test]
async fn every_path_goes_to_its_owner_unchanged() {
    let fleet = Fleet::start().await;
    let table = [
        ("/api/auth/login", "user"),
        ("/api/users/me?fields=name", "user"),
        ("/.well-known/jwks.json", "user"),
        ("/api/campaigns", "campaign"),
        ("/api/campaigns?limit=5&cursor=a%2Fb", "campaign"),
        ("/api/campaigns/{id}", "campaign"),
        ("/api/campaigns/{id}/submit", "campaign"),
        ("/api/campaigns/{id}/totals", "totals"),
        ("/api/campaigns/{id}/donations?limit=3", "totals"),
        ("/api/campaigns/totals", "campaign"),
        ("/api/pledges", "pledge"),
        ("/api/pledges/me", "pledge"),
        ("/api/pledges/{id}/cancel", "pledge"),
        ("/api/pledges/{id}/timeline", "pledge"),
        ("/api/pledges/{id}/receipt", "pledge"),
        ("/api/payments/{id}/checkout?ticket=abc", "payment"),
        ("/api/webhooks/psp/stripe", "payment"),
        ("/api/webhooks/payment", "payment"),
        ("/api/payments/webhook", "payment"),
        ("/api/totals/{id}", "totals"),
        ("/api/totals?ids={id}", "totals"),
        ("/api/totals/{id}/explain?limit=5", "totals"),
        ("/api/notifications", "notification"),
        ("/api/ws", "notification"),
        ("/api/admin/campaigns/{id}/approve", "campaign"),
        ("/api/admin/payments", "payment"),
        ("/api/admin/ledger/accounts/fees/entries", "payment"),
        ("/api/admin/exceptions/CONFLICT/evt_1/close", "payment"),
        ("/api/admin/webhooks/{id}/replay", "payment"),
        ("/api/admin/reconciliation/runs", "payment"),
        ("/api/admin/totals/drift", "totals"),
        ("/api/admin/totals/{id}/rebuild", "totals"),
        ("/api/admin/notifications", "notification"),
    ];
    for (path, owner) in table {
        let path = path.replace("{id}", ID);
        let reply = json_of(fleet.get(&path).await).await;
        assert_eq!(reply["by"], owner, "{path}");
        assert_eq!(reply["uri"], path, "{path}");
    }
}

#[tokio::test]
async fn the_versioned_alias_is_the_same_api() {
    let fleet = Fleet::start().await;
    let reply = json_of(
        fleet
            .get(&format!("/api/v1/campaigns/{ID}/totals?x=/api/v1/y"))
            .await,
    )
    .await;
    assert_eq!(reply["by"], "totals");
    assert_eq!(
        reply["uri"],
        format!("/api/campaigns/{ID}/totals?x=/api/v1/y")
    );
}

#[tokio::test]
async fn whatever_is_not_routed_does_not_exist() {
    let fleet = Fleet::start().await;
    let paths = [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/pledges",
        "/api/v1/v1/pledges",
        "/api/v1/health",
        "/api/pledgesx",
        "/api/metrics",
        "/api/readyz",
        "/api/admin",
        "/api/admin/outbox",
        "/api/ws/tickets",
        "/internal/payments",
        "/api/internal/payments",
        "/api/v1/internal/payments",
        "/API/pledges",
        "//api/pledges",
        "/x/../api/pledges",
        "/%61pi/pledges",
        "/metrics/x",
        "/readyz/",
        "/.well-known/openid-configuration",
    ];
    for path in paths {
        // reqwest tidies paths up, so this goes by hand.
        let reply = crate::raw::exchange(
            &fleet,
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
        assert!(reply.starts_with("HTTP/1.1 404"), "{path}: {reply}");
        assert!(
            reply.contains(r#""code":"not_found""#) && reply.contains(r#""trace_id":""#),
            "{path}: {reply}"
        );
    }
    assert!(fleet.seen().is_empty());
}

#[tokio::test]
async fn every_method_of_http_is_passed_on_and_no_other() {
    let fleet = Fleet::start().await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        let reply = fleet
            .request(method.clone(), "/api/pledges")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200, "{method}");
        assert_eq!(fleet.seen().last().unwrap().method, method);
    }
    for method in ["TRACE", "PROPFIND", "get"] {
        let reply = fleet
            .request(method.parse().unwrap(), "/api/pledges")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 405, "{method}");
        assert!(reply.headers().contains_key("allow"));
        assert_eq!(problem_code(reply).await, "method_not_allowed");
    }
    for (method, path) in [("POST", "/health"), ("TRACE", "/api/pledges")] {
        let request = fleet.request(method.parse().unwrap(), path);
        let problem = json_of(request.send().await.unwrap()).await;
        assert_eq!(problem["code"], "method_not_allowed");
        assert_eq!(problem["trace_id"].as_str().unwrap().len(), 32, "{problem}");
    }
    assert_eq!(fleet.seen().len(), 7);
}

#[tokio::test]
async fn a_route_of_the_gateways_own_names_its_own_methods() {
    let fleet = Fleet::start().await;
    for method in [Method::POST, Method::OPTIONS] {
        let reply = fleet.request(method, "/health").send().await.unwrap();
        assert_eq!(reply.status(), 405);
        let allowed = reply.headers()["allow"].to_str().unwrap().replace(' ', "");
        assert_eq!(allowed, "GET,HEAD");
        assert_eq!(problem_code(reply).await, "method_not_allowed");
    }
}

#[test]
fn what_looks_like_a_way_around_the_table_stays_with_its_owner() {
    let owner = |path| route(path).map(|route| route.service);
    assert_eq!(owner("/api/campaigns/%2e%2e/totals"), Some(Service::Totals));
    assert_eq!(owner("/api/campaigns/../totals"), Some(Service::Totals));
    assert_eq!(owner("/api/campaigns/a%2Ftotals"), Some(Service::Campaign));
    assert_eq!(owner("/api/campaigns//totals"), Some(Service::Totals));
    assert_eq!(owner("/api//campaigns"), None);
}

#[test]
fn values_of_services_are_found_under_their_own() {
    let names = PerService::of(Service::name);
    for service in Service::ALL {
        assert_eq!(names[service], service.name());
        assert_eq!(
            route(&format!("/api/{}s", service.name())).is_some(),
            service != Service::Totals
        );
    }
}
