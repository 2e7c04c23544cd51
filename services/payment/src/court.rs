//! Where deliveries are judged: many at once, in one transaction.
//!
//! A batch locks every payment that it concerns, in id order, and only then asks which events were judged before:
//! under the locks nobody else can be judging the same payments, so one event has one effect, in whichever process
//! and however often it arrives. Verdict, effect, history, the books and the events that tell of it commit together;
//! a delivery is answered after that.

use std::collections::{HashMap, HashSet};

use chassis::clock::Clock;
use chrono::{DateTime, Utc};
use common::{group_commit::Batch, ids::PaymentId, payment::State};
use sqlx::PgConnection;

use crate::{
    db::{captures, exceptions, lookup, parked, payments, webhooks},
    delivery::{Delivery, Judged, Source},
    domain::{About, Diff, Exception, Payment, Ruling, Side, Verdict, What, rule},
    transition::{self, Made},
    verdict::{Ruled, doubt, revise, row},
};

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
        judge(connection, items, self.clock.now()).await
    }

    fn before_commit(&self) {
        chassis::failpoint!("payment.in_webhook_tx");
    }
}

/// Judges events in their order, in one transaction of the caller's.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn judge(
    connection: &mut PgConnection,
    items: &[Delivery],
    now: DateTime<Utc>,
) -> Result<Vec<Judged>, sqlx::Error> {
    let mut docket = Docket::open(connection, items).await?;
    let rulings: Vec<Option<Ruled<'_>>> =
        items.iter().map(|item| docket.judge(item, now)).collect();
    let new = docket
        .close(connection, rulings.iter().flatten(), now)
        .await?;
    let stands = |ruled: &Ruled<'_>| {
        ruled.delivery.source.is_again() || new.contains(&ruled.delivery.notice.event_id)
    };
    let came_before = |(item, ruled): (&Delivery, &Option<Ruled<'_>>)| {
        let again = !ruled.as_ref().is_some_and(stands) && item.source == Source::Delivered;
        again.then(|| webhooks::Repeated {
            event_id: item.notice.event_id.clone(),
            trace_id: item.trace_id.clone(),
            received_at: item.received_at,
        })
    };
    let repeated: Vec<_> = items.iter().zip(&rulings).filter_map(came_before).collect();
    webhooks::insert_repeated(connection, &repeated).await?;
    let outcome = |ruled: Option<Ruled<'_>>| match ruled {
        Some(ruled) if stands(&ruled) => Judged {
            verdict: ruled.ruling.verdict,
            detail: ruled.ruling.detail,
            payment_id: ruled.payment_id,
            diff: ruled.diff,
        },
        _ => Judged {
            verdict: Verdict::Duplicate,
            detail: Some("the event came before"),
            payment_id: None,
            diff: None,
        },
    };
    Ok(rulings.into_iter().map(outcome).collect())
}

/// The payments of one batch, locked, and the events that were judged before.
struct Docket {
    payments: Vec<Held>,
    by_id: HashMap<PaymentId, usize>,
    by_intent: HashMap<String, usize>,
    known: HashSet<String>,
    standing: HashMap<String, webhooks::Standing>,
    /// How much is to be taken by the captures that were ordered, where a delivery tells of less than the whole.
    ordered: HashMap<PaymentId, i64>,
}

/// A locked payment, and the version at which it was locked.
struct Held {
    payment: Payment,
    was: i64,
    changed: bool,
}

