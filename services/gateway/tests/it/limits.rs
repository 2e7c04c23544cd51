//! How much one client may ask.

use std::time::Duration;

use gateway::{Config, Policies, Policy};
use http::Method;
use testkit::problem_code;

use crate::helpers::Fleet;

/// Buckets that do not refill while a test looks.
fn slow(config: &mut Config) {
    let policy = |name, burst| Policy {
        name,
        burst,
        period: Duration::from_secs(100),
    };
    config.policies = Policies {
        reads: policy("reads", 4),
        writes: policy("writes", 3),
        login: policy("login", 2),
        webhooks: policy("webhooks", 6),
    };
}

async fn allowed(fleet: &Fleet, method: Method, path: &str) -> usize {
    for count in 0..20 {
        let reply = fleet.request(method.clone(), path).send().await.unwrap();
        if reply.status() == 429 {
            return count;
        }
        assert_eq!(reply.status(), 200);
    }
    panic!("{method} {path} has no limit");
}

#[tokio::test]
async fn each_kind_of_request_has_a_bucket_of_its_own() {
    let fleet = Fleet::with(&[], slow).await;
    assert_eq!(allowed(&fleet, Method::POST, "/api/auth/login").await, 2);
    assert_eq!(
        allowed(&fleet, Method::POST, "/api/v1/auth/refresh").await,
        0,
        "the alias is the same bucket"
    );
    for alias in ["/api/users/login", "/api/users/register"] {
        let left = allowed(&fleet, Method::POST, alias).await;
        assert_eq!(left, 0, "{alias} takes a password as well");
    }
    assert_eq!(allowed(&fleet, Method::POST, "/api/pledges").await, 3);
    assert_eq!(
        allowed(&fleet, Method::POST, "/api/webhooks/psp/stripe").await,
        6
    );
    assert_eq!(allowed(&fleet, Method::GET, "/api/campaigns").await, 4);
    assert_eq!(
        fleet.seen().len(),
        2 + 3 + 6 + 4,
        "what is refused is not passed on"
    );
}

#[tokio::test]
async fn the_reply_says_what_is_left_and_when_to_come_again() {
    let fleet = Fleet::with(&[], slow).await;
    let reply = fleet.get("/api/campaigns").await;
    assert_eq!(reply.headers()["ratelimit-policy"], r#""reads";q=4;w=400"#);
    assert_eq!(reply.headers()["ratelimit"], r#""reads";r=3;t=100"#);
    assert!(
        !reply.headers().contains_key("x-ratelimit-limit")
            && !reply.headers().contains_key("x-ratelimit-remaining")
    );
    while fleet.get("/api/campaigns").await.status() != 429 {}
    let reply = fleet.get("/api/campaigns").await;
    assert_eq!(reply.headers()["ratelimit"], r#""reads";r=0;t=400"#);
    let wait: u64 = reply.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    assert_eq!(problem_code(reply).await, "rate_limited");
}

#[tokio::test]
async fn claiming_another_address_each_time_does_not_help() {
    let fleet = Fleet::with(&[], slow).await;
    let mut passed = 0;
    for last in 0..10 {
        let claim = format!("198.51.100.{last}");
        let request = fleet
            .request(Method::GET, "/api/campaigns")
            .header("x-forwarded-for", &claim);
        let request = request
            .header("x-real-ip", &claim)
            .header("forwarded", format!("for={claim}"));
        passed += usize::from(request.send().await.unwrap().status() == 200);
    }
    assert_eq!(passed, 4);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let fleet = Fleet::with(&[], |config| {
        slow(config);
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let mut passed = [0, 0];
    for round in 0..12 {
        // The second one rotates what it claims to the left of the address that the proxy saw.
        let (who, hops) = if round % 2 == 0 {
            (0, "203.0.113.1".to_owned())
        } else {
            (1, format!("8.8.8.{round}, 203.0.113.2"))
        };
        let reply = fleet
            .request(Method::GET, "/api/campaigns")
            .header("x-forwarded-for", hops)
            .send()
            .await
            .unwrap();
        passed[who] += usize::from(reply.status() == 200);
    }
    assert_eq!(passed, [4, 4]);
}

#[tokio::test]
async fn those_on_the_allow_list_are_not_counted() {
    let fleet = Fleet::with(&[], |config| {
        slow(config);
        config.unlimited = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    for _ in 0..20 {
        let reply = fleet
            .request(Method::POST, "/api/auth/login")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
        assert!(!reply.headers().contains_key("ratelimit"));
    }
}

#[test]
fn the_limits_are_those_that_are_promised() {
    let Policies {
        reads,
        writes,
        login,
        webhooks,
    } = Policies::default();
    let a_minute = |policy: Policy| Duration::from_mins(1).as_nanos() / policy.period.as_nanos();
    assert_eq!((reads.burst, a_minute(reads)), (200, 100 * 60));
    assert_eq!((writes.burst, a_minute(writes)), (100, 100));
    assert_eq!((login.burst, a_minute(login)), (5, 5));
    assert_eq!((webhooks.burst, a_minute(webhooks)), (2000, 2000 * 60));
}
