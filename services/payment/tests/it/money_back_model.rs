//! Captures, refunds and disputes in any order, against a model that knows only sums.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use common::{
    events::Capture,
    ids::{CampaignId, ContactId, PledgeId},
    money::{Currency, Extras, Money},
    payment::{Event, State},
};
use payment::domain::{
    Account, Cause, DisputeStatus, Entry, File, Learned, Look, Movement, Origin, Payment,
    RefundStatus, SeenDispute, SeenRefund, Told, Wish,
};
use proptest::prelude::*;
use reqwest::StatusCode;
use serde_json::json;
use testkit::eventually;

use crate::world::{Plan, World};

const CHARGE: i64 = 1_300;
const EXTRAS: Extras = Extras {
    tip: 200,
    covered_fee: 100,
};
const FEE: i64 = 1_500;

/// What happens, in an order that nobody promises.
#[derive(Clone, Debug)]
enum Deed {
    /// The bank holds the money.
    Hold,
    /// The provider takes so much, once; what more was held is released.
    Take { minor: i64 },
    /// We are told of holding and taking alone: now, or as it was at some earlier deed.
    Notice { ago: usize },
    /// We take it that nobody will pay any more.
    Expire,
    /// We ask for a refund, and the provider makes it at once or leaves it pending.
    Refund { minor: i64, pending: bool },
    /// Somebody refunds in the provider's own tools.
    Dashboard { minor: i64 },
    /// The n-th refund at the provider turns out so.
    Turn { nth: usize, status: RefundStatus },
    /// A bank complains.
    Complain { minor: i64, inquiry: bool },
    /// The n-th dispute is decided.
    Rule { nth: usize, status: DisputeStatus },
    /// We look at what the provider lists: now, or as it was at some earlier deed.
    Hear { ago: usize },
    /// The money becomes available.
    Settle,
}

fn deed() -> impl Strategy<Value = Deed> {
    let turned = prop::sample::select(vec![
        RefundStatus::Succeeded,
        RefundStatus::Failed,
        RefundStatus::Canceled,
    ]);
    let ruled = prop::sample::select(vec![
        DisputeStatus::UnderReview,
        DisputeStatus::Won,
        DisputeStatus::Lost,
    ]);
    prop_oneof![
        1 => Just(Deed::Hold),
        3 => prop_oneof![Just(CHARGE), 1..=CHARGE].prop_map(|minor| Deed::Take { minor }),
        2 => (0..4_usize).prop_map(|ago| Deed::Notice { ago }),
        1 => Just(Deed::Expire),
        3 => (1..=CHARGE, any::<bool>()).prop_map(|(minor, pending)| Deed::Refund { minor, pending }),
        1 => (1..=CHARGE).prop_map(|minor| Deed::Dashboard { minor }),
        2 => (0..6_usize, turned).prop_map(|(nth, status)| Deed::Turn { nth, status }),
        2 => (1..=CHARGE, any::<bool>()).prop_map(|(minor, inquiry)| Deed::Complain { minor, inquiry }),
        2 => (0..3_usize, ruled).prop_map(|(nth, status)| Deed::Rule { nth, status }),
        4 => (0..4_usize).prop_map(|ago| Deed::Hear { ago }),
        1 => Just(Deed::Settle),
    ]
}

/// The provider, as far as sums go.
#[derive(Clone, Default)]
struct Provider {
    held: bool,
    captured: i64,
    refunds: Vec<SeenRefund>,
    disputes: Vec<SeenDispute>,
}

impl Provider {
    fn given(&self) -> i64 {
        let gone = self
            .refunds
            .iter()
            .filter(|refund| refund.status.reserves());
        gone.map(|refund| refund.amount).sum()
    }

    fn arrived(&self) -> i64 {
        let gone = self
            .refunds
            .iter()
            .filter(|refund| refund.status == RefundStatus::Succeeded);
        gone.map(|refund| refund.amount).sum()
    }

    fn lost(&self) -> i64 {
        let lost = self
            .disputes
            .iter()
            .filter(|dispute| dispute.status == DisputeStatus::Lost);
        lost.map(|dispute| dispute.amount).sum()
    }

