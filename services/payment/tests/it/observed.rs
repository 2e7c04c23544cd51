//! What an intent, as it is read at the provider, does to its payment.

use chrono::{DateTime, Utc};
use common::{
    events::Capture,
    money::{Currency, Money},
    payment::State,
};
use payment::domain::{Ending, Observation, Outcome, Payment, Seen, observe};

use crate::ruling::opened;

const STATUSES: [&str; 8] = [
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
    "a_status_of_next_year",
];

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

/// A payment of 25 dollars with the intent `pi_1`.
fn payment(state: State) -> Payment {
    let mut payment = opened(Money::new(2500, Currency::USD), Capture::Manual);
    payment.state = state;
    match state {
        State::Pending | State::Failed | State::Expired | State::Cancelled => {}
        State::Authorized => payment.authorized = 2500,
        State::Captured | State::Completed => (payment.authorized, payment.captured) = (2500, 2500),
        State::Refunded => (payment.captured, payment.refunded) = (2500, 2500),
    }
    payment
}

fn seen(status: &str) -> Seen {
    Seen {
        intent: "pi_1".to_owned(),
        status: status.to_owned(),
        amount: 2500,
        currency: "usd".to_owned(),
        received: if status == "succeeded" { 2500 } else { 0 },
        capturable: if status == "requires_capture" {
            2500
        } else {
            0
        },
        cancellation_reason: None,
    }
}

/// The state that it goes to, `.` where nothing moves, `!` for a contradiction.
fn outcome(payment: &mut Payment, seen: &Seen) -> String {
    let before = payment.clone();
    let outcome = match observe(payment, seen, now()) {
        Observation::Change(change) => {
            assert_eq!(change.event.version, before.version + 1);
            assert_eq!(change.event.state, payment.state);
            return payment.state.as_str().to_owned();
        }
        Observation::Recorded => "recorded",
        Observation::Nothing => ".",
        Observation::Contradiction(_) => "!",
    };
    if outcome != "recorded" {
        assert_eq!(*payment, before, "nothing may have moved");
    }
    outcome.to_owned()
}

#[test]
fn every_status_has_its_answer_in_every_state() {
    use State::{Authorized, Cancelled, Captured, Completed, Expired, Failed, Pending, Refunded};
    // requires_capture, canceled, succeeded; every other status moves nothing.
    let table = [
        (Pending, ["AUTHORIZED", "CANCELLED", "CAPTURED"]),
        (Authorized, [".", "EXPIRED", "CAPTURED"]),
        (Captured, [".", "!", "."]),
        (Completed, [".", "!", "."]),
        (Failed, [".", ".", "!"]),
        (Expired, [".", ".", "!"]),
        (Cancelled, [".", ".", "!"]),
        (Refunded, [".", "!", "."]),
    ];
    for (state, expected) in table {
        for status in STATUSES {
            let expected = match status {
                "requires_capture" => expected[0],
                "canceled" => expected[1],
                "succeeded" => expected[2],
                _ => ".",
            };
            let got = outcome(&mut payment(state), &seen(status));
            assert_eq!(got, expected, "{state:?} sees {status}");
        }
    }
}

#[test]
fn a_cancelled_intent_ends_its_payment_by_who_asked_whatever_reason_the_provider_tells() {
    let by = [
        (Ending::Donor, "CANCELLED"),
        (Ending::Admin, "CANCELLED"),
        (Ending::CampaignClosed, "CANCELLED"),
        (Ending::Expired, "EXPIRED"),
        (Ending::Declines, "FAILED"),
    ];
    for state in [State::Pending, State::Authorized] {
        for (ending, expected) in by {
            for reason in [None, Some("abandoned"), Some("requested_by_customer")] {
                let mut payment = payment(state);
                payment.ending = Some(ending);
                let mut seen = seen("canceled");
                seen.cancellation_reason = reason.map(str::to_owned);
                assert_eq!(
                    outcome(&mut payment, &seen),
                    expected,
                    "{ending:?} {reason:?}"
                );
                assert_eq!(payment.authorized, 0, "a hold that ended holds nothing");
            }
        }
    }
}

#[test]
fn where_nobody_of_us_asked_the_provider_s_reason_decides() {
    let by = [
        ("requested_by_customer", "CANCELLED"),
        ("fraudulent", "FAILED"),
        ("abandoned", "EXPIRED"),
    ];
    for (reason, expected) in by {
        let mut seen = seen("canceled");
        seen.cancellation_reason = Some(reason.to_owned());
        assert_eq!(outcome(&mut payment(State::Pending), &seen), expected);
    }
}

#[test]
fn an_ending_that_the_provider_has_not_agreed_to_stops_no_money() {
    let mut payment = payment(State::Pending);
    payment.ending = Some(Ending::Donor);
    assert_eq!(outcome(&mut payment, &seen("succeeded")), "CAPTURED");
    assert_eq!(payment.captured, 2500);
}

#[test]
fn another_amount_currency_or_intent_contradicts_and_a_part_does_not() {
    let wrong: [fn(&mut Seen); 5] = [
        |seen| seen.amount = 2600,
        |seen| seen.currency = "eur".to_owned(),
        |seen| seen.received = 2600,
        |seen| seen.received = 0,
        |seen| seen.intent = "pi_2".to_owned(),
    ];
    for change in wrong {
        let mut seen = seen("succeeded");
        change(&mut seen);
        assert_eq!(outcome(&mut payment(State::Pending), &seen), "!");
    }
    let mut part = seen("succeeded");
    part.received = 1000;
    let mut held = payment(State::Authorized);
    assert_eq!(outcome(&mut held, &part), "CAPTURED");
    assert_eq!((held.authorized, held.captured), (2500, 1000));
    // Another amount than the one captured before.
    assert_eq!(outcome(&mut held, &seen("succeeded")), "!");
}

#[test]
fn an_intent_that_was_asked_for_is_recorded_and_one_that_was_not_is_refused() {
    let mut unanswered = payment(State::Pending);
    unanswered.provider_ref = None;
    unanswered.outcome = Outcome::Unknown;
    let mut never_asked = unanswered.clone();
    never_asked.outcome = Outcome::None;
    let open = seen("requires_payment_method");
    assert_eq!(outcome(&mut unanswered, &open), "recorded");
    assert_eq!(unanswered.provider_ref.as_deref(), Some("pi_1"));
    assert_eq!(unanswered.outcome, Outcome::Known);
    assert_eq!(outcome(&mut unanswered, &open), ".");
    assert_eq!(outcome(&mut never_asked, &open), "!");
}
