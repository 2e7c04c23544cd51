//! What news do to a payment.

use chrono::{DateTime, Utc};
use common::{
    events::{Capture, PaymentKind},
    ids::{CampaignId, ContactId, PaymentId, PledgeId},
    money::{Currency, Extras, Money},
    payment::State,
};
use payment::domain::{Decline, News, Origin, Outcome, Payment, Verdict, What, rule};

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

/// A payment whose intent `pi_1` was opened.
pub fn opened(amount: Money, capture: Capture) -> Payment {
    let origin = Origin {
        pledge_id: PledgeId::new(),
        campaign_id: CampaignId::new(),
        donor_id: None,
        donor_ref: "ref".to_owned(),
        contact_id: ContactId::new(),
        amount,
        extras: Extras::default(),
        capture,
        expires_at: now(),
        traceparent: None,
    };
    let (mut payment, _) = Payment::first(origin, now());
    payment.provider_ref = Some("pi_1".to_owned());
    payment.outcome = Outcome::Known;
    payment
}

/// One of 25 dollars.
fn payment() -> Payment {
    opened(Money::new(2500, Currency::USD), Capture::Automatic)
}

fn news(payment: &Payment, what: What) -> News {
    News {
        intent: "pi_1".to_owned(),
        payment_id: Some(payment.payment_id),
        amount: 2500,
        currency: "usd".to_owned(),
        what,
    }
}

fn hear(payment: &mut Payment, what: What) -> Verdict {
    let news = news(payment, what);
    rule(payment, &news, None, now()).verdict
}

fn decline() -> What {
    What::Declined(Decline {
        code: "card_declined".to_owned(),
        ..Decline::default()
    })
}

const HELD: What = What::Authorized { held: 2500 };
const TAKEN: What = What::Captured { taken: 2500 };

#[test]
fn a_capture_before_its_authorisation_implies_it() {
    let mut payment = payment();
    let told = news(&payment, TAKEN);
    let ruling = rule(&mut payment, &told, None, now());
    assert_eq!(ruling.verdict, Verdict::Implied);
    let change = ruling.change.unwrap();
    let steps: Vec<_> = change
        .transitions
        .iter()
        .map(|step| (step.from, step.to, step.implied))
        .collect();
    let expected = [
        (State::Pending, State::Authorized, true),
        (State::Authorized, State::Captured, false),
    ];
    assert_eq!(steps, expected);
    assert_eq!(change.event.kind, PaymentKind::Captured);
    assert_eq!(
        (
            change.event.version,
            change.event.authorized,
            change.event.captured
        ),
        (2, 2500, 2500)
    );
    assert_eq!(hear(&mut payment, HELD), Verdict::Stale);
    assert_eq!(hear(&mut payment, TAKEN), Verdict::Duplicate);
    assert_eq!(payment.version, 2);
}

#[test]
fn the_ladder_is_climbed_step_by_step_where_each_is_told() {
    let mut payment = payment();
    assert_eq!(hear(&mut payment, HELD), Verdict::Applied);
    assert_eq!(
        (payment.state, payment.authorized, payment.captured),
        (State::Authorized, 2500, 0)
    );
    assert_eq!(hear(&mut payment, HELD), Verdict::Duplicate);
    let partial = news(&payment, What::Captured { taken: 1000 });
    let ruling = rule(&mut payment, &partial, Some(1000), now());
    assert_eq!(ruling.verdict, Verdict::Applied);
    assert_eq!(
        (payment.state, payment.authorized, payment.captured),
        (State::Captured, 2500, 1000)
    );
}

#[test]
fn less_than_we_asked_for_is_believed_only_where_we_ordered_just_that() {
    for (what, ordered) in [
        (What::Authorized { held: 1000 }, None),
        (What::Captured { taken: 1000 }, None),
        (What::Captured { taken: 1000 }, Some(999)),
    ] {
        let mut payment = payment();
        let before = payment.clone();
        let told = news(&payment, what);
        let ruling = rule(&mut payment, &told, ordered, now());
        assert_eq!(ruling.verdict, Verdict::Conflict);
        assert_eq!(payment, before);
    }
}

#[test]
fn a_decline_is_logged_and_ends_nothing() {
    let mut payment = payment();
    let told = news(&payment, decline());
    let change = rule(&mut payment, &told, None, now()).change.unwrap();
    assert_eq!(change.event.kind, PaymentKind::AttemptFailed);
    assert_eq!(
        (change.event.state, change.event.version),
        (State::Pending, 2)
    );
    assert!(change.transitions.is_empty() && change.decline.is_some());
    assert_eq!(payment.failure.as_ref().unwrap().code, "card_declined");
    assert_eq!(hear(&mut payment, TAKEN), Verdict::Implied);
    assert_eq!(payment.failure, None);
    assert_eq!(hear(&mut payment, decline()), Verdict::Stale);
}

