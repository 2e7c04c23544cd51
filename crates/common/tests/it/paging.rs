//! Where a list goes on: what a cursor may be.

use chrono::{DateTime, Utc};
use common::paging::{Moment, Paging};
use uuid::Uuid;

fn after(cursor: &str) -> Option<Moment<String>> {
    let paging = Paging::of(None, Some(cursor.to_owned()));
    paging.after().ok().map(|place| place.unwrap())
}

#[test]
fn a_place_in_a_list_is_read_as_it_was_given() {
    let at = DateTime::from_timestamp_micros(1_748_779_200_000_001).unwrap();
    for rest in ["", "evt_1", "PARKED.evt.1", "ünïcödé"] {
        let place = Moment(at, rest.to_owned());
        assert_eq!(after(&place.to_string()), Some(place));
    }
    let place = Moment(at, Uuid::from_u128(7));
    let paging = Paging::of(None, Some(place.to_string()));
    assert_eq!(paging.after().ok(), Some(Some(place)));
    assert_eq!(
        Paging::default().after::<Moment<Uuid>>().ok(),
        Some(None),
        "the first page"
    );
}

#[test]
fn only_times_that_the_database_keeps_are_places() {
    // PostgreSQL's first microsecond, and the last that a time can be here.
    let first = -210_866_803_200_000_000_i64;
    let last = DateTime::<Utc>::MAX_UTC.timestamp_micros();
    for micros in [first, -1, 0, last] {
        assert!(after(&format!("{micros}.x")).is_some(), "{micros}");
    }
    for micros in [first - 1, -300_000_000_000_000_000, i64::MIN, last + 1] {
        assert!(after(&format!("{micros}.x")).is_none(), "{micros}");
    }
}

#[test]
fn what_no_list_gave_is_no_place() {
    for cursor in [
        "",
        "x",
        "1",
        ".",
        ".x",
        "x.1",
        "1_x",
        "1e3.x",
        "9223372036854775808.x",
        "1.\0",
        "1.a\0b",
        "\u{0}1.a",
    ] {
        let refused = Paging::of(None, Some(cursor.to_owned())).after::<Moment<String>>();
        let problem = refused.expect_err(cursor);
        assert_eq!(problem.code(), "invalid_cursor", "{cursor:?}");
    }
    assert!("1.x".parse::<Moment<Uuid>>().is_err());
}
