//! Chaos: short seeds hold, and a run without one of the guards does not. The guards are what these runs hold by.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use proof::{
    audit::{Report, Verdict},
    chaos::{self, Kind, Outcome, Paused, Plan, Schedule, Watch},
    journal,
};
use serde_json::json;
use uuid::Uuid;
use xtask::{fleet::Options, settings};

use crate::{chaos_journal::entry, harness::slot};

const LOAD: Duration = Duration::from_secs(15);

#[test]
fn the_same_seed_gives_the_same_schedule() {
    let draw = |seed| Schedule::draw(seed, LOAD, &Kind::ALL);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    assert_eq!(draw(7).to_string(), draw(7).to_string());
}

#[test]
fn every_fault_is_healed_before_the_end_and_none_heals_another() {
    for seed in 0..500 {
        let Schedule(windows) = Schedule::draw(seed, LOAD, &Kind::ALL);
        assert!(windows.len() > 2, "seed {seed} does too little");
        for (at, window) in windows.iter().enumerate() {
            assert!(window.ends() < LOAD, "seed {seed}: {window}");
            let is_cut = |kind| matches!(kind, Kind::CutReply | Kind::CutMiddle);
            let of_the_same = |other: &&chaos::Window| {
                other.target == window.target && is_cut(other.kind) == is_cut(window.kind)
            };
            for other in windows[at + 1..].iter().filter(of_the_same) {
                assert!(window.ends() < other.at, "seed {seed}: {window}, {other}");
            }
        }
    }
}

#[test]
fn every_kind_of_fault_comes_up() {
    for kind in Kind::ALL {
        let comes_up = |seed| {
            let Schedule(windows) = Schedule::draw(seed, LOAD, &Kind::ALL);
            windows.iter().any(|window| window.kind == kind)
        };
        assert!((0..50).any(comes_up), "{kind:?}");
    }
    assert_eq!(Schedule::draw(1, LOAD, &[]), Schedule::default());
}

#[test]
fn while_the_database_is_copied_and_put_back_nothing_else_goes_wrong() {
    let (short, age) = (Duration::from_secs(3), Duration::from_secs(20));
    for seed in 0..500 {
        let plan = Plan::new(seed, short).restoring(age);
        let (length, draw) = (plan.length, || plan.schedule());
        let Schedule(windows) = draw();
        assert_eq!(draw(), Schedule(windows.clone()));
        let restores: Vec<_> = windows
            .iter()
            .filter(|window| window.kind == Kind::Restore)
            .collect();
        let [restore] = restores[..] else {
            panic!("seed {seed}: {restores:?}");
        };
        assert_eq!(restore.lasts, age);
        assert!(restore.ends() < length, "seed {seed}: {restore}");
        let others = windows.iter().filter(|other| *other != restore);
        for other in others {
            for moment in [restore.at, restore.ends()] {
                assert!(
                    other.ends() < moment || other.at > moment,
                    "seed {seed}: {restore}, {other}"
                );
            }
        }
    }
}

#[test]
fn donors_give_until_the_copy_is_old_enough() {
    for (seconds, age, least) in [(60, 600, 600), (900, 600, 900), (60, 20, 60)] {
        let (length, age) = (Duration::from_secs(seconds), Duration::from_secs(age));
        let plan = Plan::new(1, length).restoring(age);
        assert!(plan.length >= Duration::from_secs(least), "{plan:?}");
        assert!(plan.length < Duration::from_secs(least + 60), "{plan:?}");
        let Schedule(windows) = plan.schedule();
        let last = windows.iter().map(chaos::Window::ends).max();
        assert!(last < Some(plan.length), "{plan:?}");
    }
}

