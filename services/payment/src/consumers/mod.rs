//! What this service hears from others.

pub mod pledge_created;
