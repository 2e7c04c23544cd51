//! The totals service over real PostgreSQL, Redis and Kafka.

mod buckets;
mod config;
mod drift;
mod explain;
mod feed;
mod helpers;
mod many;
mod money;
mod payment;
mod reads;
mod rebuild;
mod sql;
mod wall;
