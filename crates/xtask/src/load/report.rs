//! One table for people, the same as JSON for whoever compares.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::Settings;
use super::backlog::Drain;
use super::capture::Captures;
use super::donations::Donations;
use super::latency::Latency;
use super::machine::Machine;
use super::mix::Mix;
use super::overload::Overload;
use super::pgbench::Yardstick;
use super::rebuild::Rebuild;
use super::standing::Stored;
use super::webhooks::{Viral, Webhooks};
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
    /// Far more pledges than fit.
    pub overload: Overload,
    /// From capture to total at a steady rate.
    pub captures: Captures,
    /// The same at a higher rate.
    pub fast_captures: Captures,
    /// Whole donations in a closed loop.
    pub donations: Donations,
    /// Webhooks back to back.
    pub webhooks: Webhooks,
    /// Captures of one campaign at a steady rate.
    pub viral: Viral,
    /// All totals built anew; nothing where that went wrong.
    pub rebuild: Option<Rebuild>,
    /// The open-loop mix; nothing without k6.
    pub mix: Option<Mix>,
    /// Bytes of each service at the end.
    pub resident: BTreeMap<String, u64>,
    /// The same calls with nothing stored and with much; only where that was asked for.
    pub stored: Option<Stored>,
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
            && self.captures.refused + self.fast_captures.refused + self.donations.refused == 0
            && self.webhooks.applied == self.webhooks.count
            && self.stored.is_none_or(|stored| stored.audit_held)
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
            crowd,
            seconds,
            ..
        } = self.settings;
        let mut text = format!(
            "{} cores, {}, {} GiB; {}; commit {}, {} build\n\
             closed loops of {connections} connections, or of {crowd} donors, for {seconds} s; services, stores and load share the machine\n\n",
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
            self.overload(),
            captured("capture to total", &self.captures),
            captured("capture to total", &self.fast_captures),
            self.whole_donations(),
            self.webhooks(),
            self.viral(),
            Row {
                goal: Some(("≤ 150 MiB", memory <= 150.0)),
                ..row(
                    "memory of the services",
                    format!("{memory:.0} MiB"),
                    self.memory(),
                )
            },
        ];
        rows.extend(self.rebuild.map(|rebuild| {
            row(
                "totals built anew",
                per_second(rebuild.per_second()),
                format!("{} payments in {:.1} s", rebuild.payments, rebuild.seconds),
            )
        }));
        rows.extend(self.stored.iter().flat_map(stored));
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

    fn overload(&self) -> Row {
        let Overload { during, after } = self.overload;
        let goodput = self.overload.goodput();
        Row {
            goal: Some(("≥ 80 %", goodput >= 0.8 && after.errors == 0)),
            ..row(
                "pledges, far too many",
                format!("{:.0} %", 100.0 * goodput),
                format!(
                    "{} taken and {} refused over {} connections, p99 {:.0} ms; right after {} with p99 {:.0} ms, {} errors",
                    per_second(self.overload.taken_per_second()),
                    per_second(self.overload.refused_per_second()),
                    Overload::CONNECTIONS,
                    during.p99_ms,
                    per_second(after.per_second),
                    after.p99_ms,
                    after.errors
                ),
            )
        }
    }

    fn whole_donations(&self) -> Row {
        let Donations {
            count,
            refused,
            settling,
            per_second: rate,
            outbox_lag,
            donor,
            ..
        } = self.donations;
        Row {
            goal: Some(("≥ 500/s, lag < 1 s", rate >= 500.0 && outbox_lag < 1.0)),
            ..row(
                "whole donations",
                per_second(rate),
                format!(
                    "{count}, {refused} refused, all in the total {settling:.1} s after the last; outbox at most {outbox_lag:.2} s behind; the donor waits {:.0} ms (p50), {:.0} ms (p99)",
                    donor.p50, donor.p99
                ),
            )
        }
    }

    fn webhooks(&self) -> Row {
        let Webhooks {
            count,
            applied,
            per_second: rate,
            answer,
            settling,
        } = self.webhooks;
        Row {
            goal: Some(("≥ 3,000/s", rate >= 3_000.0 && applied == count)),
            ..row(
                "webhooks applied",
                per_second(rate),
                format!(
                    "{applied} of {count}, each of another payment; p50 {:.1} ms, p99 {:.1} ms; all in the totals {settling:.1} s after the last",
                    answer.p50, answer.p99
                ),
            )
        }
    }

    fn viral(&self) -> Row {
        let Viral {
            count,
            rate,
            per_second: reached,
            to_total,
        } = self.viral;
        // Once the last is in the total, the rate that was reached is that of the senders, less the lag of the last.
        let kept = reached >= 0.95 * f64::from(rate);
        Row {
            goal: Some(("p99 ≤ 250 ms", kept && to_total.p99 <= 250.0)),
            ..row(
                "one viral campaign",
                per_second(reached),
                format!(
                    "{count} captures at {rate}/s; in the total after p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
                    to_total.p50, to_total.p99, to_total.max
                ),
            )
        }
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

fn captured(what: &'static str, captures: &Captures) -> Row {
    let Captures {
        count,
        refused,
        per_second: rate,
        to_total,
        ..
    } = captures;
    Row {
        goal: Some(("p99 ≤ 250 ms", to_total.p99 <= 250.0)),
        ..row(
            what,
            format!("{:.0} ms p99", to_total.p99),
            format!(
                "p50 {:.0} ms, max {:.0} ms, {count} donations at {rate:.0}/s of {}, {refused} refused",
                to_total.p50, to_total.max, captures.rate
            ),
        )
    }
}

fn stored(stored: &Stored) -> [Row; 2] {
    let Stored {
        payments,
        fill_seconds,
        empty,
        full,
        audit_seconds,
        audit_held,
    } = stored;
    let p95 = |full: Latency, empty: Latency| format!("{:.1} ms of {:.1} ms", full.p95, empty.p95);
    [
        Row {
            goal: Some(("≤ 1.3×", stored.ratio() <= 1.3)),
            ..row(
                "p95, full to empty",
                format!("{:.2}×", stored.ratio()),
                format!(
                    "with {payments} payments: create {}, webhook {}, totals {}",
                    p95(full.create, empty.create),
                    p95(full.webhook, empty.webhook),
                    p95(full.totals, empty.totals)
                ),
            )
        },
        Row {
            goal: Some(("≤ 60 s", *audit_held && *audit_seconds <= 60.0)),
            ..row(
                "audit",
                format!("{audit_seconds:.1} s"),
                format!(
                    "of {payments} payments, made up in {fill_seconds:.0} s; {}",
                    if *audit_held { "held" } else { "BROKEN" }
                ),
            )
        },
    ]
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
