//! One table for people, the same as JSON for whoever compares.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::Settings;
use super::backlog::Drain;
use super::capture::Captures;
use super::donations::Donations;
use super::machine::Machine;
use super::mix::Mix;
use super::pgbench::Yardstick;
use super::wrk::Burst;
use crate::ui::{Colour, paint};

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that a run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// From the end of the build until `up` had everything ready; only where this run started the fleet.
    pub ready_seconds: Option<f64>,
    /// `POST /api/pledges` in a closed loop.
    pub pledges: Burst,
    /// What that left behind.
    pub drain: Drain,
    /// The same rows by pgbench.
    pub yardstick: Yardstick,
    /// `GET /api/campaigns/{id}/totals` in a closed loop.
    pub totals: Burst,
    /// From capture to total at a steady rate.
    pub captures: Captures,
    /// Whole donations in a closed loop.
    pub donations: Donations,
    /// The open-loop mix; nothing without k6.
    pub mix: Option<Mix>,
    /// Bytes of each service at the end.
    pub resident: BTreeMap<String, u64>,
}

/// A line of the table.
struct Row {
    what: &'static str,
    figure: String,
    detail: String,
    /// What is promised, and whether it was reached.
    goal: Option<(&'static str, bool)>,
}

impl Report {
    /// Whether every request was answered and the mix kept its promises. Speed that falls short is not an error.
    pub fn is_sound(&self) -> bool {
        self.pledges.errors + self.totals.errors == 0
            && self.captures.refused + self.donations.refused == 0
            && self.mix.as_ref().is_none_or(|mix| mix.kept)
    }

    /// pledges/s over pgbench's.
    pub fn ratio(&self) -> f64 {
        self.pledges.per_second / self.yardstick.per_second
    }

    /// Resident memory of the services together, in MiB.
    pub fn resident_mib(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        let bytes = self.resident.values().sum::<u64>() as f64;
        bytes / MIB
    }

    /// The table.
    pub fn table(&self) -> String {
        let Settings {
            connections,
            seconds,
            ..
        } = self.settings;
        let mut text = format!(
            "{} cores, {}, {} GiB; {}; commit {}, {} build\n\
             closed loops of {connections} connections for {seconds} s; services, stores and load share the machine\n\n",
            self.machine.cores,
            self.machine.processor,
            self.machine.memory_gib,
            self.machine.postgres,
            self.machine.commit,
            self.machine.build,
        );
        for row in self.rows() {
            let goal = match row.goal {
                Some((goal, true)) => paint(Colour::Green, &format!("  {goal}")),
                Some((goal, false)) => paint(Colour::Red, &format!("  {goal}: SHORT")),
                None => String::new(),
            };
            let _infallible = writeln!(
                text,
                "{:<26}{:>14}   {}{goal}",
                row.what, row.figure, row.detail
            );
        }
        match &self.mix {
            Some(mix) => {
                let _infallible = write!(
                    text,
                    "\nmix at {} a second\n{}",
                    self.settings.mix, mix.text
                );
            }
            None => text.push_str("\nmix: skipped, k6 is not installed"),
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        let memory = self.resident_mib();
        let capture = self.captures.to_total;
        let mut rows = vec![
            burst("pledges", &self.pledges, "≥ 5,000/s", 5_000.0),
            row(
                "pgbench, the same rows",
                per_second(self.yardstick.per_second),
                format!("average {:.1} ms", self.yardstick.average_ms),
            ),
            row(
                "pledges / pgbench",
                format!("{:.2}", self.ratio()),
                String::new(),
            ),
            row(
                "backlog drained",
                self.drain
                    .per_second()
                    .map_or("none".to_owned(), per_second),
                self.backlog(),
            ),
            burst("totals", &self.totals, "≥ 20,000/s", 20_000.0),
            Row {
                goal: Some(("p99 ≤ 250 ms", capture.p99 <= 250.0)),
                ..row(
                    "capture to total",
                    format!("{:.0} ms p99", capture.p99),
                    format!(
                        "p50 {:.0} ms, max {:.0} ms, {} donations at {:.0}/s, {} refused",
                        capture.p50,
                        capture.max,
                        self.captures.count,
                        self.captures.per_second,
                        self.captures.refused
                    ),
                )
            },
            row(
                "whole donations",
                per_second(self.donations.per_second),
                format!(
                    "{}, {} refused, all in the total {:.1} s after the last; the donor waits {:.0} ms (p50), {:.0} ms (p99)",
                    self.donations.count,
                    self.donations.refused,
                    self.donations.settling,
                    self.donations.donor.p50,
                    self.donations.donor.p99
                ),
            ),
            Row {
                goal: Some(("≤ 150 MiB", memory <= 150.0)),
                ..row(
                    "memory of the services",
                    format!("{memory:.0} MiB"),
                    self.memory(),
                )
            },
        ];
        if let Some(seconds) = self.ready_seconds {
            let goal = Some(("≤ 15 s", seconds <= 15.0));
            rows.push(Row {
                goal,
                ..row(
                    "up, after the build",
                    format!("{seconds:.1} s"),
                    String::new(),
                )
            });
        }
        rows
    }

    fn backlog(&self) -> String {
        let Drain {
            unpublished,
            unseen,
            seconds,
        } = self.drain;
        format!(
            "{unpublished} events unpublished, {unseen} pledges without a payment at the end of the burst; gone after {seconds:.1} s"
        )
    }

    fn memory(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        let of = |(name, bytes): (&String, &u64)| format!("{name} {:.0}", *bytes as f64 / MIB);
        self.resident.iter().map(of).collect::<Vec<_>>().join(", ")
    }
}

fn row(what: &'static str, figure: String, detail: String) -> Row {
    Row {
        what,
        figure,
        detail,
        goal: None,
    }
}

fn burst(what: &'static str, burst: &Burst, goal: &'static str, least: f64) -> Row {
    Row {
        goal: Some((goal, burst.per_second >= least && burst.errors == 0)),
        ..row(
            what,
            per_second(burst.per_second),
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, {} errors",
                burst.p50_ms, burst.p99_ms, burst.errors
            ),
        )
    }
}

/// `12,345/s`.
fn per_second(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + "/s"
}
