//! Where deliveries are judged: many at once, in one transaction.
//!
//! A batch locks every payment that it concerns, in id order, and only then asks which events were judged before:
//! under the locks nobody else can be judging the same payments, so one event has one effect, in whichever process
//! and however often it arrives. Verdict, effect, history, the books and the events that tell of it commit together;
//! a delivery is answered after that.

use std::collections::{HashMap, HashSet};

use chassis::{clock::Clock, telemetry};
use chrono::{DateTime, Utc};
use common::{group_commit::Batch, ids::PaymentId, outbox, payment::State};
use sqlx::PgConnection;

use crate::{
    db::{attempts, lookup, payments, transitions, webhooks},
    domain::{About, Change, Notice, Payment, Ruling, Verdict, rule},
    ledger::{self, Booked},
};

/// A verified delivery on its way to its verdict.
pub struct Delivery {
    /// What it says.
    pub notice: Notice,
    /// Its raw bytes, sealed.
    pub body: Vec<u8>,
    /// Its signature header.
    pub signature: String,
    /// The trace of the request that delivered it.
    pub trace_id: Option<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where the verdict does not say it all.
    pub detail: Option<&'static str>,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
}

/// The writer of verdicts.
pub struct Court {
    clock: Clock,
}

impl Court {
    /// A court that dates its verdicts by this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Batch for Court {
    type Item = Delivery;
    type Outcome = Judged;
    const TRANSACTION: bool = true;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[Delivery],
    ) -> Result<Vec<Judged>, sqlx::Error> {
        let mut docket = Docket::open(connection, items).await?;
        let now = self.clock.now();
        let rulings: Vec<Option<Ruled<'_>>> =
            items.iter().map(|item| docket.judge(item, now)).collect();
        let new = docket.close(connection, rulings.iter().flatten()).await?;
        let outcome = |ruled: Option<Ruled<'_>>| match ruled {
            Some(ruled) if new.contains(&ruled.delivery.notice.event_id) => Judged {
                verdict: ruled.ruling.verdict,
                detail: ruled.ruling.detail,
                payment_id: ruled.payment_id,
            },
            _ => Judged {
                verdict: Verdict::Duplicate,
                detail: Some("the event came before"),
                payment_id: None,
            },
        };
        Ok(rulings.into_iter().map(outcome).collect())
    }

    fn before_commit(&self) {
        chassis::failpoint!("payment.in_webhook_tx");
    }
}

/// The payments of one batch, locked, and the events that were judged before.
struct Docket {
    payments: Vec<Held>,
    by_id: HashMap<PaymentId, usize>,
    by_intent: HashMap<String, usize>,
    known: HashSet<String>,
}

/// A locked payment, and the version at which it was locked.
struct Held {
    payment: Payment,
    was: i64,
    changed: bool,
}

/// A delivery with its ruling.
struct Ruled<'a> {
    delivery: &'a Delivery,
    payment_id: Option<PaymentId>,
    ruling: Ruling,
    traceparent: Option<String>,
}

impl Docket {
    async fn open(connection: &mut PgConnection, items: &[Delivery]) -> Result<Self, sqlx::Error> {
        let news = || {
            items.iter().filter_map(|item| match &item.notice.about {
                About::Intent(news) => Some(news),
                About::Nothing(_) | About::Unreadable(_) => None,
            })
        };
        let named: Vec<PaymentId> = news().filter_map(|news| news.payment_id).collect();
        let intents: Vec<&str> = news().map(|news| news.intent.as_str()).collect();
        let locked = lookup::lock(connection, &named, &intents).await?;
        let events: Vec<&str> = items
            .iter()
            .map(|item| item.notice.event_id.as_str())
            .collect();
        let known = webhooks::known(connection, &events).await?;
        let mut docket = Self {
            payments: Vec::with_capacity(locked.len()),
            by_id: HashMap::new(),
            by_intent: HashMap::new(),
            known,
        };
        for (at, payment) in locked.into_iter().enumerate() {
            docket.by_id.insert(payment.payment_id, at);
            if let Some(intent) = &payment.provider_ref {
                docket.by_intent.insert(intent.clone(), at);
            }
            let was = payment.version;
            docket.payments.push(Held {
                payment,
                was,
                changed: false,
            });
        }
        Ok(docket)
    }

