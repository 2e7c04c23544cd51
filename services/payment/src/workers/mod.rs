//! What this service does without being asked.

pub mod resolve;
