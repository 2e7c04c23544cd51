//! The totals service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery(
        "totals",
        3005,
        totals::Config::read,
        totals::run,
        totals::recover,
    )
}
