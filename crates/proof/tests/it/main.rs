//! Real services, real brokers: what CareForAll promises, proved on whole fleets.

mod audit;
mod bad_input;
mod chaos;
mod chaos_journal;
mod crashes;
mod donation_flow;
mod harness;
mod outages;
mod payments;
mod regressions;
