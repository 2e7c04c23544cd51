//! The simulator as a real server on a real port, with a real receiver of its webhooks.

mod actions;
mod charging;
mod conformance;
mod disputes;
mod faults;
mod helpers;
mod holds;
mod idempotency;
mod lists;
mod mishaps;
mod page;
mod payouts;
mod rate;
mod refunds;
mod refusals;
mod restart;
mod settlement;
mod webhooks;
