//! What this service does without being asked.

pub mod balance;
pub mod resolve;
