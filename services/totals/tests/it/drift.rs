//! The totals are compared with the payments all the time.

use common::ids::CampaignId;
use serde_json::{Value, json};
use testkit::eventually;

use crate::{
    helpers::{Gift, Service, quick},
    payment::Payments,
};

const DRIFT: &str = "/api/admin/totals/drift";

async fn beside(payments: &Payments) -> Service {
    Service::start_beside(&payments.url, testkit::cache(), quick(testkit::kafka())).await
}

/// Has gifts captured and counted.
async fn given(service: &Service, payments: &Payments, campaign: CampaignId) -> Vec<Gift> {
    let gifts: Vec<_> = (0..4).map(|_| Gift::new(campaign, 10)).collect();
    payments.keep(gifts.iter().map(|gift| gift.captured(2)));
    service
        .publish(gifts.iter().map(|gift| gift.captured(2)))
        .await;
    service.until(campaign, "raised", 40).await;
    gifts
}

/// Waits for three more passes, so that everything was looked at twice, and gives what was found.
async fn looked_twice(service: &Service) -> Value {
    let before = service.read(DRIFT).await["passes"].as_u64().unwrap();
    eventually("everything was compared", async || {
        let found = service.read(DRIFT).await;
        (found["passes"].as_u64().unwrap() >= before + 3).then_some(found)
    })
    .await
}

async fn metric(service: &Service, line: &str) -> bool {
    let metrics = service.get("/metrics").await.text().await.unwrap();
    metrics.lines().any(|other| other == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_that_are_right_do_not_drift() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    given(&service, &payments, CampaignId::new()).await;
    let found = looked_twice(&service).await;
    assert_eq!(
        (&found["payments"], &found["campaigns"]),
        (&json!(0), &json!([]))
    );
    assert!(found["as_of"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_changed_behind_its_back_is_found_and_a_rebuild_mends_it() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    let gifts = given(&service, &payments, id).await;
    let payment = common::ids::PaymentId::of(gifts[0].pledge, 1);
    sqlx::query("update payment_watermarks set captured = captured + 1 where payment_id = $1")
        .bind(payment.get())
        .execute(&service.database.pool())
        .await
        .unwrap();
    let found = eventually("it is found", async || {
        let found = service.read(DRIFT).await;
        let both = found["payments"] == 1 && !found["campaigns"][0]["row"].is_null();
        both.then_some(found)
    })
    .await;
    let one = &found["campaigns"][0];
    assert_eq!(one["campaign_id"], json!(id));
    let drift = json!([{
        "payment_id": payment, "campaign_id": id, "difference": "amounts", "version": 2, "applied": 2,
    }]);
    assert_eq!(one["payments"], drift);
    assert_eq!(
        (
            &one["row"]["shown"]["captured"],
            &one["row"]["summed"]["captured"]
        ),
        (&json!(40), &json!(41))
    );
    let reply = service
        .command(
            "/api/admin/totals/rebuild",
            &uuid::Uuid::new_v4().to_string(),
        )
        .await;
    assert_eq!(reply.status(), 202);
    eventually("nothing differs any more", async || {
        let found = service.read(DRIFT).await;
        (found["payments"] == 0 && found["campaigns"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_behind_its_back_is_found() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    given(&service, &payments, id).await;
    sqlx::query("update campaign_totals set captured = captured + 5, donors = donors - 1")
        .execute(&service.database.pool())
        .await
        .unwrap();
    let found = eventually("it is found", async || {
        let found = service.read(DRIFT).await;
        (found["campaigns"] != json!([])).then_some(found)
    })
    .await;
    let row = &found["campaigns"][0]["row"];
    assert_eq!(
        (&row["shown"]["captured"], &row["summed"]["captured"]),
        (&json!(45), &json!(40))
    );
    assert_eq!(
        (&row["donors_shown"], &row["donors_counted"]),
        (&json!(3), &json!(4))
    );
    eventually("the metric tells", async || {
        metric(&service, "totals_drift{of=\"campaigns\"} 1")
            .await
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_alone_is_no_drift_and_an_event_that_never_comes_is() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    given(&service, &payments, id).await;
    // Payment has moved on, and nothing has come of it yet.
    let lost = Gift::new(id, 500);
    payments.keep([lost.captured(1)]);
    let found = looked_twice(&service).await;
    assert_eq!(found["payments"], 0, "{found}");
    // What was changed later has come, and it has not.
    let later = eventually("the later one is the only one missing", async || {
        let later = Gift::new(id, 1);
        payments.keep([later.captured(1)]);
        service.publish([later.captured(1)]).await;
        let found = service.read(DRIFT).await;
        (found["payments"] == 1).then_some(found)
    })
    .await;
    let drift = &later["campaigns"][0]["payments"][0];
    assert_eq!(
        (&drift["difference"], &drift["applied"]),
        (&json!("behind"), &json!(null))
    );
    service.publish([lost.captured(1)]).await;
    eventually("it came after all", async || {
        (service.read(DRIFT).await["payments"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_payment_does_not_have_or_has_older_is_found() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    let (unknown, ahead) = (Gift::new(id, 10), Gift::new(id, 10));
    payments.keep([ahead.created()]);
    service
        .publish([unknown.captured(1), ahead.captured(2)])
        .await;
    let found = eventually("both are found", async || {
        let found = service.read(DRIFT).await;
        (found["payments"] == 2).then_some(found)
    })
    .await;
    let payments = found["campaigns"][0]["payments"].as_array().unwrap();
    let mut kinds: Vec<_> = payments
        .iter()
        .map(|drift| drift["difference"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ahead", "unknown"]);
    let key = uuid::Uuid::new_v4().to_string();
    let reply = service.command("/api/admin/totals/rebuild", &key).await;
    assert_eq!(reply.status(), 202);
    eventually("what neither has any more is found no more", async || {
        (service.read(DRIFT).await["payments"] == 0).then_some(())
    })
    .await;
}
