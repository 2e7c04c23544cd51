//! What CareForAll promises, whichever service keeps the promise.
//!
//! `ids`, `money`, `payment` and `events` are pure: no I/O crate appears in them.

pub mod auth;
pub mod contact;
pub mod events;
pub mod group_commit;
pub mod idempotency;
pub mod ids;
pub mod inbox;
pub mod money;
mod named;
pub mod openapi;
pub mod outbox;
pub mod paging;
pub mod payment;
mod topic;
pub mod trace;

pub use named::UnknownName;
