//! The campaign service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery(
        "campaign",
        3002,
        campaign::Config::read,
        campaign::run,
        campaign::recover,
    )
}
