//! The pledge service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery(
        "pledge",
        3003,
        pledge::Config::read,
        pledge::run,
        pledge::recover,
    )
}
