//! The campaign service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main("campaign", 3002, campaign::Config::read, campaign::run)
}
