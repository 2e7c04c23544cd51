//! Tests of the launcher and of the rules.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at the machine directly"
)]

mod backends;
mod helpers;
mod processes;
mod secrets;
mod tidy;