    fn taken(&self) -> i64 {
        let moved = self.disputes.iter().flat_map(|dispute| &dispute.movements);
        -moved.map(|movement| movement.amount).sum::<i64>()
    }

    fn fees(&self) -> i64 {
        let moved = self.disputes.iter().flat_map(|dispute| &dispute.movements);
        moved.map(|movement| movement.fee).sum()
    }

    fn refuses(&self) -> bool {
        self.disputes
            .iter()
            .any(|dispute| dispute.status.blocks_refunds())
    }

    fn refund(&mut self, minor: i64, id: Option<uuid::Uuid>, pending: bool) {
        self.refunds.push(SeenRefund {
            id: format!("re_{}", self.refunds.len()),
            refund_id: id,
            payment_id: None,
            cause: None,
            amount: minor,
            status: if pending {
                RefundStatus::Pending
            } else {
                RefundStatus::Succeeded
            },
            failure: None,
        });
    }

    fn withdraw(dispute: &mut SeenDispute) {
        if dispute.movements.is_empty() {
            dispute.movements.push(Movement {
                id: format!("txn_{}_1", dispute.id),
                amount: -dispute.amount,
                fee: FEE,
                currency: "usd".to_owned(),
            });
        }
    }
}

/// We, and our books.
struct Ours {
    payment: Payment,
    file: File,
    books: BTreeMap<Account, i64>,
    version: i64,
}

impl Ours {
    fn open(now: DateTime<Utc>) -> Self {
        let origin = Origin {
            pledge_id: PledgeId::new(),
            campaign_id: CampaignId::new(),
            donor_id: None,
            donor_ref: "ref".to_owned(),
            contact_id: ContactId::new(),
            amount: Money::new(CHARGE, Currency::USD),
            extras: EXTRAS,
            capture: Capture::Automatic,
            expires_at: now,
            traceparent: None,
        };
        let (mut payment, _) = Payment::first(origin, now);
        payment.provider_ref = Some("pi_1".to_owned());
        Self {
            version: payment.version,
            payment,
            file: File::default(),
            books: BTreeMap::new(),
        }
    }

    /// Hears of holding and taking as the provider had it then.
    fn notice(&mut self, seen: &Provider, now: DateTime<Utc>) {
        if seen.captured > 0 {
            let is_ended = self.payment.state == State::Expired;
            let event = if is_ended {
                Event::LateCaptured
            } else {
                Event::Captured
            };
            self.hear(event, seen.captured, now);
        } else if seen.held {
            self.hear(Event::Authorized, CHARGE, now);
        }
    }

    fn hear(&mut self, event: Event, minor: i64, now: DateTime<Utc>) {
        let told = Told {
            minor,
            ..Told::default()
        };
        if let Ok(change) = self.payment.hear(event, told, now) {
            self.version = change.event.version;
            let booking = change.moved.booking();
            booking.sets.iter().for_each(|set| self.book(&set.entries));
        }
    }

    fn book(&mut self, entries: &[Entry]) {
        let sum: i64 = entries.iter().map(|entry| entry.amount.minor).sum();
        assert_eq!(sum, 0, "{entries:?}");
        for entry in entries {
            *self.books.entry(entry.account).or_default() += entry.amount.minor;
        }
    }

    fn take(&mut self, learned: &Learned) {
        for caused in &learned.changes {
            self.version += 1;
            assert_eq!(
                caused.change.event.version, self.version,
                "versions grow by one"
            );
            let booking = caused.change.moved.booking();
            booking.sets.iter().for_each(|set| self.book(&set.entries));
        }
        learned
            .posts
            .iter()
            .for_each(|post| self.book(&post.entries));
    }

    fn at(&self, account: Account) -> i64 {
        self.books.get(&account).copied().unwrap_or_default()
    }
}

