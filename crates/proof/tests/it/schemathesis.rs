//! Whatever the OpenAPI document allows, and what it does not, sent to a whole fleet.

use std::path::PathBuf;

use xtask::{
    schemathesis::{Effort, Subject, examine},
    settings,
};

use crate::harness::own;

#[test]
fn no_answer_is_a_mistake_of_ours_or_other_than_described() {
    let Some(library) = settings::var("CFA_SCHEMATHESIS").map(PathBuf::from) else {
        skipped();
        return;
    };
    // What is sent may change anything, so nobody else uses this fleet.
    own("schemathesis", |fleet| {
        let campaign = fleet.seed().expect("a campaign");
        let subject = Subject::of(fleet, &campaign).expect("a gift");
        for caller in &subject.callers {
            // Enough to reach every operation many times, in less than a minute.
            let effort = Effort {
                seed: 1,
                examples: 10,
                boundaries: caller.name == "admin",
            };
            let report = examine(&library, &subject, caller, effort, fleet.run_dir());
            let report = report.expect("a report");
            show(&report.text);
            assert!(report.sound, "{}", report.text);
        }
    });
}

#[expect(
    clippy::print_stderr,
    reason = "a test that checks nothing must say so"
)]
fn skipped() {
    eprintln!("schemathesis: skipped, CFA_SCHEMATHESIS is not set; `cargo xtask test` provides it");
}

#[expect(clippy::print_stdout, reason = "what was sent is worth a look")]
fn show(text: &str) {
    println!("{text}");
}
