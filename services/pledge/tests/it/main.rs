//! The pledge service on real PostgreSQL, Redis and Kafka.

mod bad_input;
mod create;
mod helpers;
mod history;
mod outage;
mod sql;
