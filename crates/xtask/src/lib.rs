//! The commands of the house, and the launcher behind them.
//!
//! [`fleet`] is the one place that starts PostgreSQL, Redis, Kafka and our own processes: `cargo xtask up` uses it for
//! people, the tests that kill services use it for themselves. [`tidy`] turns the rules of the house into failing
//! tests. [`commands`] holds one file per subcommand.
//!
//! This crate talks to the servers through their own command line tools and plain HTTP; it never links a database or
//! broker driver, so that it compiles in seconds.

pub mod commands;
pub mod fleet;
pub mod interrupt;
pub mod load;
pub mod run;
pub mod schemathesis;
pub mod settings;
pub mod tidy;
pub mod ui;