proptest! {
    #[test]
    fn whatever_the_order_the_payment_and_the_books_say_what_the_provider_says(deeds in prop::collection::vec(deed(), 1..40)) {
        let mut now = DateTime::UNIX_EPOCH;
        let mut ours = Ours::open(now);
        let mut provider = Provider::default();
        let mut past: Vec<(DateTime<Utc>, Provider)> = Vec::new();
        let mut settled = false;
        for deed in deeds.into_iter().chain([Deed::Hear { ago: 0 }, Deed::Hear { ago: 0 }]) {
            now += Duration::seconds(1);
            let earlier = |ago: usize| past.len().checked_sub(ago).and_then(|at| past.get(at)).cloned();
            match deed {
                Deed::Hold => provider.held = true,
                Deed::Take { minor } => {
                    if provider.captured == 0 {
                        provider.captured = minor;
                    }
                }
                Deed::Notice { ago } => {
                    let seen = earlier(ago).map_or(provider.clone(), |(_, seen)| seen);
                    ours.notice(&seen, now);
                }
                Deed::Expire => ours.hear(Event::Expired, 0, now),
                Deed::Refund { minor, pending } => {
                    let wish = Wish { refund_id: uuid::Uuid::now_v7(), amount: Some(minor), reason: None, cause: Cause::Admin, by: None };
                    let Ok(refund) = ours.file.refund(&ours.payment, wish, now) else { continue };
                    prop_assert!(ours.file.reserved() + minor <= provider.captured);
                    let id = refund.refund_id;
                    ours.file.refunds.push(refund);
                    if provider.refuses() || provider.given() + minor > provider.captured {
                        let learned = ours.file.give_up(id, "charge_already_refunded", now);
                        ours.take(&learned);
                    } else {
                        provider.refund(minor, Some(id), pending);
                    }
                }
                Deed::Dashboard { minor } => {
                    if !provider.refuses() && provider.given() + minor <= provider.captured {
                        provider.refund(minor, None, false);
                    }
                }
                Deed::Turn { nth, status } => {
                    if let Some(refund) = provider.refunds.get_mut(nth)
                        && refund.status.may_become(status)
                    {
                        refund.status = status;
                    }
                }
                Deed::Complain { minor, inquiry } => {
                    let minor = minor.min(provider.captured);
                    if minor > 0 && provider.disputes.iter().all(|dispute| dispute.status.is_closed()) && provider.lost() == 0 {
                        let mut dispute = SeenDispute {
                            id: format!("du_{}", provider.disputes.len()),
                            amount: minor,
                            currency: "usd".to_owned(),
                            reason: "fraudulent".to_owned(),
                            status: if inquiry { DisputeStatus::WarningNeedsResponse } else { DisputeStatus::NeedsResponse },
                            evidence_due: None,
                            submissions: 0,
                            movements: Vec::new(),
                            opened_at: now,
                        };
                        if !inquiry {
                            Provider::withdraw(&mut dispute);
                        }
                        provider.disputes.push(dispute);
                    }
                }
                Deed::Rule { nth, status } => {
                    if let Some(dispute) = provider.disputes.get_mut(nth)
                        && !dispute.status.is_closed()
                    {
                        Provider::withdraw(dispute);
                        dispute.status = status;
                        if status == DisputeStatus::Won {
                            dispute.movements.push(Movement {
                                id: format!("txn_{}_2", dispute.id),
                                amount: dispute.amount,
                                fee: 0,
                                currency: "usd".to_owned(),
                            });
                        }
                    }
                }
                Deed::Settle => {
                    if provider.captured > 0 {
                        ours.hear(Event::Settled, provider.captured, now);
                    }
                    settled |= ours.payment.state == State::Completed;
                }
                Deed::Hear { ago } => {
                    let (listed_at, seen) = earlier(ago).unwrap_or((now, provider.clone()));
                    ours.notice(&seen, now);
                    if seen.captured == 0 {
                        continue;
                    }
                    let look = Look { listed_at, refunds: seen.refunds, disputes: seen.disputes, unread: Vec::new() };
                    let learned = ours.file.learn(&mut ours.payment, &look, settled, now);
                    ours.take(&learned);
                }
            }
            past.push((now, provider.clone()));
            let payment = &ours.payment;
            prop_assert!(payment.refunded + payment.disputed <= payment.captured);
            prop_assert!(payment.refunded >= 0 && payment.disputed >= 0);
        }
        let (captured, refunded) = (provider.captured, provider.arrived());
        let lost = provider.lost().min(captured - refunded);
        let (payment, stands) = (&ours.payment, (captured, refunded, lost));
        prop_assert_eq!((payment.captured, payment.refunded, payment.disputed), stands);
        prop_assert_eq!(payment.state == State::Refunded, captured > 0 && refunded == captured);
        let (taken, back) = (EXTRAS.split(CHARGE, captured), EXTRAS.split(CHARGE, refunded + lost));
        prop_assert_eq!(-ours.at(Account::CampaignPayable), taken.gift - back.gift);
        prop_assert_eq!(-ours.at(Account::PlatformTip), taken.tip - back.tip);
        prop_assert_eq!(ours.at(Account::Fees), provider.fees() - taken.covered_fee + back.covered_fee);
        prop_assert_eq!(ours.at(Account::PlatformLoss), provider.lost() - lost);
        prop_assert_eq!(ours.at(Account::DisputeHold), provider.taken() - provider.lost());
        let there = ours.at(Account::PspReceivable) + ours.at(Account::PspSettled);
        prop_assert_eq!(there, captured - refunded - provider.taken() - provider.fees());
    }
}

