//! What the commands say, and in which colour.

use std::io::{IsTerminal, Write};
use std::sync::LazyLock;

use crate::settings;

static COLOURED: LazyLock<bool> =
    LazyLock::new(|| settings::var("NO_COLOR").is_none() && std::io::stdout().is_terminal());

/// A colour of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For what went well.
    Green,
    /// For what went wrong.
    Red,
    /// For what deserves a look.
    Yellow,
    /// For what may be skipped when reading.
    Grey,
    /// For names.
    Cyan,
    /// For names.
    Blue,
    /// For names.
    Magenta,
}

/// The text in that colour, or as it is where the output is not a terminal or `NO_COLOR` is set.
pub fn paint(colour: Colour, text: &str) -> String {
    if !*COLOURED {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Blue => 34,
        Colour::Magenta => 35,
        Colour::Cyan => 36,
        Colour::Grey => 90,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// A line on standard output. A reader that has gone away is no error.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line of progress: what is being done.
pub fn step(what: &str) {
    say(&format!("{} {what}", paint(Colour::Cyan, "==>")));
}

/// A line of progress: what is done.
pub fn done(what: &str) {
    say(&format!("{} {what}", paint(Colour::Green, " ok")));
}

/// A line that deserves a look.
pub fn warn(what: &str) {
    say(&format!("{} {what}", paint(Colour::Yellow, "  !")));
}

/// The last word of a command that failed: the whole chain of causes, on standard error.
pub fn fail(error: &anyhow::Error) {
    let _gone = writeln!(
        std::io::stderr().lock(),
        "{} {error:#}",
        paint(Colour::Red, "error:")
    );
}
