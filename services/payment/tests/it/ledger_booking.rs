//! What changes of payments are in the books.

use std::collections::BTreeMap;

use chrono::DateTime;
use common::{
    events::Capture,
    ids::{CampaignId, ContactId, PledgeId},
    money::{Currency, Extras, Money},
    payment::{Event, State},
};
use payment::domain::{Account, Booking, Effect, Hold, Moved, Origin, Payment, Standing, Told};
use proptest::prelude::*;

const GIFT: i64 = 2_500;

const EVENTS: [Event; 11] = [
    Event::Authorized,
    Event::Captured,
    Event::Settled,
    Event::Declined,
    Event::Failed,
    Event::Expired,
    Event::Cancelled,
    Event::FullyRefunded,
    Event::RefundFailed { settled: false },
    Event::RefundFailed { settled: true },
    Event::LateCaptured,
];

fn payment() -> Payment {
    let origin = Origin {
        pledge_id: PledgeId::new(),
        campaign_id: CampaignId::new(),
        donor_id: None,
        donor_ref: "ref".to_owned(),
        contact_id: ContactId::new(),
        amount: Money::new(GIFT, Currency::USD),
        extras: Extras::default(),
        capture: Capture::Automatic,
        expires_at: DateTime::UNIX_EPOCH,
        traceparent: None,
    };
    let (mut payment, _) = Payment::first(origin, DateTime::UNIX_EPOCH);
    payment.provider_ref = Some("pi_1".to_owned());
    payment
}

fn standing(state: State, captured: i64, refunded: i64, lost: i64) -> Standing {
    Standing {
        state,
        authorized: GIFT,
        captured,
        refunded,
        lost,
    }
}

fn moved(before: Standing, after: Standing, fee: i64) -> Moved {
    Moved {
        before,
        after,
        campaign_id: CampaignId::new(),
        currency: Currency::USD,
        charged: GIFT,
        extras: Extras::default(),
        uncovered: (0, 0),
        object: "pi_1".to_owned(),
        fee,
    }
}

/// The entries of a booking as effect, account and amount.
fn lines(booking: &Booking) -> Vec<(Effect, Account, i64)> {
    let lines = booking.sets.iter().flat_map(|set| {
        let entries = set.entries.iter();
        entries.map(|entry| (set.effect, entry.account, entry.amount.minor))
    });
    lines.collect()
}

/// Adds a booking to balances; each of its sets sums to zero.
fn post(balances: &mut BTreeMap<Account, i64>, booking: &Booking) {
    for set in &booking.sets {
        assert!(set.entries.len() >= 2, "{set:?}");
        let sum: i64 = set.entries.iter().map(|entry| entry.amount.minor).sum();
        assert_eq!(sum, 0, "{set:?}");
        for entry in &set.entries {
            assert_ne!(entry.amount.minor, 0);
            let owed = entry.account == Account::CampaignPayable;
            assert_eq!(entry.campaign_id.is_some(), owed, "{entry:?}");
            *balances.entry(entry.account).or_default() += entry.amount.minor;
        }
    }
}

fn told(minor: i64) -> Told<'static> {
    Told {
        minor,
        ..Told::default()
    }
}

#[test]
fn an_authorisation_is_pending_and_a_partial_capture_posts_it_and_releases_the_rest() {
    let mut payment = payment();
    let held = payment.hear(Event::Authorized, told(GIFT), DateTime::UNIX_EPOCH);
    let held = held.unwrap().moved.booking();
    assert_eq!(held.hold, Some(Hold::Held(GIFT)));
    assert_eq!(held.sets, []);
    let taken = payment.hear(Event::Captured, told(2_000), DateTime::UNIX_EPOCH);
    let taken = taken.unwrap().moved.booking();
    let posted = Hold::Posted {
        held: GIFT,
        posted: 2_000,
    };
    assert_eq!(taken.hold, Some(posted));
    let expected = [
        (Effect::Captured, Account::PspReceivable, 2_000),
        (Effect::Captured, Account::CampaignPayable, -2_000),
    ];
    assert_eq!(lines(&taken), expected);
}

#[test]
fn an_authorisation_that_ends_without_a_capture_is_voided() {
    for end in [Event::Failed, Event::Expired, Event::Cancelled] {
        let mut payment = payment();
        payment
            .hear(Event::Authorized, told(GIFT), DateTime::UNIX_EPOCH)
            .unwrap();
        let ended = payment
            .hear(end, Told::default(), DateTime::UNIX_EPOCH)
            .unwrap();
        let booking = ended.moved.booking();
        assert_eq!(booking.hold, Some(Hold::Voided { held: GIFT }), "{end:?}");
        assert_eq!(booking.sets, [], "{end:?}");
    }
}

