//! What is remembered of campaigns, and what is not.

use common::{
    auth::Role,
    events::{CampaignKind, CampaignStatus},
    ids::{CampaignId, UserId},
};
use http::StatusCode;
use testkit::eventually;

use crate::helpers::{Service, config, key, problem};

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_opens_takes_gifts_at_once_on_a_replica_that_did_not_hear_of_it() {
    let service = Service::start().await;
    let config = config(
        &service.database,
        service.kafka.clone(),
        service.clock.clone(),
    );
    // The topic has one partition: one of the two hears of campaigns, the other only sees the projection.
    let replica = testkit::serve(|listener, life| pledge::run(config, listener, life)).await;
    let mut campaign = service.campaign.clone();
    campaign.campaign_id = CampaignId::new();
    let mut body = service.body();
    body["campaign_id"] = campaign.campaign_id.to_string().into();
    let both = async || {
        let there = replica
            .client
            .post(replica.at("/api/pledges"))
            .header("idempotency-key", key())
            .json(&body);
        let there = there.send().await.expect("the replica answers");
        [service.pledge(&key(), &body).await, there]
    };
    for reply in both().await {
        assert_eq!(reply.headers()["retry-after"], "1");
        problem(reply, StatusCode::NOT_FOUND, "campaign_not_found").await;
    }
    campaign.kind = CampaignKind::Submitted;
    campaign.status = CampaignStatus::Submitted;
    service.learn(&campaign).await;
    for reply in both().await {
        problem(reply, StatusCode::CONFLICT, "campaign_not_active").await;
    }
    campaign.kind = CampaignKind::Approved;
    campaign.status = CampaignStatus::Active;
    campaign.version = 2;
    service.learn(&campaign).await;
    for reply in both().await {
        assert_eq!(reply.status(), StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_runs_a_campaign_sees_its_gifts_and_nobody_elses() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let seen_by = async |user: UserId| {
        let mut statuses = Vec::new();
        for page in ["", "/timeline", "/receipt"] {
            let url = service
                .running
                .at(&format!("/api/pledges/{}{page}", made.id));
            let get = service.running.client.get(url);
            let get = get.bearer_auth(testkit::user_token(user, Role::Donor));
            statuses.push(get.send().await.expect("an answer").status().as_u16());
        }
        statuses
    };
    // The money has not been taken, so there is no receipt to see.
    let organiser = service.campaign.organiser_id;
    assert_eq!(seen_by(organiser).await, [200, 200, 409]);
    assert_eq!(seen_by(UserId::new()).await, [404; 3]);
    // A campaign that was heard of before its organiser was kept is heard of again; what is older decides nothing.
    let pool = service.database.pool();
    sqlx::query("update campaigns set organiser_id = null")
        .execute(&pool)
        .await
        .expect("a row as it was");
    assert_eq!(seen_by(organiser).await, [404; 3]);
    let mut older = service.campaign.clone();
    older.version -= 1;
    older.status = CampaignStatus::Cancelled;
    testkit::publish(&service.kafka, &older).await;
    testkit::publish(&service.kafka, &service.campaign).await;
    eventually("the organiser is known", async || {
        (seen_by(organiser).await == [200, 200, 409]).then_some(())
    })
    .await;
    let stands: String = sqlx::query_scalar("select status from campaigns")
        .fetch_one(&pool)
        .await
        .expect("the row");
    assert_eq!(stands, service.campaign.status.as_str());
}
