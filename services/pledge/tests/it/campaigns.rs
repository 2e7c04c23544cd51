//! What is remembered of campaigns, and what is not.

use common::{
    events::{CampaignKind, CampaignStatus},
    ids::CampaignId,
};
use http::StatusCode;

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
