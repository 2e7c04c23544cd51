//! Queries, a file for each table that they write.

pub mod attempts;
pub mod books;
pub mod idempotency;
pub mod ledger;
pub mod lookup;
pub mod payments;
pub mod transitions;
pub mod webhooks;
