//! `cargo xtask`: the commands of the house.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::commands::{self, Audit, Chaos, Fill, Load, Schemathesis, Up};
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
    /// Sends a fleet whatever its OpenAPI document allows, and what it does not, and compares the answers with it.
    Schemathesis(Schemathesis),
    /// Gives a fleet that does not run a past of finished donations.
    Fill(Fill),
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
        Command::Schemathesis(args) => commands::schemathesis(&args).map(code_if),
        Command::Load(args) => commands::load(&args).map(code_if),
        Command::Lint => commands::lint().map(code_if),
        Command::Fill(args) => commands::fill(&args).map(code_of),
    });
    done.unwrap_or_else(|error| {
        ui::fail(&error);
        ExitCode::from(if interrupt::asked() { 130 } else { 1 })
    })
}

/// Success, where all is as it should be.
fn code_if(sound: bool) -> ExitCode {
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The status of another program, as ours.
fn code_of(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
