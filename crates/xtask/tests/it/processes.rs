//! Identities, leftovers, ports, locks.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use xtask::fleet::{Identity, Lock, Ports, Process, Spec, leftovers, ports};
use xtask::settings::find_program;

use crate::helpers::Scratch;

fn sleeper(scratch: &Scratch) -> Spec {
    Spec {
        program: find_program("sleep").unwrap(),
        args: vec!["600".to_owned()],
        env: Vec::new(),
        log: scratch.path().join("logs/sleep.log"),
        run_dir: scratch.path().to_owned(),
        owner: None,
    }
}

#[test]
fn a_reused_pid_is_another_identity() {
    let own = Identity::of(std::process::id().cast_signed()).unwrap();
    assert!(own.is_alive());
    let reused = Identity {
        began: own.began + 1,
        ..own
    };
    assert!(!reused.is_alive());
    // Would end this test if it were delivered.
    reused.signal(Signal::SIGKILL);
    reused.signal_group(Signal::SIGKILL);
}

#[test]
fn a_kill_takes_the_descendants_along() {
    let scratch = Scratch::new("descendants");
    let shell = Spec {
        program: find_program("sh").unwrap(),
        args: vec![
            "-c".to_owned(),
            "setsid sleep 600 & echo started; wait".to_owned(),
        ],
        ..sleeper(&scratch)
    };
    let process = Process::spawn(&shell).unwrap();
    let identity = process.identity();
    let child = xtask::interrupt::poll(Duration::from_secs(10), || {
        let mut found = identity.descendants().into_iter();
        Ok(found.find(|one| {
            std::fs::read_to_string(format!("/proc/{}/comm", one.pid)).is_ok_and(|c| c == "sleep\n")
        }))
    });
    let child = child.unwrap().expect("the shell starts its child");
    process.kill();
    assert!(!identity.is_alive());
    assert!(
        !child.is_alive(),
        "a child in a session of its own goes as well"
    );
}

#[test]
fn leftovers_of_a_run_directory_are_ended_and_no_others() {
    let (mine, other) = (Scratch::new("mine"), Scratch::new("other"));
    let below = Spec {
        run_dir: mine.path().join("fleets/one"),
        ..sleeper(&mine)
    };
    let theirs = Process::spawn(&sleeper(&other)).unwrap();
    let ours = [
        Process::spawn(&sleeper(&mine)).unwrap(),
        Process::spawn(&below).unwrap(),
    ];
    assert_eq!(leftovers::find(mine.path()).len(), 2);

    assert_eq!(
        leftovers::sweep(mine.path(), Duration::from_secs(5)),
        ["sleep", "sleep"]
    );
    for process in ours {
        assert!(!process.identity().is_alive());
        process.kill();
    }
    assert!(theirs.identity().is_alive());
    theirs.kill();
    assert!(leftovers::sweep(mine.path(), Duration::from_secs(5)).is_empty());
}

#[test]
fn a_leftover_that_ignores_the_polite_signal_is_killed() {
    let scratch = Scratch::new("stubborn");
    let stubborn = Spec {
        program: find_program("sh").unwrap(),
        args: vec![
            "-c".to_owned(),
            "trap '' TERM; echo deaf; while :; do sleep 600; done".to_owned(),
        ],
        ..sleeper(&scratch)
    };
    let process = Process::spawn(&stubborn).unwrap();
    let log = stubborn.log.clone();
    let deaf = xtask::interrupt::poll(Duration::from_secs(10), || {
        Ok(std::fs::read_to_string(&log)?
            .contains("deaf")
            .then_some(()))
    });
    deaf.unwrap().expect("the shell says when it is deaf");
    leftovers::sweep(scratch.path(), Duration::from_millis(200));
    assert!(!process.identity().is_alive());
    process.kill();
}

#[test]
fn leases_of_ports_never_overlap() {
    let leases: Vec<Ports> = (0..8).map(|_| Ports::free().unwrap()).collect();
    let mut gateways: Vec<u16> = leases.iter().map(|ports| ports.gateway).collect();
    gateways.dedup();
    assert_eq!(gateways.len(), 8);
    assert!(
        leases
            .iter()
            .all(|ports| ports::is_free(ports.smtp) && !ports.spare.is_empty())
    );
}

#[test]
fn a_taken_port_names_its_holder() {
    let lease = Ports::free().unwrap();
    let port = lease.gateway;
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (pid, command) = ports::holder(port).unwrap();
    assert_eq!(pid, std::process::id().cast_signed());
    let refused = ports::ensure_free("gateway", port).unwrap_err().to_string();
    assert!(refused.contains(&format!(
        "port {port}, wanted by gateway, is held by process {pid} ({command})"
    )));
    drop(listener);
    // A process that another test is just starting holds whatever this one held, until it is its own program.
    let free = xtask::interrupt::poll(Duration::from_secs(10), || {
        Ok(ports::ensure_free("gateway", port).ok())
    });
    free.unwrap().expect("the port is free again");
}

#[test]
fn a_run_directory_has_one_launcher() {
    let scratch = Scratch::new("lock");
    let lock = Lock::take(scratch.path()).unwrap().unwrap();
    assert!(Lock::take(scratch.path()).unwrap().is_none());
    assert_eq!(
        Lock::holder(scratch.path()).unwrap().pid,
        std::process::id().cast_signed()
    );
    drop(lock);
    assert!(Lock::take(scratch.path()).unwrap().is_some());
}

#[test]
fn a_program_that_fails_shows_the_end_of_its_output() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo before; echo the reason >&2; exit 3"]);
    let failed = xtask::run::captured(&mut command).unwrap_err().to_string();
    assert!(failed.contains("exit status: 3"), "{failed}");
    assert!(failed.contains("the reason"), "{failed}");
}
