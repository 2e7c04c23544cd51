//! The simulator as a real server on a real port, with a real receiver of its webhooks.

mod charging;
mod faults;
mod helpers;
mod idempotency;
mod lists;
mod page;
mod refusals;
mod restart;
mod settlement;
mod webhooks;