#[test]
fn amounts_are_not_taken_from_a_message_alone() {
    type Change = fn(&mut News);
    let table: [(&str, Change); 7] = [
        ("more than asked", |news| {
            news.what = What::Captured { taken: 2501 }
        }),
        ("nothing", |news| news.what = What::Captured { taken: 0 }),
        ("less than nothing", |news| {
            news.what = What::Captured { taken: -1 }
        }),
        ("more held than asked", |news| {
            news.what = What::Authorized { held: 2501 }
        }),
        ("another amount", |news| news.amount = 2600),
        ("another currency", |news| news.currency = "eur".to_owned()),
        ("no currency", |news| news.currency = String::new()),
    ];
    for (name, change) in table {
        let mut payment = payment();
        let before = payment.clone();
        let mut told = news(&payment, TAKEN);
        change(&mut told);
        assert_eq!(
            rule(&mut payment, &told, None, now()).verdict,
            Verdict::Quarantined,
            "{name}"
        );
        assert_eq!(payment, before, "{name}");
    }
}

#[test]
fn only_the_intent_that_we_asked_for_is_ours() {
    let mut payment = payment();
    let mut other = news(&payment, TAKEN);
    other.intent = "pi_2".to_owned();
    assert_eq!(
        rule(&mut payment, &other, None, now()).verdict,
        Verdict::Conflict
    );
    let mut misnamed = news(&payment, TAKEN);
    misnamed.payment_id = Some(PaymentId::of(PledgeId::new(), 1));
    assert_eq!(
        rule(&mut payment, &misnamed, None, now()).verdict,
        Verdict::Conflict
    );
    payment.provider_ref = None;
    payment.outcome = Outcome::None;
    let unasked = news(&payment, TAKEN);
    assert_eq!(
        rule(&mut payment, &unasked, None, now()).verdict,
        Verdict::Conflict
    );
    assert_eq!(payment.state, State::Pending);
}

#[test]
fn a_webhook_heals_the_record_of_an_intent_that_we_did_not_live_to_write() {
    for outcome in [Outcome::Requested, Outcome::Unknown] {
        for (what, verdict) in [(What::Noted, Verdict::Applied), (TAKEN, Verdict::Implied)] {
            let mut payment = payment();
            payment.provider_ref = None;
            payment.outcome = outcome;
            assert_eq!(hear(&mut payment, what), verdict);
            assert_eq!(payment.provider_ref.as_deref(), Some("pi_1"));
            assert_eq!(payment.outcome, Outcome::Known);
        }
    }
    assert_eq!(hear(&mut payment(), What::Noted), Verdict::Ignored);
}

#[test]
fn an_end_is_named_by_who_asked_for_it() {
    let table = [
        (
            State::Pending,
            Some("requested_by_customer"),
            State::Cancelled,
        ),
        (State::Pending, Some("duplicate"), State::Cancelled),
        (State::Pending, Some("abandoned"), State::Expired),
        (State::Pending, Some("fraudulent"), State::Failed),
        (State::Pending, None, State::Cancelled),
        (State::Pending, Some("reason_of_tomorrow"), State::Cancelled),
        (State::Authorized, None, State::Expired),
        (State::Authorized, Some("automatic"), State::Expired),
        (
            State::Authorized,
            Some("requested_by_customer"),
            State::Cancelled,
        ),
    ];
    for (from, reason, to) in table {
        let mut payment = payment();
        if from == State::Authorized {
            assert_eq!(hear(&mut payment, HELD), Verdict::Applied);
        }
        let cancelled = What::Cancelled(reason.map(str::to_owned));
        assert_eq!(
            hear(&mut payment, cancelled),
            Verdict::Applied,
            "{from} {reason:?}"
        );
        assert_eq!(
            (payment.state, payment.authorized),
            (to, 0),
            "{from} {reason:?}"
        );
    }
}

#[test]
fn what_contradicts_the_record_changes_nothing() {
    let mut ended = payment();
    assert_eq!(hear(&mut ended, What::Cancelled(None)), Verdict::Applied);
    let before = ended.clone();
    assert_eq!(hear(&mut ended, TAKEN), Verdict::Conflict);
    assert_eq!(ended, before);
    let mut taken = payment();
    assert_eq!(hear(&mut taken, TAKEN), Verdict::Implied);
    let before = taken.clone();
    assert_eq!(hear(&mut taken, What::Cancelled(None)), Verdict::Conflict);
    let other_amount = What::Captured { taken: 1000 };
    assert_eq!(hear(&mut taken, other_amount), Verdict::Conflict);
    assert_eq!(taken, before);
}

#[test]
fn the_call_is_a_function_of_the_pledge_alone() {
    let payment = payment();
    let frozen = payment.frozen();
    assert_eq!(frozen, payment.frozen());
    assert_eq!(frozen.key, format!("pay:{}", payment.payment_id));
    let form = String::from_utf8(frozen.request).unwrap();
    let expected = format!(
        "amount=2500&currency=usd&capture_method=automatic&payment_method_types%5B%5D=card\
         &metadata%5Bpayment_id%5D={}&metadata%5Bpledge_id%5D={}&metadata%5Bcampaign_id%5D={}",
        payment.payment_id, payment.pledge_id, payment.campaign_id
    );
    assert_eq!(form, expected);
}

#[test]
fn what_may_only_be_early_is_no_alarm_yet() {
    let loud: Vec<Verdict> = Verdict::ALL
        .into_iter()
        .filter(|verdict| verdict.alarm().is_some())
        .collect();
    assert_eq!(loud, [Verdict::Conflict, Verdict::Quarantined]);
}
