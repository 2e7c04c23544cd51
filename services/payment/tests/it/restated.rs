//! A payment that was told further than its table knows.

use chrono::{DateTime, Duration, Utc};
use common::{
    events::{Capture, PaymentEvent, PaymentKind},
    ids::{CampaignId, ContactId, PledgeId},
    money::{Currency, Extras, Money},
    payment::{Event, State},
};
use payment::domain::{Origin, Payment, Told};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn payment() -> Payment {
    let origin = Origin {
        pledge_id: PledgeId::new(),
        campaign_id: CampaignId::new(),
        donor_id: None,
        donor_ref: "9f86d081884c7d65".to_owned(),
        contact_id: ContactId::new(),
        amount: Money::new(2500, Currency::USD),
        extras: Extras::default(),
        capture: Capture::Automatic,
        expires_at: NOW + Duration::minutes(30),
        traceparent: None,
    };
    Payment::first(origin, NOW).0
}

/// What was told of a payment after these events.
fn told(mut payment: Payment, events: &[Event]) -> PaymentEvent {
    let took = Told {
        minor: 2500,
        ..Told::default()
    };
    for event in events {
        payment.hear(*event, took, NOW).expect("it goes along");
    }
    payment.as_it_stands()
}

#[test]
fn what_is_known_is_not_told_again() {
    let mut known = payment();
    let told = told(known.clone(), &[]);
    assert!(known.restate(&told, NOW).is_none());
    assert_eq!(known.version, 1);
}

#[test]
fn news_of_money_is_taken_back_under_a_higher_version_until_the_provider_tells_it_again() {
    let mut known = payment();
    let told = told(known.clone(), &[Event::Authorized, Event::Captured]);
    assert_eq!((told.version, told.captured), (3, 2500));
    let change = known.restate(&told, NOW).expect("it is told anew");
    let event = &change.event;
    assert_eq!((event.kind, event.version), (PaymentKind::Restated, 4));
    assert_eq!((event.state, event.captured), (State::Pending, 0));
    assert!(change.transitions.is_empty());
    assert_eq!((known.state, known.version), (State::Pending, 4));
}

#[test]
fn an_end_that_was_told_is_learned() {
    for (end, state) in [
        (Event::Failed, State::Failed),
        (Event::Expired, State::Expired),
        (Event::Cancelled, State::Cancelled),
    ] {
        let mut known = payment();
        let told = told(known.clone(), &[end]);
        let change = known.restate(&told, NOW).expect("it is told anew");
        assert_eq!((change.event.state, change.event.version), (state, 3));
        assert_eq!(known.state, state);
    }
}
