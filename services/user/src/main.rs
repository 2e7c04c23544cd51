//! The user service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main_with_recovery("user", 3001, user::Config::read, user::run, user::recover)
}
