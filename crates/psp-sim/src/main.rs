//! The payment provider simulator as a process.

fn main() -> std::process::ExitCode {
    chassis::process::main("psp-sim", 3900, psp_sim::Config::read, psp_sim::run)
}
