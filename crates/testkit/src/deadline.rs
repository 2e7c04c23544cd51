//! A test that never ends is told by its name, with what each thread of it waits for.

use std::{
    cell::RefCell,
    io::Write as _,
    process::{self, Command},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// Longer than any test takes, on a slow machine too.
const LIMIT: Duration = Duration::from_mins(15);

thread_local! {
    /// Ends with the test's thread, and so after all that the test holds, its runtime among it.
    static RUNNING: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// Has the process abort if this thread's test is not over in fifteen minutes from now. A test that shares its thread with
/// those that follow it (`--test-threads=1`) is left alone.
pub(crate) fn arm() {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    if test == "main" {
        return;
    }
    let (running, over) = mpsc::channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            give_up(&test);
        }
    });
    RUNNING.set(Some(running));
}

fn give_up(test: &str) -> ! {
    // Where there is a debugger, it says more than a name does.
    let pid = process::id().to_string();
    let commands = ["-batch", "-ex", "thread apply all backtrace", "-p", &pid];
    let stacks = Command::new("gdb").args(commands).output();
    let mut out = std::io::stderr();
    if let Ok(stacks) = stacks {
        let _ = out.write_all(&stacks.stdout);
    }
    let _ = writeln!(out, "{test} was not over after {LIMIT:?}");
    process::abort()
}
