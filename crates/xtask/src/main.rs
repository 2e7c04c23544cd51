//! `cargo xtask`: the commands of the house.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::commands::{self, Audit, Chaos, Load, Up};
use xtask::{interrupt, ui};

/// The commands of the house.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what is missing, builds, starts everything and seeds a demo campaign.
    Up(Up),
    /// Ends what `up` has started; the data stays.
    Down,
    /// Runs every test on private PostgreSQL, Redis and Kafka.
    Test {
        /// Passed on to the test runner: filters and options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs every check that needs no running service.
    Lint,
    /// Compares what every witness of a fleet says: provider, databases, topics, mails, logs.
    Audit(Audit),
    /// Breaks a fleet by a schedule while donors give, lets it heal, and audits it.
    Chaos(Chaos),
    /// Measures what the platform can take on this machine, with release builds.
    Load(Load),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let done = interrupt::listen().and_then(|()| match command {
        Command::Up(args) => commands::up(&args).map(|()| ExitCode::SUCCESS),
        Command::Down => commands::down().map(|()| ExitCode::SUCCESS),
        Command::Test { args } => commands::test(&args).map(code_of),
        Command::Audit(args) => commands::audit(&args).map(code_of),
        Command::Chaos(args) => commands::chaos(&args).map(code_of),
        Command::Load(args) => commands::load(&args).map(|sound| {
            if sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }),
        Command::Lint => commands::lint().map(|clean| {
            if clean {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }),
    });
    done.unwrap_or_else(|error| {
        ui::fail(&error);
        ExitCode::from(if interrupt::asked() { 130 } else { 1 })
    })
}

/// The status of another program, as ours.
fn code_of(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
