//! The totals service over real PostgreSQL, Redis and Kafka.

mod feed;
mod helpers;
mod money;
mod reads;
mod sql;
mod wall;
