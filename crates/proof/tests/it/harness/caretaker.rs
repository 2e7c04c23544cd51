//! Ends a fleet when the process of its tests has ended, in whatever way: a second process waits for that.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use xtask::{
    fleet::{DatabaseUrl, Psql, leftovers, remove_data},
    settings,
};

const RUN_DIR: &str = "CFA_CARE_FOR";
const DATABASE: &str = "CFA_CARE_FOR_DATABASE";

/// Starts the caretaker of a fleet. It gets to work when the pipe to it closes, with the value returned here or with
/// this process.
pub fn appoint(run_dir: &Path, database: &DatabaseUrl) -> io::Result<Child> {
    // This program, even when cargo has built another one in its place since.
    Command::new("/proc/self/exe")
        .args(["--exact", "harness::caretaker::ends_the_fleet", "--ignored"])
        .env(RUN_DIR, run_dir)
        .env(DATABASE, database.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A ctrl-c in the terminal ends the tests, and must not end who cleans up after them.
        .process_group(0)
        .spawn()
}

#[test]
#[ignore = "the harness runs it, in a process of its own"]
fn ends_the_fleet() {
    let (Some(run_dir), Some(database)) = (settings::var(RUN_DIR), settings::var(DATABASE)) else {
        return;
    };
    // Nothing is ever written to the pipe: it ends when the tests have.
    io::copy(&mut io::stdin(), &mut io::sink()).expect("the pipe can be read");
    let run_dir = Path::new(&run_dir);
    leftovers::sweep(run_dir, Duration::ZERO);
    let database: DatabaseUrl = database.parse().expect("the harness wrote a URL");
    let name = database.database().replace('"', "\"\"");
    // A private PostgreSQL is gone already, and its data go with the directory.
    let _gone = Psql::new(&database.with_database("postgres"))
        .and_then(|psql| psql.query(&format!("drop database if exists \"{name}\" with (force)")));
    remove_data(run_dir).expect("the data of a fleet can be removed");
}
