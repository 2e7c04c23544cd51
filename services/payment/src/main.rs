//! The payment service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery(
        "payment",
        3004,
        payment::Config::read,
        payment::run,
        payment::recover,
    )
}
