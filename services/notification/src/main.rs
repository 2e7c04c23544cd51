//! The notification service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery(
        "notification",
        3006,
        notification::Config::read,
        notification::run,
        notification::recover,
    )
}