    /// Judges one delivery after all those before it; none when its event was judged before.
    fn judge<'a>(&mut self, delivery: &'a Delivery, now: DateTime<Utc>) -> Option<Ruled<'a>> {
        let notice = &delivery.notice;
        let is_new = self.known.insert(notice.event_id.clone());
        if !is_new && chassis::guard!("webhook_dedupe") {
            return None;
        }
        let without = |verdict, detail| Ruled {
            delivery,
            payment_id: None,
            ruling: Ruling::of(verdict, detail),
            traceparent: None,
        };
        let news = match &notice.about {
            About::Nothing(why) => return Some(without(Verdict::Ignored, *why)),
            About::Unreadable(why) => return Some(without(Verdict::Quarantined, *why)),
            About::Intent(news) => news,
        };
        let named = news.payment_id.and_then(|id| self.by_id.get(&id));
        let Some(at) = self.by_intent.get(&news.intent).or(named).copied() else {
            return Some(without(Verdict::Parked, "we know no such payment"));
        };
        let held = &mut self.payments[at];
        let known_before = held.payment.provider_ref.is_some();
        if !chassis::guard!("transition") {
            held.payment.state = State::Pending;
        }
        let ruling = rule(&mut held.payment, news, now);
        if let (false, Some(intent)) = (known_before, &held.payment.provider_ref) {
            held.changed = true;
            self.by_intent.insert(intent.clone(), at);
        }
        held.changed |= ruling.change.is_some();
        let traceparent = ruling
            .change
            .as_ref()
            .and_then(|change| trace(&held.payment, change));
        Some(Ruled {
            delivery,
            payment_id: Some(held.payment.payment_id),
            ruling,
            traceparent,
        })
    }

    /// Writes everything that was decided, and gives the events that are new.
    async fn close<'a>(
        &self,
        connection: &mut PgConnection,
        ruled: impl Iterator<Item = &'a Ruled<'a>>,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let mut rows = Vec::new();
        let mut steps = Vec::new();
        let mut declined = Vec::new();
        let mut booked = Vec::new();
        let mut told = Vec::new();
        let mut moving = Vec::new();
        for ruled in ruled {
            let Delivery { notice, .. } = ruled.delivery;
            rows.push(row(ruled));
            let Some(change) = &ruled.ruling.change else {
                continue;
            };
            moving.push(notice.event_id.as_str());
            steps.extend(change.transitions.iter().map(|step| transitions::Recorded {
                payment_id: change.event.payment_id,
                version: change.event.version,
                step: *step,
                cause: &notice.kind,
                psp_event: Some(&notice.event_id),
                trace_id: ruled.delivery.trace_id.as_deref(),
                at: change.event.occurred_at,
            }));
            declined.extend(change.decline.as_ref().map(|decline| attempts::Declined {
                payment_id: change.event.payment_id,
                version: change.event.version,
                psp_event: &notice.event_id,
                decline,
                at: change.event.occurred_at,
            }));
            booked.push(Booked {
                payment_id: change.event.payment_id,
                moved: &change.moved,
                trace_id: ruled.delivery.trace_id.as_deref(),
                at: change.event.occurred_at,
            });
            told.push(outbox::Row::of(&change.event, ruled.traceparent.clone()));
        }
        let new = webhooks::insert_new(connection, &rows).await?;
        let again = moving.iter().any(|event| !new.contains(*event));
        if again && chassis::guard!("webhook_dedupe") {
            // The locks rule this out. Should it happen all the same, nothing of this batch may stand; on the next
            // try the event is known.
            return Err(sqlx::Error::Protocol(
                "an event was judged twice at once".to_owned(),
            ));
        }
        let changed = self.payments.iter().filter(|held| held.changed);
        let changed: Vec<_> = changed
            .map(|held| payments::Saved {
                payment: &held.payment,
                was: held.was,
            })
            .collect();
        payments::save(connection, &changed).await?;
        transitions::insert_all(connection, &steps).await?;
        attempts::insert_all(connection, &declined).await?;
        ledger::write(connection, &booked).await?;
        outbox::insert_all(connection, &told).await?;
        Ok(new)
    }
}

fn row<'a>(ruled: &'a Ruled<'a>) -> webhooks::Ruled<'a> {
    let delivery = ruled.delivery;
    webhooks::Ruled {
        event_id: &delivery.notice.event_id,
        kind: &delivery.notice.kind,
        verdict: ruled.ruling.verdict,
        detail: ruled.ruling.detail,
        payment_id: ruled.payment_id,
        body: &delivery.body,
        signature: &delivery.signature,
        trace_id: delivery.trace_id.as_deref(),
        received_at: delivery.received_at,
    }
}

/// The change goes on with the pledge's trace, not with the provider's request: one trace leads from the pledge to
/// the mail.
fn trace(payment: &Payment, change: &Change) -> Option<String> {
    use common::events::Event;
    let span = telemetry::span_from(change.event.kind(), payment.traceparent.as_deref());
    let child = span.in_scope(telemetry::traceparent);
    child.or_else(|| payment.traceparent.clone())
}
