//! The campaign service on real PostgreSQL, Redis and Kafka.

mod create;
mod domain;
mod errors;
mod events;
mod helpers;
mod list;
mod moves;
mod recovery;
mod surface;
mod visibility;
