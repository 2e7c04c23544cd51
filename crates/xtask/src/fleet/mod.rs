//! The one launcher: PostgreSQL, Redis and Kafka as private copies, our own processes around them.
//!
//! Everything that runs is a [`Server`]: it can be started, awaited, killed with SIGKILL, ended with SIGTERM and started
//! again on the same port with the same data. [`Backends`] holds the three brokers and databases, [`Fleet`] holds the
//! services and simulators on top of them. Dropping either kills what it started.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use xtask::fleet::Options;
//!
//! let mut fleet = Options::for_test("crash_after_commit")?
//!     .env("pledge", "CFA_ABORT_AT", "pledge.after_commit")
//!     .start()?;
//! let campaign = fleet.seed()?;
//! // ... give to the campaign; the process aborts ...
//! fleet.wait_for_exit("pledge")?;
//! fleet.start("pledge", &[])?;
//! # Ok(())
//! # }
//! ```

mod backends;
mod bootstrap;
mod build;
mod database_url;
mod environment;
mod identity;
pub mod install;
mod jars;
mod kafka;
mod launch;
pub mod leftovers;
mod lock;
pub mod logs;
mod names;
mod options;
pub mod ports;
mod postgres;
mod probe;
mod process;
mod recover;
mod redis;
mod secrets;
mod seed;
mod server;
pub mod state;
pub mod stripe;
mod view;

pub use backends::{Attach, BackendOptions, Backends, remove_data, remove_fleets};
pub use bootstrap::{Psql, bootstrap};
pub use build::{Profile, cargo, target_dir};
pub use database_url::DatabaseUrl;
pub use environment::{SERVICES, SIMULATORS};
pub use identity::Identity;
pub use launch::Fleet;
pub use lock::Lock;
pub use options::Options;
pub use ports::{BackendPorts, Ports};
pub use probe::Probe;
pub use process::{Process, Spec};
pub use secrets::Secrets;
pub(crate) use seed::Api;
pub use seed::{demo_campaign, first_active_campaign};
pub use server::Server;
