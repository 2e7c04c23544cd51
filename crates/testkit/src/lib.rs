//! What tests stand on: real PostgreSQL, Redis and Kafka, a database per test, one service in process.
//!
//! The servers come from `DATABASE_URL` (a superuser's), `REDIS_URL` and `KAFKA_BROKERS`, which `cargo xtask test`
//! sets; nothing in here starts a server or pretends to be one.

mod backends;
mod database;
mod deadline;
mod keys;
mod running;
pub mod sql;

pub use backends::{Backends, cache, kafka, publish};
pub use database::Database;
pub use keys::{
    issuer, other_issuer, private_key, public_keys, service_secret, token_secret, user_token,
    verifier,
};
pub use running::{Running, eventually, problem_code, serve};
