//! The payment service on real PostgreSQL, Redis and Kafka, with the provider's simulator beside it.

mod bad_input;
mod breaker;
mod checkout;
mod config;
mod court;
mod create;
mod disorder;
mod errors;
mod meeting;
mod notice;
mod outage;
mod provider;
mod ruling;
mod schema;
mod seal;
mod signature;
mod telling;
mod view;
mod world;
