//! What the other services learn.

use chassis::{
    kafka::{Fault, Handler, Kafka, Message},
    lifecycle::Lifecycle,
};
use common::{
    events::{CampaignKind, CampaignState, CampaignStatus, Capture, topics},
    money::{Currency, Money},
};
use tokio::sync::mpsc;

use crate::helpers::{App, NOON, at};

struct Collect(mpsc::UnboundedSender<Message>);

impl Handler for Collect {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        for message in batch {
            self.0
                .send(message.clone())
                .expect("the test still listens");
        }
        Ok(())
    }
}

#[tokio::test]
async fn each_change_is_published_as_a_snapshot_with_the_next_version() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.active(&organiser).await;
    app.moved(&id, "close", &organiser.token).await;
    let (sender, mut published) = mpsc::unbounded_channel();
    let life = Lifecycle::new();

    Kafka::new(&app.kafka).consume(
        "witness",
        &[topics::CAMPAIGN.into()],
        Collect(sender),
        &life,
    );

    for (version, kind, status) in [
        (1, CampaignKind::Created, CampaignStatus::Draft),
        (2, CampaignKind::Submitted, CampaignStatus::Submitted),
        (3, CampaignKind::Approved, CampaignStatus::Active),
        (4, CampaignKind::Closed, CampaignStatus::Completed),
    ] {
        let message = published.recv().await.unwrap();
        assert_eq!(message.key, id);
        assert_eq!(message.header("ce_type"), Some(kind.as_str()));
        let told: CampaignState = message.json().unwrap();
        let expected = CampaignState {
            kind,
            campaign_id: id.parse().unwrap(),
            organiser_id: organiser.id,
            title: "Clean water".to_owned(),
            status,
            goal: Money::new(500_000, Currency::USD),
            minimum: 100,
            ends_at: None,
            capture: Capture::Automatic,
            moved_by: Some(if kind == CampaignKind::Approved {
                app.admin_id
            } else {
                organiser.id
            }),
            version,
            occurred_at: at(NOON),
        };
        assert_eq!(told, expected);
    }
    life.stop();
    life.finish().await;
}

#[tokio::test]
async fn a_refused_or_replayed_request_publishes_nothing() {
    let app = App::start().await;
    let organiser = app.person();
    let key = crate::helpers::key();
    let body = crate::helpers::proposal();
    for _ in 0..3 {
        let reply = app
            .post_as("/api/campaigns", &organiser.token, &key, Some(&body))
            .await;
        assert_eq!(reply.status(), 201);
    }
    let id = app.draft(&organiser).await;
    let refused = app
        .post(
            &format!("/api/campaigns/{id}/close"),
            &organiser.token,
            None,
        )
        .await;
    assert_eq!(refused.status(), 409);
    app.moved(&id, "submit", &organiser.token).await;
    let (sender, mut published) = mpsc::unbounded_channel();
    let life = Lifecycle::new();

    Kafka::new(&app.kafka).consume(
        "witness",
        &[topics::CAMPAIGN.into()],
        Collect(sender),
        &life,
    );

    // One partition: the last change comes last, so whatever else there was has come by then.
    let mut versions = Vec::new();
    while versions.last() != Some(&2) {
        versions.push(
            published
                .recv()
                .await
                .unwrap()
                .json::<CampaignState>()
                .unwrap()
                .version,
        );
    }
    assert_eq!(versions, [1, 1, 2]);
    life.stop();
    life.finish().await;
}
