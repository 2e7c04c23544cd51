//! The pledge service on real PostgreSQL, Redis and Kafka.

mod attempts;
mod bad_input;
mod campaigns;
mod cancel;
mod create;
mod duplicate;
mod extras;
mod helpers;
mod history;
mod outage;
mod receipt;
mod recovery;
mod sql;
mod timeline;
