//! Payments and what is heard about them. Pure: what the tables and the provider's messages mean, without either.

mod booking;
mod correction;
mod ledger;
mod notice;
mod payment;
mod ruling;
mod statement;

pub use booking::{Booking, Moved, Standing};
pub use correction::{Correction, Flaw, NewCorrection};
pub use ledger::{Account, Effect, Entry, EntrySet, Hold};
pub use notice::{About, Decline, Malformed, News, Notice, What, is_reference};
pub use payment::{Called, Change, Frozen, Origin, Outcome, PROVIDER, Payment, Told, Transition};
pub use ruling::{Ruling, Verdict, rule};
pub use statement::{Corrected, Figures, Month, Statement, Total};
