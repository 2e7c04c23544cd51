//! The gateway's process.

fn main() -> std::process::ExitCode {
    chassis::process::main("gateway", 8080, gateway::Config::read, gateway::run)
}
