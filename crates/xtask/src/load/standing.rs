//! How long single calls take at a rate that leaves room: the same few phases on an empty fleet and on
//! a full one, in turn.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::backlog;
use super::capture;
use super::latency::Latency;
use super::signed;
use super::wire::{self, Pace};
use crate::fleet::state::State;

/// How many a second of each.
const CREATES: u32 = 400;
const WEBHOOKS: u32 = 400;
const TOTALS: u32 = 1000;
const CONNECTIONS: usize = 16;
/// Campaigns that the payments go to.
const CAMPAIGNS: usize = 8;
/// How many times the length of a phase the calls take that count.
const LENGTHS: u32 = 3;

/// How long calls take.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Standing {
    /// `POST /api/pledges`.
    pub create: Latency,
    /// A webhook that moves its payment.
    pub webhook: Latency,
    /// `GET /api/campaigns/{id}/totals`.
    pub totals: Latency,
}

/// What stored payments do to single calls, and how long they take to be audited.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stored {
    /// How many payments.
    pub payments: u64,
    /// How long it took to make them up, in seconds.
    pub fill_seconds: f64,
    /// Before there were any.
    pub empty: Standing,
    /// With all of them.
    pub full: Standing,
    /// How long the audit of them all took, in seconds.
    pub audit_seconds: f64,
    /// Whether it held.
    pub audit_held: bool,
}

impl Stored {
    /// The call that has become slower by most, and by how much.
    pub(super) fn ratio(&self) -> f64 {
        let Self { empty, full, .. } = self;
        [
            (full.create, empty.create),
            (full.webhook, empty.webhook),
            (full.totals, empty.totals),
        ]
        .map(|(full, empty)| full.p95 / empty.p95)
        .into_iter()
        .fold(0.0, f64::max)
    }
}

/// A fleet that is measured.
struct Place<'a> {
    fleet: &'a State,
    run_dir: &'a Path,
    campaigns: Vec<String>,
}

/// What is asked of one fleet: at this rate, to be answered with this status.
struct Calls<'a> {
    authority: &'a str,
    rate: u32,
    expected: u16,
    /// The bytes of each, by its number.
    bytes: Box<dyn Fn(usize) -> Vec<u8> + Sync + 'a>,
}

/// Measures two fleets, each with its run directory: every other second is the one fleet's and every other the other's,
/// because the same machine may be half as fast a minute later. A phase of `seconds` for each only warms up; the one
/// that counts is three times as long.
///
/// # Errors
/// When a call is not answered as it should be.
pub fn compare(fleets: [(&State, &Path); 2], seconds: u64) -> Result<[Standing; 2]> {
    let seconds = u32::try_from(seconds)?;
    let [one, other] = fleets.map(|(fleet, run_dir)| Place::new(fleet, run_dir));
    let places = [one?, other?];
    measure(&places, seconds)?;
    measure(&places, LENGTHS * seconds)
}

fn measure(places: &[Place<'_>; 2], seconds: u32) -> Result<[Standing; 2]> {
    let totals = in_turn(&places.each_ref().map(Place::reads), seconds)?;
    let create = in_turn(&places.each_ref().map(Place::pledges), seconds)?;
    for place in places {
        backlog::drain(place.fleet)?;
    }
    let count = usize::try_from(WEBHOOKS * seconds)?;
    let [one, other] = places;
    let (ones, silence) = signed::prepare(one.fleet, one.run_dir, &one.campaigns, count)?;
    let (others, stillness) = signed::prepare(other.fleet, other.run_dir, &other.campaigns, count)?;
    let webhook = in_turn(&[one.webhooks(ones), other.webhooks(others)], seconds)?;
    silence.end()?;
    stillness.end()?;
    Ok([0, 1].map(|n| Standing {
        create: create[n],
        webhook: webhook[n],
        totals: totals[n],
    }))
}

/// Asks the one for a second, then the other, and so on.
fn in_turn(calls: &[Calls<'_>; 2], seconds: u32) -> Result<[Latency; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for second in 0..seconds {
        for (calls, took) in calls.iter().zip(&mut took) {
            let first = usize::try_from(second * calls.rate)?;
            let pace = Pace {
                authority: calls.authority,
                connections: CONNECTIONS,
                count: usize::try_from(calls.rate)?,
                rate: Some(calls.rate),
                hit: "",
            };
            let sent = wire::drive(pace, |n| (calls.bytes)(first + n))?;
            let expected = calls.expected;
            let other = sent.iter().filter(|one| one.status != expected).count();
            ensure!(
                other == 0,
                "{other} calls were not answered with {expected}"
            );
            took.extend(sent.iter().map(|one| one.took));
        }
    }
    let [one, other] = took.map(|took| Latency::of(took).context("nothing was sent"));
    Ok([one?, other?])
}

impl<'a> Place<'a> {
    fn new(fleet: &'a State, run_dir: &'a Path) -> Result<Self> {
        let campaigns = capture::open_campaigns(fleet, CAMPAIGNS)?;
        Ok(Self {
            fleet,
            run_dir,
            campaigns,
        })
    }

    fn authority(&self) -> &str {
        wire::authority(&self.fleet.gateway)
    }

    fn campaign(&self, n: usize) -> &str {
        &self.campaigns[n % self.campaigns.len()]
    }

    fn reads(&self) -> Calls<'_> {
        let authority = self.authority();
        let bytes = move |n| {
            let line = format!("GET /api/campaigns/{}/totals", self.campaign(n));
            wire::request(authority, &line, &[], "")
        };
        Calls {
            authority,
            rate: TOTALS,
            expected: 200,
            bytes: Box::new(bytes),
        }
    }

    fn pledges(&self) -> Calls<'_> {
        let authority = self.authority();
        let bytes = move |n| {
            let body = json!({
                "campaign_id": self.campaign(n), "amount": { "amount": 2500, "currency": "USD" },
                "donor": { "name": "Load", "email": format!("load{n}@example.org") }, "visibility": "PUBLIC",
            });
            let key = Uuid::new_v4().to_string();
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", &*key),
            ];
            wire::request(authority, "POST /api/pledges", &headers, &body.to_string())
        };
        Calls {
            authority,
            rate: CREATES,
            expected: 201,
            bytes: Box::new(bytes),
        }
    }

    fn webhooks(&self, ready: Vec<Vec<u8>>) -> Calls<'_> {
        Calls {
            authority: self.authority(),
            rate: WEBHOOKS,
            expected: 200,
            bytes: Box::new(move |n| ready[n].clone()),
        }
    }
}
