//! Every snapshot counts once, whatever happens to its message.

use std::sync::{Arc, Mutex};

use chassis::kafka::{Fault, Handler, Kafka, Message, Topic};
use common::{
    events::{PaymentEvent, PaymentKind, topics},
    ids::CampaignId,
    money::Currency,
    payment::State,
};
use serde_json::json;
use testkit::eventually;

use crate::helpers::{Gift, Service, campaign, quick};

/// Where payment events go that are none.
const DEAD: Topic = Topic {
    name: "cfa.payment.events.v1.dlq",
    compacted: false,
};

/// What was set aside.
#[derive(Clone, Default)]
struct Dead(Arc<Mutex<Vec<Message>>>);

impl Handler for Dead {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        self.0.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_comes_again_changes_nothing() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    for _ in 0..3 {
        service
            .publish([gift.created(), gift.captured(2), gift.captured(2)])
            .await;
        service.settled().await;
    }
    let totals = service.totals(gift.campaign).await.unwrap();
    assert_eq!(totals["raised"], json!({"amount": 2500, "currency": "USD"}));
    assert_eq!(
        (&totals["pledged"]["amount"], &totals["donors"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_a_payments_snapshots_gives_the_same_totals() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let orders = permutations();
    let gifts: Vec<_> = orders.iter().map(|_| Gift::new(id, 100)).collect();
    // Each step is consumed before the next is published, so that no batch can put them in order.
    for step in 0..4 {
        let events = orders
            .iter()
            .zip(&gifts)
            .map(|(order, gift)| match order[step] {
                1 => gift.created(),
                2 => gift.authorized(2),
                3 => gift.captured(3),
                _ => gift.completed(4),
            });
        service.publish(events).await;
        service.settled().await;
    }
    let totals = service.totals(id).await.unwrap();
    for (bucket, amount) in [
        ("raised", 2400),
        ("captured", 2400),
        ("pledged", 0),
        ("authorized", 0),
        ("refunded", 0),
    ] {
        assert_eq!(totals[bucket]["amount"], amount, "{bucket} in {totals}");
    }
    assert_eq!(totals["donors"], 24);
}

fn permutations() -> Vec<[usize; 4]> {
    let mut found = Vec::new();
    for code in 0..256 {
        let order = [
            code % 4 + 1,
            code / 4 % 4 + 1,
            code / 16 % 4 + 1,
            code / 64 + 1,
        ];
        if (1..=4).all(|step| order.contains(&step)) {
            found.push(order);
        }
    }
    assert_eq!(found.len(), 24);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_through_the_buckets_and_a_decline_moves_nothing() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 700);
    service.publish([gift.created()]).await;
    let totals = service.until(gift.campaign, "pledged", 700).await;
    assert_eq!(
        (&totals["raised"]["amount"], &totals["donors"]),
        (&json!(0), &json!(0)),
        "pending never counts"
    );
    service
        .publish([gift.payment(PaymentKind::AttemptFailed, State::Pending, 2)])
        .await;
    service.settled().await;
    assert_eq!(
        service.totals(gift.campaign).await.unwrap()["version"],
        totals["version"]
    );
    service.publish([gift.authorized(3)]).await;
    let totals = service.until(gift.campaign, "authorized", 700).await;
    assert_eq!(
        (&totals["pledged"]["amount"], &totals["raised"]["amount"]),
        (&json!(0), &json!(0))
    );
    service.publish([gift.captured(4)]).await;
    let totals = service.until(gift.campaign, "raised", 700).await;
    assert_eq!(
        (
            &totals["authorized"]["amount"],
            &totals["donors"],
            &totals["version"]
        ),
        (&json!(0), &json!(1), &json!(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_ends_unpaid_leaves_nothing_behind() {
    let service = Service::start().await;
    let id = CampaignId::new();
    for (kind, state) in [
        (PaymentKind::Failed, State::Failed),
        (PaymentKind::Expired, State::Expired),
        (PaymentKind::Cancelled, State::Cancelled),
    ] {
        let gift = Gift::new(id, 700);
        service.publish([gift.created()]).await;
        service.until(id, "pledged", 700).await;
        service.publish([gift.payment(kind, state, 2)]).await;
        service.until(id, "pledged", 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_snapshot_is_made_up_for_by_the_next() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.refunded(1000, 5)]).await;
    let totals = service.until(gift.campaign, "raised", 1500).await;
    assert_eq!(
        (&totals["captured"]["amount"], &totals["refunded"]["amount"]),
        (&json!(2500), &json!(1000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_and_lost_disputes_lower_what_is_raised() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let (refunded, disputed) = (Gift::new(id, 1000), Gift::new(id, 500));
    service
        .publish([refunded.captured(1), disputed.captured(1)])
        .await;
    service.until(id, "raised", 1500).await;
    service.publish([refunded.refunded(400, 2)]).await;
    service.until(id, "raised", 1100).await;
    service
        .publish([PaymentEvent {
            disputed: 500,
            ..disputed.captured(2)
        }])
        .await;
    let totals = service.until(id, "raised", 600).await;
    assert_eq!(
        (&totals["captured"]["amount"], &totals["refunded"]["amount"]),
        (&json!(1500), &json!(400))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donor_counts_once_however_many_gifts() {
    let service = Service::start().await;
    let (id, other) = (CampaignId::new(), CampaignId::new());
    let gifts = [
        Gift::new(id, 1).by("ada"),
        Gift::new(id, 2).by("ada"),
        Gift::new(id, 4).by("bob"),
        Gift::new(other, 8).by("ada"),
    ];
    service
        .publish(gifts.iter().map(|gift| gift.captured(1)))
        .await;
    assert_eq!(service.until(id, "raised", 7).await["donors"], 2);
    assert_eq!(service.until(other, "raised", 8).await["donors"], 1);
    service
        .publish([
            Gift::new(id, 16).by("ada").captured(1),
            Gift::new(id, 32).by("eve").created(),
        ])
        .await;
    assert_eq!(
        service.until(id, "raised", 23).await["donors"],
        2,
        "neither again nor for a promise"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_may_come_before_its_campaign() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(2)]).await;
    let totals = service.until(gift.campaign, "raised", 2500).await;
    assert_eq!(
        (&totals["goal"], &totals["goal_pct"]),
        (&json!(null), &json!(null))
    );
    service.publish([campaign(gift.campaign, 10_000, 3)]).await;
    let totals = service.until(gift.campaign, "goal", 10_000).await;
    assert_eq!(
        (&totals["raised"]["amount"], &totals["goal_pct"]),
        (&json!(2500), &json!(25))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_campaign_snapshot_does_not_overwrite_a_newer() {
    let service = Service::start().await;
    let id = CampaignId::new();
    service.publish([campaign(id, 2000, 2)]).await;
    service.until(id, "goal", 2000).await;
    service.publish([campaign(id, 1000, 1)]).await;
    // The same partition: once the other campaign is there, so was the older snapshot.
    let other = CampaignId::new();
    service.publish([campaign(other, 1, 1)]).await;
    service.until(other, "goal", 1).await;
    assert_eq!(service.totals(id).await.unwrap()["goal"]["amount"], 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_negative_bucket_is_shown_and_alarms() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 300);
    service
        .publish([PaymentEvent {
            captured: 0,
            ..gift.refunded(300, 2)
        }])
        .await;
    let totals = service.until(gift.campaign, "raised", -300).await;
    assert_eq!(totals["captured"]["amount"], 0);
    let metrics = service.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("totals_negative_bucket{bucket=\"raised\"}"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_another_currency_is_set_aside_and_its_neighbours_count() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let euros = Gift {
        currency: Currency::EUR,
        ..Gift::new(id, 7)
    };
    service.publish([campaign(id, 1000, 1)]).await;
    service.until(id, "goal", 1000).await;
    let first = Gift {
        currency: Currency::EUR,
        ..Gift::new(id, 5)
    };
    service.publish([first.captured(1)]).await;
    service.settled().await;
    service
        .publish([
            Gift::new(id, 100).captured(1),
            euros.captured(1),
            Gift::new(id, 20).captured(1),
        ])
        .await;
    let totals = service.until(id, "raised", 120).await;
    assert_eq!(
        (&totals["raised"]["currency"], &totals["donors"]),
        (&json!("USD"), &json!(2))
    );
    let metrics = service.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains(&format!(
            "dlq_messages_total{{topic=\"{}\"}}",
            topics::PAYMENT.name
        )),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_event_does_not_stop_the_others() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 100);
    // One without a payload deletes what it is about, which means nothing here and is passed over.
    service.publish_raw(topics::PAYMENT.name, b"").await;
    let huge = vec![b'x'; 999_900];
    let payloads: [&[u8]; 5] = [b"{}", b"null", b"\xff\xfe\x00{", b"[[[[", &huge];
    for payload in payloads {
        service.publish_raw(topics::PAYMENT.name, payload).await;
    }
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 100).await;
    let dead = Dead::default();
    Kafka::new(&service.kafka).consume("undertaker", &[DEAD], dead.clone(), service.running.life());
    eventually("each of them is set aside", async || {
        let count = dead.0.lock().unwrap().len();
        (count == payloads.len()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_payments_of_one_campaign_are_exact() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let gifts: Vec<_> = (1..=2000).map(|amount| Gift::new(id, amount)).collect();
    service.publish(gifts.iter().map(Gift::created)).await;
    service
        .publish(gifts.iter().map(|gift| gift.captured(2)))
        .await;
    let totals = service.until(id, "raised", 2000 * 2001 / 2).await;
    assert_eq!(
        (&totals["pledged"]["amount"], &totals["donors"]),
        (&json!(0), &json!(2000))
    );
    let version = totals["version"].as_i64().unwrap();
    assert!(
        version < 1000,
        "a batch is one update of the campaign, not {version} of them for 4000 messages"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_at_once_count_everything_once() {
    let kafka = chassis::kafka::Config {
        partitions: 4,
        ..quick(testkit::kafka())
    };
    let service = Service::start_with(testkit::cache(), kafka).await;
    let campaigns: Vec<_> = (0..5).map(|_| CampaignId::new()).collect();
    let gifts: Vec<_> = (0..1000)
        .map(|n| Gift::new(campaigns[n % 5], 10).by(&format!("donor {}", n % 100)))
        .collect();
    service.publish(gifts.iter().map(Gift::created)).await;
    // The second joins while the first is at work: partitions move, and messages that were under way come again.
    let second = service.replica().await;
    for version in 2..5 {
        service
            .publish(gifts.iter().map(|gift| gift.captured(version)))
            .await;
    }
    for campaign in &campaigns {
        let totals = service.until(*campaign, "raised", 2000).await;
        assert_eq!(
            (&totals["pledged"]["amount"], &totals["donors"]),
            (&json!(0), &json!(20)),
            "{totals}"
        );
    }
    // The other replica says the same, once its 50 ms are over.
    eventually("both replicas agree", async || {
        let reply = second
            .client
            .get(second.at(&format!("/api/totals/{}", campaigns[0])))
            .send()
            .await
            .unwrap();
        let totals: serde_json::Value = reply.json().await.unwrap();
        (totals["raised"]["amount"] == 2000).then_some(())
    })
    .await;
    second.stop().await;
}
