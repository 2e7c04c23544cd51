//! What CareForAll promises, proved on whole fleets.
//!
//! [`audit`] compares what the provider, the databases and the topics hold, and names what does not agree. [`chaos`]
//! breaks a fleet by a schedule while donors give, lets it heal and has it audited. [`journal`] is what the donors
//! were told meanwhile. [`fill`] gives a fleet a past, so that all of that can be done to a big one.

pub mod audit;
pub mod chaos;
pub mod fill;
pub mod journal;
