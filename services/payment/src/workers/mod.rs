//! What this service does without being asked.

pub mod balance;
pub mod closing;
pub mod exceptions;
pub mod matching;
pub mod parked;
pub mod reconcile;
pub mod refunds;
pub mod standing;
pub mod sweep;
