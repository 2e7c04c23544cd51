//! `totals.updated`: at once, then not too often, the last value always.

use std::sync::{Arc, Mutex};

use chassis::{
    kafka::{Fault, Handler, Kafka, Message},
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use common::{
    events::{TotalsUpdated, topics},
    ids::CampaignId,
};
use testkit::eventually;

use crate::helpers::{Gift, Service, campaign};

/// What was announced, and when it was enqueued.
type Announcement = (DateTime<Utc>, TotalsUpdated);

/// Every announcement so far.
#[derive(Clone, Default)]
struct Announced(Arc<Mutex<Vec<Announcement>>>);

impl Handler for Announced {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        for message in batch {
            let at = message
                .header("ce_time")
                .unwrap_or_default()
                .parse()
                .map_err(Fault::permanent)?;
            self.0.lock().unwrap().push((at, message.json()?));
        }
        Ok(())
    }
}

impl Announced {
    fn follow(service: &Service, life: &Lifecycle) -> Self {
        let announced = Self::default();
        Kafka::new(&service.kafka).consume(
            "witness",
            &[topics::TOTALS.into()],
            announced.clone(),
            life,
        );
        announced
    }

    fn of(&self, campaign: CampaignId) -> Vec<Announcement> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, totals)| totals.campaign_id == campaign)
            .cloned()
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_campaign_is_announced_five_times_a_second_and_its_last_value_always() {
    let service = Service::start().await;
    let life = Lifecycle::new();
    let announced = Announced::follow(&service, &life);
    let id = CampaignId::new();
    for amount in 1..=60 {
        service.publish([Gift::new(id, amount).captured(1)]).await;
    }
    let total = 60 * 61 / 2;
    service.until(id, "raised", total).await;
    let all = eventually("the last value was announced", async || {
        let all = announced.of(id);
        (all.last()?.1.raised.minor == total).then_some(all)
    })
    .await;
    assert!(all.len() < 60, "{} announcements of 60 changes", all.len());
    for pair in all.windows(2) {
        let (pause, growth) = (pair[1].0 - pair[0].0, pair[1].1.version - pair[0].1.version);
        assert!(
            pause.num_milliseconds() >= 150,
            "{pause} between two announcements"
        );
        assert!(growth > 0, "versions only grow");
    }
    life.stop();
    life.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_says_what_a_read_says() {
    let service = Service::start().await;
    let life = Lifecycle::new();
    let announced = Announced::follow(&service, &life);
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([campaign(gift.campaign, 10_000, 1)]).await;
    service
        .publish([gift.captured(1), gift.refunded(500, 2)])
        .await;
    let (_, totals) = eventually("everything was announced", async || {
        announced
            .of(gift.campaign)
            .pop()
            .filter(|(_, totals)| totals.raised.minor == 2000 && totals.goal.is_some())
    })
    .await;
    let read = service.until(gift.campaign, "raised", 2000).await;
    let told = serde_json::to_value(&totals).unwrap();
    for field in [
        "raised",
        "pledged",
        "authorized",
        "captured",
        "refunded",
        "donors",
        "goal",
        "as_of",
        "version",
    ] {
        assert_eq!(told[field], read[field], "{field}");
    }
    life.stop();
    life.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_process_did_not_announce_is_announced_by_another() {
    let service = Service::start().await;
    let life = Lifecycle::new();
    let announced = Announced::follow(&service, &life);
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    eventually("the change was announced", async || {
        announced.of(gift.campaign).pop()
    })
    .await;
    // As left by a process that died between the change and its announcement; nothing wakes the worker.
    let pool = service.database.pool();
    sqlx::query("update campaign_totals set version = version + 1")
        .execute(&pool)
        .await
        .unwrap();
    eventually("the rest was announced", async || {
        announced
            .of(gift.campaign)
            .pop()
            .filter(|(_, totals)| totals.version == 2)
    })
    .await;
    life.stop();
    life.finish().await;
}
