//! Ids are UUIDs on the wire and types in the code.

use common::ids::{PaymentId, PledgeId};
use uuid::Builder;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn an_id_is_its_uuid_in_json_and_text() {
    let id: PledgeId = ID.parse().unwrap();

    assert_eq!(id.to_string(), ID);
    assert_eq!(serde_json::to_value(id).unwrap(), ID);
    assert_eq!(serde_json::from_value::<PledgeId>(ID.into()).unwrap(), id);
    assert!("no-uuid".parse::<PledgeId>().is_err());
}

#[test]
fn ids_made_later_sort_later() {
    let ids: Vec<_> = std::iter::repeat_with(PledgeId::new).take(1_000).collect();

    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_payment_id_follows_from_pledge_and_attempt() {
    let pledge: PledgeId = ID.parse().unwrap();

    let first = PaymentId::of(pledge, 1);

    // Written down here, because other services and older releases must compute the same one.
    assert_eq!(first.to_string(), "01890a5d-ac96-8e6b-981b-d6e11749cae4");
    assert_eq!(first, PaymentId::of(pledge, 1));
    assert_ne!(first, PaymentId::of(pledge, 2));
    assert_ne!(first, PaymentId::of(PledgeId::new(), 1));
}

#[test]
fn payments_of_later_pledges_sort_later() {
    // Two ids of one millisecond have no order among their payments.
    let pledge =
        |millis| PledgeId::from(Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid());
    let payments: Vec<_> = (1..1_000).map(|at| PaymentId::of(pledge(at), 1)).collect();

    assert!(payments.is_sorted());
}
