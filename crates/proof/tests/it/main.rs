//! Real services, real brokers: what CareForAll promises, proved on whole fleets.

mod bad_input;
mod crashes;
mod donation_flow;
mod harness;
mod outages;
mod payments;
mod regressions;