#[test]
fn a_process_that_ends_by_itself_breaks_a_run() {
    let aborted = ExitStatus::from_raw(6);
    let mut watch = Watch::default();
    let outcome = outcome(Vec::new(), vec![watch.death("pledge", aborted)]);
    assert_eq!(outcome.verdict(), "chaos seed 1: BROKEN I12");
    let told = outcome.to_string();
    assert!(told.contains("pledge ended by itself (signal: 6"), "{told}");
    // It runs for longer, or nobody has taken its database away.
    watch.starts("payment");
    assert!(watch.death("payment", aborted).excuse.is_none());
    watch.database_goes();
    assert!(watch.death("pledge", aborted).excuse.is_none());
}

#[test]
fn a_start_without_a_database_and_a_server_that_is_not_ours_break_nothing() {
    let failed = ExitStatus::from_raw(256);
    let mut watch = Watch::default();
    watch.database_goes();
    watch.starts("user");
    let while_it_was_away = watch.death("user", failed);
    watch.database_comes();
    let deaths = vec![
        while_it_was_away,
        watch.death("user", failed),
        watch.death("kafka", failed),
    ];
    assert!(self::outcome(Vec::new(), deaths).held());
    watch.starts("user");
    assert!(watch.death("user", failed).excuse.is_none());
}

#[test]
fn those_who_come_back_after_a_pause_are_counted() {
    use journal::Outcome::{Ok, Unknown};
    let put_off = |op| journal::Entry {
        status: Some(503),
        code: Some("charging_paused".to_owned()),
        ..entry(op, Unknown)
    };
    let back = journal::Entry {
        outcome: Ok,
        ..put_off(1)
    };
    let back = journal::Entry { code: None, ..back };
    let tries = vec![put_off(1), put_off(2), entry(3, Ok), back];
    let tries = tries.into_iter().map(|one| journal::Entry {
        key: Uuid::from_u128(one.op.into()),
        ..one
    });
    let counted = outcome(tries.collect(), Vec::new()).paused;
    let expected = Paused {
        put_off: 2,
        came_back: 1,
    };
    assert_eq!(counted, expected);
}

#[test]
fn a_database_that_is_put_back_to_an_older_copy_costs_no_charge_and_no_refund() {
    held(&on_servers_of_its_own(&restoring(None)));
}

#[test]
fn without_the_recovery_a_run_that_goes_back_to_an_older_copy_is_broken() {
    let outcome = on_servers_of_its_own(&restoring(Some("recovery")));
    assert!(outcome.report.broken().contains(&"I6"), "{outcome}");
}

#[test]
fn seed_1_holds() {
    held(&seed(1));
}

#[test]
fn seed_2_holds() {
    held(&seed(2));
}

#[test]
fn seed_3_holds() {
    held(&seed(3));
}

#[test]
fn with_every_guard_in_place_retries_double_clicks_and_disordered_webhooks_break_nothing() {
    held(&provoked(None));
}

#[test]
fn a_run_in_which_nobody_gives_proves_nothing_and_says_so() {
    let plan = Plan {
        kinds: Vec::new(),
        donors: 0,
        overtime: Duration::ZERO,
        ..Plan::new(1, Duration::from_secs(1))
    };
    let ended = try_run(&plan, || Options::for_test("chaos"));
    let error = ended.expect_err("nothing was acknowledged").to_string();
    assert!(error.starts_with("too little was acknowledged"), "{error}");
}

#[test]
fn without_the_uniqueness_of_keys_a_run_is_broken() {
    broken("idempotency", "I1");
}

#[test]
fn without_the_memory_of_webhooks_a_run_is_broken() {
    broken("webhook_dedupe", "I7");
}

#[test]
fn without_taking_the_old_snapshot_out_a_run_is_broken() {
    broken("snapshot", "I5");
}

#[test]
fn without_the_check_of_transitions_a_run_is_broken() {
    broken("transition", "I8");
}

#[test]
fn without_the_outbox_in_the_transaction_a_run_is_broken() {
    broken("outbox", "I6");
}

