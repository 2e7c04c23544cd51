//! The payment machine: the whole table by hand, and what must hold whatever the order.

use common::payment::Event::{
    self, Authorized, Cancelled, Captured, Declined, Expired, Failed, FullyRefunded, LateCaptured,
    RefundFailed, Settled,
};
use common::payment::{State, Step, apply};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;

const UNSETTLED: Event = RefundFailed { settled: false };
const SETTLED: Event = RefundFailed { settled: true };

/// Every event, in the order of the table's columns.
const EVENTS: [Event; 11] = [
    Authorized,
    Captured,
    Settled,
    Declined,
    Failed,
    Expired,
    Cancelled,
    FullyRefunded,
    UNSETTLED,
    SETTLED,
    LateCaptured,
];

/// `X` moves to X, `+` before it one implied rung, `++` two; `log`, `dup`, `old` and `ask` change
/// nothing: a logged decline, a duplicate, stale news, a contradiction.
#[rustfmt::skip]
const TABLE: [(&str, [&str; 11]); 8] = [
    //             authorized   captured     settled       declined failed    expired    cancelled    fully refunded refund failed: unsettled, settled  late captured
    ("PENDING",    ["AUTHORIZED", "+CAPTURED", "++COMPLETED", "log", "FAILED", "EXPIRED", "CANCELLED", "++REFUNDED", "+CAPTURED", "++COMPLETED", "+CAPTURED"]),
    ("AUTHORIZED", ["dup",        "CAPTURED",  "+COMPLETED",  "old", "FAILED", "EXPIRED", "CANCELLED", "+REFUNDED",  "CAPTURED",  "+COMPLETED",  "CAPTURED"]),
    ("CAPTURED",   ["old",        "dup",       "COMPLETED",   "old", "ask",    "ask",     "ask",       "REFUNDED",   "dup",       "COMPLETED",   "dup"]),
    ("COMPLETED",  ["old",        "old",       "dup",         "old", "ask",    "ask",     "ask",       "REFUNDED",   "old",       "dup",         "old"]),
    ("FAILED",     ["old",        "ask",       "ask",         "old", "dup",    "old",     "old",       "ask",        "ask",       "ask",         "CAPTURED"]),
    ("EXPIRED",    ["old",        "ask",       "ask",         "old", "old",    "dup",     "old",       "ask",        "ask",       "ask",         "CAPTURED"]),
    ("CANCELLED",  ["old",        "ask",       "ask",         "old", "old",    "old",     "dup",       "ask",        "ask",       "ask",         "CAPTURED"]),
    ("REFUNDED",   ["old",        "old",       "old",         "old", "ask",    "ask",     "ask",       "dup",        "CAPTURED",  "COMPLETED",   "old"]),
];

/// The legal moves of one rung each; every implied path must be made of these.
const MOVES: [(State, &[State]); 8] = [
    (
        State::Pending,
        &[
            State::Authorized,
            State::Failed,
            State::Expired,
            State::Cancelled,
        ],
    ),
    (
        State::Authorized,
        &[
            State::Captured,
            State::Failed,
            State::Expired,
            State::Cancelled,
        ],
    ),
    (State::Captured, &[State::Completed, State::Refunded]),
    (State::Completed, &[State::Refunded]),
    (State::Failed, &[State::Captured]),
    (State::Expired, &[State::Captured]),
    (State::Cancelled, &[State::Captured]),
    (State::Refunded, &[State::Captured, State::Completed]),
];

fn expected(state: State, cell: &str) -> Step {
    let skipped = cell.bytes().take_while(|&byte| byte == b'+').count();
    match cell {
        "log" => Step::Logged,
        "dup" => Step::Duplicate,
        "old" => Step::Stale,
        "ask" => Step::Contradiction,
        _ => Step::To {
            state: cell[skipped..].parse().unwrap(),
            implied: [State::Authorized, State::Captured]
                .into_iter()
                .filter(|rung| rung.rank() > state.rank())
                .take(skipped)
                .collect(),
        },
    }
}

#[test]
fn the_whole_table() {
    assert!(
        TABLE
            .iter()
            .map(|row| row.0)
            .eq(State::ALL.iter().map(|state| state.as_str()))
    );
    for (from, row) in TABLE {
        let state: State = from.parse().unwrap();
        for (event, cell) in EVENTS.into_iter().zip(row) {
            assert_eq!(
                apply(state, event),
                expected(state, cell),
                "{from} and {event:?}"
            );
        }
    }
}

#[test]
fn every_missing_step_is_written() {
    for &from in State::ALL {
        for event in EVENTS {
            let Step::To { state, implied } = apply(from, event) else {
                continue;
            };
            let mut at = from;
            for next in implied.into_iter().chain([state]) {
                let legal = MOVES.iter().find(|(state, _)| *state == at).unwrap().1;
                assert!(
                    legal.contains(&next),
                    "{from} and {event:?}: {at} to {next}"
                );
                at = next;
            }
        }
    }
}

