//! The pledge service's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::process::main("pledge", 3003, pledge::Config::read, pledge::run)
}