#[test]
fn without_one_key_for_each_call_to_the_provider_a_run_is_broken() {
    broken("psp_key", "I3");
}

#[test]
fn without_the_books_a_run_is_broken() {
    broken("ledger", "I4");
}

#[test]
fn without_the_standing_rule_of_refunds_a_run_is_broken() {
    broken("standing_refund", "I3");
}

/// A run with every kind of fault.
fn seed(seed: u64) -> Outcome {
    on_servers_of_its_own(&Plan::new(seed, LOAD))
}

/// A run in which PostgreSQL is put back to a copy that is twenty seconds old.
fn restoring(without: Option<&str>) -> Plan {
    Plan {
        kinds: Vec::new(),
        without: without.map(str::to_owned),
        patience: Duration::from_secs(if without.is_some() { 10 } else { 120 }),
        ..Plan::new(1, LOAD).restoring(Duration::from_secs(20))
    }
}

/// What became of a run in which clients made these tries, and the audit found nothing.
fn outcome(tries: Vec<journal::Entry>, deaths: Vec<chaos::Death>) -> Outcome {
    let verdict = Verdict {
        invariant: "I12",
        promise: "nothing fails",
        compared: String::new(),
        findings: Vec::new(),
        skipped: None,
    };
    let report = Report {
        verdicts: vec![verdict],
        ..Report::default()
    };
    Outcome::new(1, tries, deaths, report)
}

fn on_servers_of_its_own(plan: &Plan) -> Outcome {
    run(plan, || {
        let root = settings::workspace_root()?;
        let name = format!("chaos_{}_{}", plan.seed, Uuid::new_v4().simple());
        let run_dir = settings::run_dir(&root).join("fleets").join(name);
        // The services were built beside this program's folder.
        let program = std::env::current_exe()?;
        let beside = program
            .ancestors()
            .nth(2)
            .expect("a folder above")
            .to_owned();
        let bin_dir = settings::var("CFA_BIN_DIR").map_or(beside, Into::into);
        Ok(Options {
            throwaway: true,
            ..chaos::place(&run_dir, bin_dir)?
        })
    })
}

/// A short run in which nothing fails, and which tries the guards: keys come again, buttons are clicked twice, and
/// webhooks come twice, late and in another order.
fn provoked(without: Option<&str>) -> Outcome {
    let plan = Plan {
        kinds: Vec::new(),
        provider: Some(json!({
            "seed": 1, "duplicate": 0.9, "reorder": 0.5,
            "delay": { "probability": 0.2, "max_ms": 300 },
        })),
        without: without.map(str::to_owned),
        // A break that is expected need not be waited for.
        patience: Duration::from_secs(if without.is_some() { 15 } else { 120 }),
        ..Plan::new(1, Duration::from_secs(5))
    };
    run(&plan, || Options::for_test("chaos"))
}

fn run(plan: &Plan, place: impl FnOnce() -> anyhow::Result<Options>) -> Outcome {
    let ended = try_run(plan, place);
    ended.unwrap_or_else(|error| panic!("the run did not come to its end: {error:?}"))
}

fn try_run(
    plan: &Plan,
    place: impl FnOnce() -> anyhow::Result<Options>,
) -> anyhow::Result<Outcome> {
    let _slot = slot();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async { chaos::run(place()?, plan).await })
}

fn held(outcome: &Outcome) {
    assert!(outcome.held(), "{outcome}");
    let seed = outcome.seed;
    assert_eq!(outcome.verdict(), format!("chaos seed {seed}: held"));
    assert!(outcome.matched.paid_out > 0, "{outcome}");
}

fn broken(guard: &str, invariant: &str) {
    let outcome = provoked(Some(guard));
    let broken = outcome.report.broken();
    assert!(broken.contains(&invariant), "{outcome}");
    let verdict = format!("chaos seed 1: BROKEN {}", broken.join(", "));
    assert_eq!(outcome.verdict(), verdict);
}
