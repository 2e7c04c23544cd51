//! Tests of the shared promises, one file per module.

mod auth;
mod backends;
mod events;
mod group_commit;
mod idempotency;
mod ids;
mod inbox;
mod money;
mod outbox;
mod paging;
mod payment;
mod sql;
