//! Payments and what is heard about them. Pure: what the tables and the provider's messages mean, without either.

mod notice;
mod payment;
mod ruling;

pub use notice::{About, Decline, Malformed, News, Notice, What, is_reference};
pub use payment::{Called, Change, Frozen, Origin, Outcome, PROVIDER, Payment, Told, Transition};
pub use ruling::{Ruling, Verdict, rule};