impl Docket {
    async fn open<'a>(
        connection: &mut PgConnection,
        items: &'a [Delivery],
    ) -> Result<Self, sqlx::Error> {
        let news = || {
            items.iter().filter_map(|item| match &item.notice.about {
                About::Intent(news) => Some(news),
                About::Charge { .. } | About::Nothing(_) | About::Unreadable(_) => None,
            })
        };
        let named: Vec<PaymentId> = news().filter_map(|news| news.payment_id).collect();
        let intent = |item: &'a Delivery| match &item.notice.about {
            About::Intent(news) => Some(news.intent.as_str()),
            About::Charge { intent } => Some(intent.as_str()),
            About::Nothing(_) | About::Unreadable(_) => None,
        };
        let intents: Vec<&str> = items.iter().filter_map(intent).collect();
        let locked = lookup::lock(connection, &named, &intents).await?;
        let events: Vec<&str> = items
            .iter()
            .map(|item| item.notice.event_id.as_str())
            .collect();
        let known = webhooks::known(connection, &events).await?;
        let again: Vec<&str> = items
            .iter()
            .filter(|item| item.source.is_again())
            .map(|item| item.notice.event_id.as_str())
            .collect();
        let standing = webhooks::standing(connection, &again).await?;
        let in_part =
            news().any(|news| matches!(news.what, What::Captured { taken } if taken < news.amount));
        let ids: Vec<PaymentId> = locked.iter().map(|payment| payment.payment_id).collect();
        let ordered = if in_part {
            captures::ordered(connection, &ids).await?
        } else {
            HashMap::new()
        };
        let mut docket = Self {
            payments: Vec::with_capacity(locked.len()),
            by_id: HashMap::new(),
            by_intent: HashMap::new(),
            known,
            standing,
            ordered,
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
        let standing = self.standing.get(&notice.event_id).copied();
        let again = delivery.source.is_again();
        if !is_new && !again && chassis::guard!("webhook_dedupe") {
            return None;
        }
        let without = |verdict, detail| Ruled {
            delivery,
            payment_id: None,
            intent: None,
            ruling: Ruling::of(verdict, detail),
            diff: None,
            rulings: standing.map_or(0, |standing| standing.rulings),
            traceparent: None,
        };
        if let Some(standing) = standing.filter(|standing| standing.had_effect) {
            let ruled = without(Verdict::Duplicate, "it had its effect before");
            let payment_id = standing.payment_id;
            return Some(Ruled {
                payment_id,
                ..ruled
            });
        }
        let news = match &notice.about {
            About::Nothing(why) => return Some(without(Verdict::Ignored, *why)),
            About::Unreadable(why) => return Some(without(Verdict::Quarantined, *why)),
            About::Charge { intent } => {
                let known = self.by_intent.get(intent);
                let payment_id = known.map(|at| self.payments[*at].payment.payment_id);
                // Money that goes back is read off the provider's own lists, not off the delivery.
                let ruled = match payment_id {
                    Some(_) => without(Verdict::Applied, "the provider is asked"),
                    None => without(Verdict::Parked, "we know no such payment"),
                };
                return Some(Ruled {
                    payment_id,
                    ..ruled
                });
            }
            About::Intent(news) => news,
        };
        let named = news.payment_id.and_then(|id| self.by_id.get(&id));
        let Some(at) = self.by_intent.get(&news.intent).or(named).copied() else {
            return Some(without(Verdict::Parked, "we know no such payment"));
        };
        let held = &mut self.payments[at];
        let before = Side::of(&held.payment);
        let known_before = held.payment.provider_ref.is_some();
        if !chassis::guard!("transition") {
            held.payment.state = State::Pending;
        }
        let ordered = self.ordered.get(&held.payment.payment_id).copied();
        let ruling = rule(&mut held.payment, news, ordered, now);
        if let (false, Some(intent)) = (known_before, &held.payment.provider_ref) {
            held.changed = true;
            self.by_intent.insert(intent.clone(), at);
        }
        held.changed |= ruling.change.is_some();
        let after = Side::of(&held.payment);
        let traceparent = ruling
            .change
            .as_ref()
            .and_then(|change| transition::trace(&held.payment, change));
        Some(Ruled {
            delivery,
            payment_id: Some(held.payment.payment_id),
            intent: held.payment.provider_ref.clone(),
            ruling,
            diff: (before != after).then_some(Diff { before, after }),
            rulings: standing.map_or(0, |standing| standing.rulings),
            traceparent,
        })
    }

    /// Writes everything that was decided, and gives the events that are new.
    async fn close<'a>(
        &self,
        connection: &mut PgConnection,
        ruled: impl Iterator<Item = &'a Ruled<'a>>,
        now: DateTime<Utc>,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let mut rows = Vec::new();
        let mut again = Vec::new();
        let mut doubts = Vec::new();
        let mut made = Vec::new();
        let mut asked = Vec::new();
        for ruled in ruled {
            if ruled.delivery.source.is_again() {
                again.push(ruled);
            } else {
                rows.push(row(ruled));
            }
            doubts.extend(doubt(ruled));
            if matches!(ruled.delivery.notice.about, About::Charge { .. }) {
                asked.extend(ruled.payment_id);
            }
            let Some(change) = &ruled.ruling.change else {
                continue;
            };
            let notice = &ruled.delivery.notice;
            made.push(Made {
                change,
                cause: &notice.kind,
                psp_event: Some(&notice.event_id),
                trace_id: ruled.delivery.trace_id.as_deref(),
                traceparent: ruled.traceparent.clone(),
            });
        }
        let new = webhooks::insert_new(connection, &rows).await?;
        let fresh = |event: &&str| !self.standing.contains_key(*event);
        let mut moving = made.iter().filter_map(|made| made.psp_event).filter(fresh);
        let twice = moving.any(|event| !new.contains(event));
        if twice && chassis::guard!("webhook_dedupe") {
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
        transition::write(connection, &changed, &made).await?;
        self.doubt(connection, &doubts, now).await?;
        let parked: Vec<&str> = rows
            .iter()
            .filter(|row| row.verdict == Verdict::Parked && new.contains(row.event_id))
            .map(|row| row.event_id)
            .collect();
        parked::insert(connection, &parked, now).await?;
        revise(connection, &again, now).await?;
        payments::ask_by(connection, &asked, now).await?;
        Ok(new)
    }

    /// What contradicts itself is a matter for a person, unless the provider settles it: it is asked at once.
    async fn doubt(
        &self,
        connection: &mut PgConnection,
        doubts: &[Exception],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let ids: Vec<PaymentId> = doubts.iter().filter_map(|doubt| doubt.payment_id).collect();
        payments::ask_by(connection, &ids, now).await?;
        exceptions::open(connection, doubts, now).await
    }
}
