//! Which snapshot moved which bucket by how much.

use common::{
    auth::Role,
    ids::{CampaignId, PaymentId, UserId},
};
use serde_json::json;
use testkit::problem_code;

use crate::helpers::{Gift, Service, campaign};

#[tokio::test(flavor = "multi_thread")]
async fn each_move_names_its_snapshot_and_they_sum_to_the_totals() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 700);
    // One after the other: those of one batch are one move.
    for payment in [gift.created(), gift.captured(2), gift.refunded(200, 3)] {
        service.publish([payment]).await;
        service.settled().await;
    }
    // A repetition and a late one move nothing.
    service.publish([gift.captured(2), gift.created()]).await;
    service.settled().await;
    let moves = service.moves(gift.campaign).await;
    let told: Vec<_> = moves
        .iter()
        .map(|one| {
            (
                one["cause"].as_str().unwrap(),
                one["version"].as_i64().unwrap(),
                one["by"].clone(),
            )
        })
        .collect();
    let by = |pledged: i64, captured: i64, refunded: i64| json!({"pledged": pledged, "authorized": 0, "captured": captured, "refunded": refunded, "disputed": 0});
    assert_eq!(
        told,
        [
            ("payment.refunded", 3, by(0, 0, 200)),
            ("payment.captured", 2, by(-700, 700, 0)),
            ("payment.created", 1, by(700, 0, 0)),
        ],
        "newest first"
    );
    let payment = PaymentId::of(gift.pledge, 1);
    assert!(moves.iter().all(|one| one["payment_id"] == json!(payment)));
    service.moves_sum_up(gift.campaign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_move_once() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let gifts: Vec<_> = (0..7).map(|_| Gift::new(id, 10)).collect();
    service
        .publish(gifts.iter().map(|gift| gift.captured(1)))
        .await;
    service.until(id, "raised", 70).await;
    let mut seen = Vec::new();
    let mut path = format!("/api/totals/{id}/explain?limit=3");
    loop {
        let page = service.read(&path).await;
        let data = page["data"].as_array().unwrap();
        seen.extend(data.iter().map(|one| one["payment_id"].to_string()));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(data.len(), 3);
        path = format!("/api/totals/{id}/explain?limit=3&cursor={next}");
    }
    assert_eq!(seen.len(), 7);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_and_the_organiser_may_ask() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let state = campaign(id, 1000, 1);
    let organiser = state.organiser_id;
    service.publish([state]).await;
    service.publish([Gift::new(id, 10).captured(1)]).await;
    service.until(id, "goal", 1000).await;
    service.until(id, "raised", 10).await;
    let path = format!("/api/totals/{id}/explain");
    let reply = service.get_as(organiser, Role::Donor, &path).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    service.read(&path).await;
    for reply in [
        service.get(&path).await,
        service.get_as(UserId::new(), Role::Donor, &path).await,
    ] {
        assert_eq!(reply.status(), 404);
        assert_eq!(problem_code(reply).await, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let admin = UserId::new();
    for (path, status, code) in [
        (format!("/api/totals/{id}/explain"), 404, "not_found"),
        ("/api/totals/one/explain".into(), 404, "not_found"),
        (
            format!("/api/totals/{id}/explain?limit=0"),
            400,
            "invalid_limit",
        ),
        (
            format!("/api/totals/{id}/explain?cursor=x"),
            400,
            "invalid_cursor",
        ),
    ] {
        let reply = service.get_as(admin, Role::Admin, &path).await;
        assert_eq!(reply.status(), status, "{path}");
        assert_eq!(problem_code(reply).await, code, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_are_added_and_never_changed() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 10);
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 10).await;
    let pool = service.database.pool();
    for change in [
        sqlx::query("update totals_moves set captured = 0"),
        sqlx::query("delete from totals_moves"),
    ] {
        let refused = change.execute(&pool).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}
