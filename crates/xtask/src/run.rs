//! Runs other programs to their end, without losing their output or our patience.

use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::fleet::Identity;
use crate::{interrupt, ui};

/// Builds and test runs take as long as they take; a month is the same as for ever, and an `Instant` can hold it.
const FOR_EVER: Duration = Duration::from_hours(30 * 24);

/// A child that does not outlive us, whatever happens.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _gone = self.0.kill();
            let _reaped = self.0.wait();
        }
    }
}

/// Runs the command with our own input and output, to its end. Once the user wants us to end, the command is asked to
/// end as well and gets ten seconds for it.
pub fn attached(command: &mut Command) -> Result<ExitStatus> {
    let name = name_of(command);
    let child = command
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let identity = Identity::of(child.id().cast_signed());
    let mut child = Guard(child);
    let finished = interrupt::poll(FOR_EVER, || Ok(child.0.try_wait()?));
    if finished.is_err() {
        if let Some(identity) = identity {
            end_tree(identity, &mut child.0);
        }
        interrupt::check()?;
    }
    finished?.with_context(|| format!("{name} did not end"))
}

/// Cargo does not pass a signal on, so its compilers and test programs are told as well.
fn end_tree(identity: Identity, child: &mut Child) {
    let tree = identity.descendants();
    for one in tree.iter().chain([&identity]) {
        one.signal(Signal::SIGTERM);
    }
    identity.wait_gone(Duration::from_secs(10), || {
        child.try_wait().is_ok_and(|status| status.is_some())
    });
    for one in tree {
        if !one.wait_gone(Duration::from_secs(1), || false) {
            one.signal(Signal::SIGKILL);
        }
    }
}

/// Runs the command to its end and returns what it wrote. A failure carries the end of its output.
pub fn captured(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "{} failed ({}):\n{}",
            name_of(command),
            output.status,
            end_of(&text(&output), 20)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs the command to its end and returns everything, whatever its status.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", name_of(command)))
}

/// Both streams of a finished program as text.
pub fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// The last lines of a text, indented, for an error message.
pub fn end_of(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| ui::paint(ui::Colour::Grey, &format!("    {line}")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn name_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let first = command
        .get_args()
        .find(|arg| !arg.to_string_lossy().starts_with('-'));
    first.map_or_else(
        || program.to_string_lossy().into_owned(),
        |first| format!("{} {}", program.to_string_lossy(), first.to_string_lossy()),
    )
}
