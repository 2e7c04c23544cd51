//! Objects as Stripe's API shows them. The names, and the nulls of what is not simulated, are Stripe's.

mod charge;
mod dispute;
mod event;
mod intent;
mod payout;
mod refund;
mod transaction;

use serde::{Serialize, ser::SerializeMap};

pub(crate) use charge::{ChargeView, MethodView};
pub(crate) use dispute::{DisputeView, EVIDENCE};
pub(crate) use event::{EventView, event};
pub(crate) use intent::IntentView;
pub(crate) use payout::PayoutView;
pub(crate) use refund::RefundView;
pub(crate) use transaction::TransactionView;

/// The version of Stripe's API whose shapes and rules are followed.
pub(crate) const API_VERSION: &str = "2026-04-22.dahlia";

/// Who reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The holder of the secret key.
    Merchant,
    /// A browser that holds the intent's client secret.
    Payer,
}

/// Writes an object as JSON text.
pub(crate) fn json(value: &impl Serialize) -> String {
    // None of the views can fail: their keys are strings and their values are plain.
    serde_json::to_string(value).unwrap_or_default()
}

/// A page of a list, newest first.
#[derive(Serialize)]
pub(crate) struct List<T> {
    object: &'static str,
    url: &'static str,
    has_more: bool,
    data: Vec<T>,
}

impl<T> List<T> {
    pub(crate) fn new(url: &'static str, data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: "list",
            url,
            has_more,
            data,
        }
    }
}

fn nulls<M: SerializeMap>(map: &mut M, names: &[&str]) -> Result<(), M::Error> {
    names
        .iter()
        .try_for_each(|name| map.serialize_entry(name, &()))
}
