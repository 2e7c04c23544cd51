//! Queries, a file for each table that they write.

pub mod attempts;
pub mod batches;
pub mod books;
pub mod campaigns;
pub mod captures;
pub mod controls;
pub mod disputes;
pub mod due;
pub mod exceptions;
pub mod history;
pub mod late_captures;
pub mod ledger;
pub mod lookup;
pub mod matters;
pub mod parked;
pub mod payments;
pub mod payouts;
pub mod refunds;
pub mod restatements;
pub mod rulings;
pub mod runs;
pub mod settlements;
pub mod sweeps;
pub mod transitions;
pub mod webhook_log;
pub mod webhooks;
