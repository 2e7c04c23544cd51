//! Tests of the launcher and of the rules.

mod backends;
mod helpers;
mod processes;
mod secrets;
mod tidy;