#[test]
fn a_capture_that_nobody_held_before_posts_at_once() {
    for end in [
        None,
        Some(Event::Expired),
        Some(Event::Cancelled),
        Some(Event::Failed),
    ] {
        let mut payment = payment();
        let event = match end {
            None => Event::Captured,
            Some(end) => {
                payment
                    .hear(end, Told::default(), DateTime::UNIX_EPOCH)
                    .unwrap();
                Event::LateCaptured
            }
        };
        let taken = payment
            .hear(event, told(GIFT), DateTime::UNIX_EPOCH)
            .unwrap();
        let booking = taken.moved.booking();
        assert_eq!(booking.hold, None, "{end:?}");
        let expected = [
            (Effect::Captured, Account::PspReceivable, GIFT),
            (Effect::Captured, Account::CampaignPayable, -GIFT),
        ];
        assert_eq!(lines(&booking), expected, "{end:?}");
    }
}

#[test]
fn a_settlement_moves_what_is_kept_and_its_fee_is_the_platforms() {
    let before = standing(State::Captured, GIFT, 500, 0);
    let after = standing(State::Completed, GIFT, 500, 0);
    let expected = [
        (Effect::Settled, Account::PspReceivable, -2_000),
        (Effect::Settled, Account::PspSettled, 1_900),
        (Effect::Settled, Account::Fees, 100),
    ];
    assert_eq!(lines(&moved(before, after, 100).booking()), expected);
}

