//! Money that the provider converts: our account there is kept in another currency than the payment.

use chrono::{DateTime, Utc};
use common::{
    events::Capture,
    money::{Currency, Money},
    payment::State,
};
use payment::domain::{
    Account, DisputeStatus, Effect, Entered, File, Fit, Kind, Look, Movement, Payment, SeenDispute,
    Settled, Unread, fit,
};

use crate::ruling::opened;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

/// A captured payment of 2500 yen.
fn payment() -> Payment {
    let mut payment = opened(Money::new(2500, Currency::JPY), Capture::Automatic);
    payment.state = State::Captured;
    (payment.authorized, payment.captured) = (2500, 2500);
    payment
}

fn movement(id: &str, amount: i64, fee: i64, currency: &str) -> Movement {
    Movement {
        id: id.to_owned(),
        amount,
        fee,
        currency: currency.to_owned(),
    }
}

fn look(status: DisputeStatus, currency: &str, movements: Vec<Movement>) -> Look {
    Look {
        refunds: Vec::new(),
        listed_at: now(),
        disputes: vec![SeenDispute {
            id: "dp_1".to_owned(),
            amount: 2500,
            currency: currency.to_owned(),
            reason: "fraudulent".to_owned(),
            status,
            evidence_due: None,
            submissions: 0,
            movements,
            opened_at: now(),
        }],
        unread: Vec::new(),
    }
}

#[test]
fn a_dispute_of_converted_money_takes_what_is_disputed_and_its_fee_waits_for_a_person() {
    let (mut file, mut payment) = (File::default(), payment());
    let taken = movement("txn_1", -1689, 1500, "usd");
    let lost = look(DisputeStatus::Lost, "jpy", vec![taken.clone()]);
    let learned = file.learn(&mut payment, &lost, true, now());
    assert_eq!((file.lost(), payment.disputed), (2500, 2500));
    let [post] = learned.posts.as_slice() else {
        panic!("{:?}", learned.posts);
    };
    let lines: Vec<_> = post.entries.iter().map(|e| (e.account, e.amount)).collect();
    assert_eq!(post.effect, Effect::DisputeHeld);
    assert_eq!(
        lines,
        [
            (Account::DisputeHold, Money::new(2500, Currency::JPY)),
            (Account::PspSettled, Money::new(-2500, Currency::JPY)),
        ]
    );
    let [matter] = learned.opened.as_slice() else {
        panic!("{:?}", learned.opened);
    };
    assert_eq!(
        (matter.kind, matter.subject.as_str(), matter.amount),
        (
            Kind::Reconciliation,
            "txn_1",
            Some(Money::new(1500, Currency::USD))
        )
    );
    // It comes back at another rate, and is the same money.
    let returned = movement("txn_2", 1702, 0, "usd");
    let won = look(DisputeStatus::Won, "jpy", vec![taken, returned]);
    let learned = file.learn(&mut payment, &won, true, now());
    assert_eq!((file.disputes[0].withdrawn, payment.disputed), (0, 0));
    assert_eq!(learned.posts.len(), 1);
}

#[test]
fn a_lost_dispute_is_open_no_more_whatever_an_older_list_says_and_may_be_won_yet() {
    let (mut file, mut payment) = (File::default(), payment());
    let taken = movement("txn_1", -2500, 1500, "jpy");
    let lost = look(DisputeStatus::Lost, "jpy", vec![taken.clone()]);
    let learned = file.learn(&mut payment, &lost, true, now());
    assert_eq!((learned.changes.len(), payment.disputed), (1, 2500));
    for open in [DisputeStatus::NeedsResponse, DisputeStatus::UnderReview] {
        let older = look(open, "jpy", vec![taken.clone()]);
        let learned = file.learn(&mut payment, &older, true, now());
        assert_eq!((learned.changes.len(), learned.disputes.len()), (0, 0));
        assert_eq!((file.lost(), payment.disputed), (2500, 2500));
    }
    let back = movement("txn_2", 2500, 0, "jpy");
    let won = look(DisputeStatus::Won, "jpy", vec![taken, back]);
    file.learn(&mut payment, &won, true, now());
    assert_eq!((file.lost(), payment.disputed), (0, 0));
}

#[test]
fn a_dispute_in_the_payments_own_currency_books_its_fee() {
    let (mut file, mut payment) = (File::default(), payment());
    let taken = movement("txn_1", -2500, 1500, "jpy");
    let lost = look(DisputeStatus::Lost, "jpy", vec![taken]);
    let learned = file.learn(&mut payment, &lost, true, now());
    assert_eq!((learned.posts.len(), learned.opened.len()), (2, 0));
}

#[test]
fn a_dispute_that_is_not_in_the_payments_currency_is_not_understood() {
    let (mut file, mut payment) = (File::default(), payment());
    let taken = movement("txn_1", -1689, 1500, "usd");
    let lost = look(DisputeStatus::Lost, "usd", vec![taken]);
    let learned = file.learn(&mut payment, &lost, true, now());
    assert_eq!((learned.posts.len(), payment.disputed), (0, 0));
    assert_eq!(learned.opened[0].kind, Kind::Quarantined);
    assert_eq!(learned.opened[0].subject, "dp_1");
}

#[test]
fn what_is_not_understood_is_a_matter_until_it_is() {
    let (mut file, mut payment) = (File::default(), payment());
    let unread = Unread {
        id: "dp_1".to_owned(),
        what: "a dispute of tomorrow",
    };
    let strange = Look {
        disputes: Vec::new(),
        unread: vec![unread],
        ..look(DisputeStatus::Lost, "jpy", Vec::new())
    };
    let learned = file.learn(&mut payment, &strange, true, now());
    let opened = &learned.opened[0];
    assert_eq!(
        (opened.kind, opened.subject.as_str()),
        (Kind::Quarantined, "dp_1")
    );
    let plain = look(DisputeStatus::NeedsResponse, "jpy", Vec::new());
    let learned = file.learn(&mut payment, &plain, true, now());
    assert!(
        learned
            .closed
            .contains(&(Kind::Quarantined, "dp_1".to_owned()))
    );
}

#[test]
fn of_converted_money_only_the_entry_is_compared() {
    let here = Settled {
        txn: "txn_1".to_owned(),
        payment_id: payment().payment_id,
        gross: 2500,
        fee: 0,
        currency: "JPY".to_owned(),
    };
    let there = |gross, fee, currency| Entered {
        gross,
        fee,
        currency,
    };
    assert_eq!(fit(there(1689, 79, "usd"), Some(&here)), Fit::Matched);
    assert_eq!(fit(there(2500, 0, "jpy"), Some(&here)), Fit::Matched);
    assert_eq!(fit(there(2499, 0, "jpy"), Some(&here)), Fit::AmountDiff);
    assert_eq!(fit(there(2500, 79, "jpy"), Some(&here)), Fit::AmountDiff);
    assert_eq!(fit(there(1689, 79, "usd"), None), Fit::MissingLocal);
}
