//! The journal of what donors were told.

use proof::journal::{Entry, Journal, Kind, Outcome, read};
use uuid::Uuid;

#[test]
fn a_key_is_acknowledged_once_any_try_was_and_refused_only_if_all_were() {
    use Outcome::{Fail, Ok, Unknown};
    for (tries, told) in [
        (vec![Ok], Ok),
        (vec![Unknown, Ok], Ok),
        (vec![Ok, Unknown], Ok),
        (vec![Fail, Ok], Ok),
        (vec![Fail], Fail),
        (vec![Fail, Fail], Fail),
        (vec![Unknown], Unknown),
        (vec![Unknown, Fail], Unknown),
        (vec![Fail, Unknown, Fail], Unknown),
    ] {
        let path = path();
        let journal = Journal::create(&path).expect("a journal");
        let first = entry(1, Ok);
        for outcome in tries.iter().copied() {
            let pledge_id = (outcome == Ok).then(Uuid::new_v4);
            let line = Entry {
                outcome,
                pledge_id,
                ..first.clone()
            };
            journal.add(&line).expect("a line");
        }
        journal.add(&entry(2, Ok)).expect("a line");
        let folded = read(&path).expect("a journal");
        assert_eq!(folded.len(), 2, "{tries:?}");
        assert_eq!(folded[0].outcome, told, "{tries:?}");
        assert_eq!(folded[0].pledge_id.is_some(), told == Ok, "{tries:?}");
        std::fs::remove_file(path).expect("it was there");
    }
}

#[test]
fn a_line_that_is_no_entry_is_named() {
    let path = path();
    let journal = Journal::create(&path).expect("a journal");
    journal.add(&entry(1, Outcome::Ok)).expect("a line");
    std::fs::write(&path, "{\n").expect("a file");
    let error = read(&path).expect_err("half an object");
    assert!(format!("{error:#}").contains("line 1 of"), "{error:#}");
    std::fs::remove_file(path).expect("it was there");
    let path = self::path();
    let error = read(&path).expect_err("no file");
    assert!(format!("{error:#}").starts_with("cannot read"), "{error:#}");
}

#[test]
fn what_is_away_or_has_no_time_is_no_mistake_of_ours_and_neither_is_the_providers() {
    for (kind, status, is_mistake) in [
        (Kind::Pledge, Some(500), true),
        (Kind::Look, Some(500), true),
        (Kind::Refund, Some(501), true),
        (Kind::Payment, Some(502), false),
        (Kind::Payment, Some(503), false),
        (Kind::Payment, Some(504), false),
        (Kind::Payment, Some(409), false),
        (Kind::Payment, Some(201), false),
        (Kind::Payment, None, false),
        (Kind::Confirm, Some(500), false),
        (Kind::Challenge, Some(500), false),
        (Kind::Hold, Some(500), false),
    ] {
        let answer = Entry {
            kind,
            status,
            ..entry(1, Outcome::Unknown)
        };
        assert_eq!(answer.is_our_mistake(), is_mistake, "{kind:?} {status:?}");
    }
}

fn path() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("journal-{}.jsonl", Uuid::new_v4()))
}

pub fn entry(op: u64, outcome: Outcome) -> Entry {
    Entry {
        op,
        key: Uuid::new_v4(),
        kind: Kind::Pledge,
        sent_at: 0,
        outcome,
        status: None,
        code: None,
        campaign_id: Uuid::new_v4(),
        amount: 100,
        currency: "USD".to_owned(),
        email: format!("donor-{op}@example.org"),
        pledge_id: None,
        payment_id: None,
        intent: None,
        after: None,
        route: String::new(),
        trace_id: None,
    }
}
