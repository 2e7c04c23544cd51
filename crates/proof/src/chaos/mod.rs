//! Faults by a schedule, while donors give; then everything heals, and the audit tells whether the promises held.
//!
//! The seed decides which faults come when, and what the donors do. What the machine makes of it differs from run to
//! run, so a seed is a plan and not a recording: a broken run is had again by running its seed again, a few times.

mod client;
mod deaths;
mod donors;
mod enough;
mod gifts;
mod matching;
mod office;
mod operator;
mod perform;
mod proxy;
mod quiet;
mod report;
mod restore;
mod run;
mod schedule;
mod wire;
mod world;

pub use deaths::{Death, Watch};
pub use matching::Matched;
pub use proxy::{Cut, Proxy};
pub use report::{Outcome, Paused, Seen};
pub use run::{Plan, run};
pub use schedule::{Kind, Schedule, Window};
pub use world::place;
