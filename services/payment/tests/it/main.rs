//! The payment service on real PostgreSQL, Redis and Kafka, with the provider's simulator beside it.

mod bad_input;
mod breaker;
mod checkout;
mod config;
mod court;
mod create;
mod disorder;
mod errors;
mod ledger;
mod ledger_booking;
mod ledger_corrections;
mod ledger_reports;
mod ledger_schema;
mod meeting;
mod notice;
mod outage;
mod provider;
mod ruling;
mod schema;
mod seal;
mod signature;
mod stripe_library;
mod stripe_mock;
mod telling;
mod view;
mod world;
