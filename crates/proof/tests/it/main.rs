//! Real services, real brokers: what CareForAll promises, proved on whole fleets.

mod audit;
mod audit_provider;
mod authority;
mod bad_input;
mod chaos;
mod chaos_journal;
mod crashes;
mod crashes_back;
mod described;
mod donation_flow;
mod fill;
mod harness;
mod matrix;
mod matrix_consumers;
mod matrix_database;
mod matrix_processes;
mod outages;
mod payments;
mod rebuild;
mod regressions;
mod schemathesis;