#[test]
fn a_settlement_that_tells_of_the_capture_books_both() {
    let mut payment = payment();
    let told = Told {
        minor: GIFT,
        fee: 100,
        object: Some("txn_1"),
        decline: None,
    };
    let change = payment
        .hear(Event::Settled, told, DateTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(change.event.captured, GIFT);
    assert_eq!(change.moved.object, "txn_1");
    let expected = [
        (Effect::Captured, Account::PspReceivable, GIFT),
        (Effect::Captured, Account::CampaignPayable, -GIFT),
        (Effect::Settled, Account::PspReceivable, -GIFT),
        (Effect::Settled, Account::PspSettled, GIFT - 100),
        (Effect::Settled, Account::Fees, 100),
    ];
    assert_eq!(lines(&change.moved.booking()), expected);
}

#[test]
fn a_refund_is_taken_from_where_the_money_is_and_comes_back_to_there_when_it_fails() {
    let places = [
        (State::Captured, Account::PspReceivable),
        (State::Completed, Account::PspSettled),
    ];
    for (state, account) in places {
        let before = standing(state, GIFT, 0, 0);
        let after = standing(State::Refunded, GIFT, GIFT, 0);
        let mut there = vec![
            (Effect::Refunded, account, -GIFT),
            (Effect::Refunded, Account::CampaignPayable, GIFT),
        ];
        assert_eq!(lines(&moved(before, after, 0).booking()), there);
        for line in &mut there {
            *line = (Effect::RefundFailed, line.1, -line.2);
        }
        assert_eq!(lines(&moved(after, before, 0).booking()), there);
    }
}

#[test]
fn a_dispute_beyond_what_refunds_left_is_the_platforms_loss() {
    // The bank took 100, of which refunds had left 40.
    let steps = [
        (standing(State::Pending, 0, 0, 0), 0),
        (standing(State::Captured, 100, 0, 0), 0),
        (standing(State::Captured, 100, 60, 0), 0),
        (standing(State::Captured, 100, 60, 40), 60),
    ];
    let mut balances = BTreeMap::new();
    for step in steps.windows(2) {
        let moved = Moved {
            uncovered: (step[0].1, step[1].1),
            ..moved(step[0].0, step[1].0, 0)
        };
        post(&mut balances, &moved.booking());
    }
    assert_eq!(balances[&Account::CampaignPayable], 0);
    assert_eq!(balances[&Account::PlatformLoss], 60);
    assert_eq!(balances[&Account::PspReceivable], 40);
    assert_eq!(balances[&Account::DisputeHold], -100);
    let won = standing(State::Captured, 100, 60, 0);
    let moved = Moved {
        uncovered: (60, 0),
        ..moved(steps[3].0, won, 0)
    };
    let booking = moved.booking();
    assert_eq!(booking.sets[0].effect, Effect::DisputeReversed);
    post(&mut balances, &booking);
    assert_eq!(balances[&Account::CampaignPayable], -40);
    assert_eq!(balances[&Account::PlatformLoss], 0);
    assert_eq!(balances[&Account::DisputeHold], 0);
}

/// A charge by what it is for, and a history of legal amounts: what is captured never falls, and no more goes back, or
/// is lost, than was captured.
fn history() -> impl Strategy<Value = (i64, Extras, Vec<(Standing, i64, i64)>)> {
    let state = prop::sample::select(vec![State::Captured, State::Completed, State::Refunded]);
    let amount = || 0..=1_000_000_i64;
    let step = (state, amount(), amount(), amount(), 0..=50_i64);
    let parts = (1..=1_000_000_i64, 0..=200_000_i64, 0..=20_000_i64);
    let captured = 1..=1_220_000_i64;
    (parts, captured, prop::collection::vec(step, 1..20)).prop_map(|(parts, captured, steps)| {
        let (gift, tip, covered_fee) = parts;
        let charged = gift + tip + covered_fee;
        let captured = captured.min(charged);
        let legal = |(state, refunded, lost, uncovered, fee): (State, i64, i64, i64, i64)| {
            let refunded = if state == State::Refunded {
                captured
            } else {
                refunded.min(captured)
            };
            let lost = lost.min(captured - refunded);
            (standing(state, captured, refunded, lost), uncovered, fee)
        };
        let steps = steps.into_iter().map(legal).collect();
        (charged, Extras { tip, covered_fee }, steps)
    })
}

proptest! {
    #[test]
    fn whatever_happens_the_books_say_what_the_payment_says((charged, extras, history) in history()) {
        let mut balances = BTreeMap::new();
        let (mut before, mut beyond) = (standing(State::Pending, 0, 0, 0), 0);
        let mut fees = 0;
        for (after, uncovered, fee) in history {
            // A fee is taken once, at the settlement.
            let fee = if before.state == State::Completed { 0 } else { fee };
            fees += if after.state == State::Completed { fee } else { 0 };
            let moved = Moved {
                charged,
                extras,
                uncovered: (beyond, uncovered),
                ..moved(before, after, fee)
            };
            post(&mut balances, &moved.booking());
            let at = |account| balances.get(&account).copied().unwrap_or_default();
            let (taken, gone) = (
                extras.split(charged, after.captured),
                extras.split(charged, after.refunded + after.lost),
            );
            prop_assert_eq!(-at(Account::CampaignPayable), taken.gift - gone.gift);
            prop_assert!(at(Account::CampaignPayable) <= 0);
            prop_assert_eq!(-at(Account::PlatformTip), taken.tip - gone.tip);
            prop_assert_eq!(at(Account::Fees), fees - taken.covered_fee + gone.covered_fee);
            prop_assert_eq!(at(Account::PlatformLoss), uncovered);
            prop_assert_eq!(at(Account::DisputeHold), -after.lost - uncovered);
            let there = after.captured - after.refunded;
            prop_assert_eq!(at(Account::PspReceivable) + at(Account::PspSettled), there - fees);
            let due = if after.state == State::Completed { 0 } else { there };
            prop_assert_eq!(at(Account::PspReceivable), due);
            (before, beyond) = (after, uncovered);
        }
    }

    #[test]
    fn whatever_the_machine_yields_has_its_booking(events in prop::collection::vec((0..EVENTS.len(), 1..=GIFT), 1..30)) {
        let mut payment = payment();
        let mut balances = BTreeMap::new();
        let (mut held, mut resolved) = (0, 0);
        for (event, minor) in events {
            let Ok(change) = payment.hear(EVENTS[event], told(minor), DateTime::UNIX_EPOCH) else {
                continue;
            };
            let booking = change.moved.booking();
            post(&mut balances, &booking);
            match booking.hold {
                Some(Hold::Held(minor)) => held += minor,
                Some(Hold::Posted { held: pending, posted }) => {
                    prop_assert!(pending == held && (1..=held).contains(&posted));
                    resolved += 1;
                }
                Some(Hold::Voided { held: pending }) => {
                    prop_assert_eq!(pending, held);
                    resolved += 1;
                }
                None => {}
            }
            prop_assert!(resolved <= 1);
            prop_assert_eq!(resolved == 0 && held > 0, payment.state == State::Authorized);
            let owed = payment.captured - payment.refunded - payment.disputed;
            let at = balances.get(&Account::CampaignPayable).copied().unwrap_or_default();
            prop_assert_eq!(-at, owed);
        }
    }
}