#[test]
fn only_a_live_payment_ends_and_only_money_revives_it() {
    for &from in State::ALL {
        for end in [Failed, Expired, Cancelled] {
            let ends = matches!(apply(from, end), Step::To { .. });
            assert_eq!(ends, from.is_live(), "{from} and {end:?}");
        }
    }
}

/// Where a payment ends up that starts PENDING and sees `events` in this order.
fn end_of(events: &[Event]) -> State {
    events
        .iter()
        .fold(State::Pending, |state, &event| match apply(state, event) {
            Step::To { state, .. } => state,
            _ => state,
        })
}

#[test]
fn all_720_orders_of_a_settled_payment_told_twice_end_alike() {
    let mut told = [Authorized, Authorized, Captured, Captured, Settled, Settled];
    let mut orders = 0;
    permute(&mut told, 6, &mut |order| {
        orders += 1;
        assert_eq!(end_of(order), State::Completed, "{order:?}");
    });
    assert_eq!(orders, 720);
}

/// Heap's algorithm: calls `visit` with every order of the first `len` items.
fn permute(items: &mut [Event; 6], len: usize, visit: &mut impl FnMut(&[Event])) {
    if len <= 1 {
        return visit(items);
    }
    for at in 0..len {
        permute(items, len - 1, visit);
        let other = if len.is_multiple_of(2) { at } else { 0 };
        items.swap(other, len - 1);
    }
}

/// The histories that a provider and we can truly produce, with the state each ends in: declines
/// first, then either rungs of the ladder (a provider may leave some untold) or one end.
fn legal_history() -> impl Strategy<Value = (Vec<Event>, State)> {
    let declines = 0..3_usize;
    let paid = subsequence(vec![Authorized, Captured, Settled, FullyRefunded], 0..=4);
    let ended = (
        proptest::option::of(Just(Authorized)),
        select(vec![Failed, Expired, Cancelled]),
    )
        .prop_map(|(held, end)| held.into_iter().chain([end]).collect());
    (declines, prop_oneof![paid, ended]).prop_map(|(declines, rest)| {
        let end = match rest.last() {
            None => State::Pending,
            Some(Authorized) => State::Authorized,
            Some(Captured) => State::Captured,
            Some(Settled) => State::Completed,
            Some(FullyRefunded) => State::Refunded,
            Some(Failed) => State::Failed,
            Some(Expired) => State::Expired,
            Some(Cancelled) => State::Cancelled,
            Some(other) => unreachable!("{other:?} ends no legal history"),
        };
        let events = std::iter::repeat_n(Declined, declines)
            .chain(rest)
            .collect();
        (events, end)
    })
}

/// The same events, each told one to three times, in any order.
fn retold(events: Vec<Event>) -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(1..=3_usize, events.len()).prop_flat_map(move |times| {
        let told: Vec<Event> = events
            .iter()
            .zip(times)
            .flat_map(|(&event, times)| std::iter::repeat_n(event, times))
            .collect();
        Just(told).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_duplication_of_a_legal_history_ends_alike(
        (history, end, told) in legal_history().prop_flat_map(|(history, end)| {
            (Just(history.clone()), Just(end), retold(history))
        })
    ) {
        prop_assert_eq!(end_of(&history), end, "as it happened: {:?}", history);
        prop_assert_eq!(end_of(&told), end, "as told: {:?}", told);
    }

    #[test]
    fn no_event_but_a_failed_refund_takes_a_payment_down(
        told in proptest::collection::vec(select(EVENTS.to_vec()), 0..20)
    ) {
        let mut state = State::Pending;
        for event in told {
            if let Step::To { state: next, .. } = apply(state, event) {
                if let (Some(from), Some(to)) = (state.rank(), next.rank()) {
                    prop_assert!(to > from, "{} to {} by {:?}", state, next, event);
                }
                if state == State::Refunded {
                    let refund_failed = matches!(event, RefundFailed { .. });
                    prop_assert!(refund_failed, "REFUNDED left by {:?}", event);
                }
                state = next;
            }
        }
    }

    #[test]
    fn captured_money_is_never_forgotten(
        before in proptest::collection::vec(select(EVENTS.to_vec()), 0..8),
        money in select(vec![Captured, Settled, FullyRefunded, UNSETTLED, SETTLED]),
    ) {
        let state = end_of(&before);
        let holds = |state| matches!(state, State::Captured | State::Completed | State::Refunded);
        match apply(state, money) {
            Step::To { state, .. } => prop_assert!(holds(state)),
            Step::Contradiction => prop_assert!(holds(end_of(&[before, vec![LateCaptured]].concat()))),
            Step::Duplicate | Step::Stale => prop_assert!(holds(state)),
            Step::Logged => prop_assert!(false, "money logged as a decline"),
        }
    }
}
