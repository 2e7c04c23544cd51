//! What the services would have told of the made-up gifts: the same topics, types and headers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chrono::SecondsFormat;
use common::events::{
    Capture, ContactState, Event, PaymentEvent, PaymentKind, PledgeEvent, PledgeKind, PledgeStatus,
};
use common::money::{Currency, Extras, Money};
use common::payment::State;
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use uuid::Uuid;

use super::Plan;
use super::campaigns::Campaign;
use super::gift::{Gift, Of};

/// How long the broker may take for what is still under way at the end.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long to wait where the queue is full.
const FULL: Duration = Duration::from_millis(5);

/// Counts what the broker did not take.
#[derive(Default)]
struct Counter {
    lost: AtomicU64,
}

impl ClientContext for Counter {}

impl ProducerContext for Counter {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The way to the broker.
pub(super) struct Teller {
    producer: ThreadedProducer<Counter>,
    prefix: String,
    told: u64,
}

impl Teller {
    /// Opens the way.
    pub(super) fn new(brokers: &str, prefix: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "fill")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "50")
            .set("batch.size", "900000")
            .set("batch.num.messages", "10000")
            .set("compression.type", "lz4")
            // Where the services put a key.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            .create_with_context(Counter::default())?;
        Ok(Self {
            producer,
            prefix: prefix.to_owned(),
            told: 0,
        })
    }

    /// Tells of every campaign, its totals, and every gift, and gives the number of records once the broker has all.
    pub(super) fn tell_all(mut self, plan: &Plan, campaigns: &[Campaign]) -> Result<u64> {
        for campaign in campaigns {
            let (at, totals) = (campaign.state.occurred_at, campaign.totals());
            self.tell(&campaign.state, "campaign", at)?;
            self.tell(&totals, "totals", totals.as_of)?;
        }
        for gift in plan.gifts() {
            self.tell_gift(&gift)?;
        }
        self.producer
            .flush(PATIENCE)
            .context("the broker does not take the rest")?;
        let lost = self.producer.context().lost.load(Ordering::Relaxed);
        ensure!(lost == 0, "the broker did not take {lost} records");
        Ok(self.told)
    }

    fn tell_gift(&mut self, gift: &Gift) -> Result<()> {
        self.tell(&contact(gift), "pledge", gift.created)?;
        self.tell(&pledge(gift, false), "pledge", gift.created)?;
        self.tell(&payment(gift, 1), "payment", gift.created)?;
        self.tell(&payment(gift, 2), "payment", gift.captured)?;
        self.tell(&pledge(gift, true), "pledge", gift.captured)?;
        if let Some(settled) = gift.settled {
            self.tell(&payment(gift, 3), "payment", settled)?;
        }
        Ok(())
    }

    fn tell<E: Event>(
        &mut self,
        event: &E,
        source: &str,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<()> {
        let topic = format!("{}{}", self.prefix, E::TOPIC);
        let key = event.key();
        let payload = serde_json::to_vec(event)?;
        let id = Uuid::now_v7().to_string();
        let origin = format!("/careforall/{source}");
        let time = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_type", event.kind()),
            ("ce_source", &origin),
            ("ce_subject", &key),
            ("ce_time", &time),
            ("content-type", "application/json"),
        ];
        let headers = headers.into_iter().fold(
            OwnedHeaders::new_with_capacity(headers.len()),
            |headers, (key, value)| {
                let value = Some(value);
                headers.insert(Header { key, value })
            },
        );
        let mut record = BaseRecord::to(&topic)
            .key(&key)
            .payload(&payload)
            .headers(headers);
        while let Err((error, back)) = self.producer.send(record) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                bail!("the broker refuses a record: {error}");
            };
            std::thread::sleep(FULL);
            record = back;
        }
        self.told += 1;
        Ok(())
    }
}

fn contact(gift: &Gift) -> ContactState {
    ContactState {
        contact_id: gift.contact,
        name: gift.name(),
        email: gift.email(),
        version: 1,
        occurred_at: gift.created,
    }
}

fn pledge(gift: &Gift, paid: bool) -> PledgeEvent {
    let (kind, status, version, occurred_at) = if paid {
        let status = PledgeStatus::Completed;
        (PledgeKind::Updated, status, 2, gift.captured)
    } else {
        let status = PledgeStatus::Pending;
        (PledgeKind::Created, status, 1, gift.created)
    };
    PledgeEvent {
        kind,
        pledge_id: gift.pledge,
        campaign_id: gift.campaign,
        payment_id: gift.payment,
        donor_id: None,
        donor_ref: gift.donor_ref(),
        contact_id: gift.contact,
        amount: Money::new(gift.amount, Currency::USD),
        extras: Extras::default(),
        capture: Capture::Automatic,
        visibility: gift.visibility,
        public_name: gift.public_name(),
        message: gift.message(),
        status,
        cancel_requested_at: None,
        claim: None,
        expires_at: gift.expires(),
        created_at: gift.created,
        version,
        occurred_at,
    }
}

fn payment(gift: &Gift, version: i64) -> PaymentEvent {
    let (kind, state, previous, occurred_at) = match version {
        1 => (PaymentKind::Created, State::Pending, None, gift.created),
        2 => {
            let previous = Some(State::Pending);
            (
                PaymentKind::Captured,
                State::Captured,
                previous,
                gift.captured,
            )
        }
        _ => {
            let previous = Some(State::Captured);
            (
                PaymentKind::Completed,
                State::Completed,
                previous,
                gift.updated(),
            )
        }
    };
    let taken = if version > 1 { gift.amount } else { 0 };
    PaymentEvent {
        kind,
        payment_id: gift.payment,
        pledge_id: gift.pledge,
        campaign_id: gift.campaign,
        donor_id: None,
        donor_ref: gift.donor_ref(),
        contact_id: gift.contact,
        attempt: 1,
        state,
        previous,
        implied: if version == 2 {
            vec![State::Authorized]
        } else {
            Vec::new()
        },
        amount: Money::new(gift.amount, Currency::USD),
        extras: Extras::default(),
        authorized: taken,
        captured: taken,
        refunded: 0,
        disputed: 0,
        provider: "stripe".to_owned(),
        provider_ref: (version > 1).then(|| gift.object("pi", Of::Intent)),
        failure: None,
        version,
        occurred_at,
    }
}
