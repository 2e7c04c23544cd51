use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;

use crate::{
    App,
    model::{Charge, Fact, Kind, Status},
    reply::Reply,
};

#[derive(Serialize)]
struct Ledger<'a> {
    charges: Vec<Entry<'a>>,
    totals: BTreeMap<&'a str, Totals>,
    entries: Vec<Step<'a>>,
}

/// A charge that took or holds money.
#[derive(Serialize)]
struct Entry<'a> {
    payment_intent: &'a str,
    charge: &'a str,
    /// What the card's issuer agreed to.
    amount: i64,
    captured: i64,
    /// What was given back or is on its way back.
    refunded: i64,
    /// What banks have taken and not given back.
    disputed: i64,
    currency: &'a str,
    metadata: &'a BTreeMap<String, String>,
    status: Status,
    /// In Unix seconds.
    at: i64,
}

/// Sums in minor units.
#[derive(Default, Serialize)]
struct Totals {
    charges: u64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    disputed: i64,
    /// What the provider kept.
    fees: i64,
}

#[derive(Serialize)]
struct Step<'a> {
    kind: Kind,
    /// In Unix milliseconds.
    at: i64,
    payment_intent: &'a str,
    charge: Option<&'a str>,
    amount: i64,
    currency: &'a str,
}

/// `GET /_sim/ledger`: what was really charged, in the provider's own words.
pub(crate) async fn ledger(State(app): State<App>) -> Reply {
    let tables = app.desk.store.read();
    let charges: Vec<_> = tables
        .charges
        .all()
        .iter()
        .filter_map(|fact| entry(fact))
        .collect();
    let mut totals: BTreeMap<_, Totals> = BTreeMap::new();
    for charge in &charges {
        let total = totals.entry(charge.currency).or_default();
        total.charges += 1;
        total.authorized += charge.amount;
        total.captured += charge.captured;
        total.refunded += charge.refunded;
        total.disputed += charge.disputed;
    }
    for posting in tables.balance.postings.all() {
        let total = totals.entry(&posting.currency).or_default();
        total.fees += posting.transaction.fee;
    }
    let entries = tables.facts.iter().map(|fact| step(fact)).collect();
    Reply::ok(&Ledger {
        charges,
        totals,
        entries,
    })
}

fn entry(fact: &Fact) -> Option<Entry<'_>> {
    let charge = fact
        .charge
        .as_ref()
        .filter(|charge| charge.decline.is_none())?;
    let terms = &*fact.intent.terms;
    Some(Entry {
        payment_intent: &terms.id,
        charge: &charge.id,
        amount: terms.amount,
        captured: charge.amount_captured,
        refunded: charge.refunded(),
        disputed: disputed(charge),
        currency: &terms.currency,
        metadata: &terms.metadata,
        status: fact.intent.status,
        at: charge.created,
    })
}

fn last(fact: &Fact, amount: impl Fn(&Charge) -> Option<i64>) -> i64 {
    fact.charge.as_ref().and_then(amount).unwrap_or(0)
}

fn disputed(charge: &Charge) -> i64 {
    let entries = charge.disputes.iter().flat_map(|it| &it.transactions);
    -entries.map(|entry| entry.amount).sum::<i64>()
}

fn step(fact: &Fact) -> Step<'_> {
    let terms = &*fact.intent.terms;
    let amount = match fact.kind {
        Kind::Captured | Kind::Booked => fact.intent.received,
        // The latest part is the one that was made.
        Kind::Refunded => last(fact, |charge| charge.refunds.last().map(|it| it.amount)),
        Kind::Disputed => last(fact, |charge| charge.disputes.last().map(|it| it.amount)),
        _ => terms.amount,
    };
    Step {
        kind: fact.kind,
        at: fact.at,
        payment_intent: &terms.id,
        charge: fact.charge.as_ref().map(|charge| charge.id.as_str()),
        amount,
        currency: &terms.currency,
    }
}