/// The same with a real provider: each round does something to one payment, and in the end both sides agree.
#[tokio::test]
async fn whatever_is_done_at_the_provider_both_sides_agree_in_the_end() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let faults = json!({"seed": 11, "duplicate": 0.3, "reorder": 0.3, "drop": 0.2, "error_after": {"probability": 0.2, "only": ["/v1/refunds"]}});
    let mut held = Vec::new();
    for round in 0..6_i64 {
        held.push(world.paid(1_000 + round, "pm_card_visa").await);
    }
    world.control("/faults", &faults).await;
    for (round, paid) in held.iter().enumerate() {
        let part = world.refund(paid, Some(300)).await;
        assert_eq!(part.status(), StatusCode::CREATED);
        if round % 2 == 0 {
            let form = [
                ("payment_intent", paid.open.intent.as_str()),
                ("amount", "100"),
            ];
            let key = format!("dashboard:{round}");
            let request = reqwest::Client::new().post(format!("{}/v1/refunds", world.psp.url));
            let request = request
                .bearer_auth(crate::world::SECRET_KEY)
                .header("idempotency-key", key);
            request.form(&form).send().await.unwrap();
        }
        let made = eventually("our refund at the provider", async || {
            let theirs = world.at_provider("refunds", paid).await;
            theirs
                .iter()
                .find(|refund| refund["metadata"]["refund_id"].is_string())
                .cloned()
        })
        .await;
        if round % 3 == 0 {
            world.settle(made["id"].as_str().unwrap(), "failed").await;
        }
        if round % 3 == 1 {
            let dispute = world.complain(paid, &json!({})).await;
            world
                .rule(&dispute, if round == 1 { "lost" } else { "won" })
                .await;
        }
    }
    let client = reqwest::Client::new();
    let faults = format!("{}/_sim/faults", world.psp.url);
    client.delete(faults).send().await.unwrap();
    for paid in &held {
        world.nudge(paid).await;
        let theirs = world.at_provider("refunds", paid).await;
        let arrived = theirs
            .iter()
            .filter(|refund| refund["status"] == "succeeded");
        let refunded: i64 = arrived
            .map(|refund| refund["amount"].as_i64().unwrap())
            .sum();
        let disputes = world.at_provider("disputes", paid).await;
        let lost = disputes
            .iter()
            .filter(|dispute| dispute["status"] == "lost");
        let lost: i64 = lost
            .map(|dispute| dispute["amount"].as_i64().unwrap())
            .sum();
        let captured = world.amounts(paid).await.1;
        let agreed = (
            "CAPTURED".to_owned(),
            captured,
            refunded,
            lost.min(captured - refunded),
        );
        eventually("both sides agree", async || {
            // A look that failed is made again when its time has come.
            world.clock.advance(Duration::seconds(5));
            (world.amounts(paid).await == agreed).then_some(())
        })
        .await;
        let rows = world.refunds(paid).await;
        assert_eq!(rows.len(), theirs.len(), "each refund is one row");
    }
    let unbalanced: i64 = sqlx::query_scalar(
        "select count(*) from (select set_id from ledger_entries group by set_id having sum(amount_minor) <> 0) s",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(unbalanced, 0);
    let owed: i64 = sqlx::query_scalar(
        "select sum(captured_minor - refunded_minor - disputed_minor)::bigint from payments",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(-world.balance("campaign_payable").await, owed);
}
