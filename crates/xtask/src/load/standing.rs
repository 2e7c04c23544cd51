//! How long single calls take at a rate that leaves room: the same few phases on an empty fleet, and on a full one.

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

/// Measures three times, and gives of each call the middle one; what is measured before only warms up.
pub(super) fn measure(fleet: &State, run_dir: &Path, seconds: u64) -> Result<Standing> {
    let campaigns = capture::open_campaigns(fleet, CAMPAIGNS)?;
    once(fleet, run_dir, &campaigns, seconds)?;
    let rounds = (0..3).map(|_| once(fleet, run_dir, &campaigns, seconds));
    let rounds: Vec<Standing> = rounds.collect::<Result<_>>()?;
    let middle = |of: fn(&Standing) -> Latency| {
        let mut rounds: Vec<_> = rounds.iter().map(of).collect();
        rounds.sort_by(|one, other| one.p95.total_cmp(&other.p95));
        rounds[1]
    };
    Ok(Standing {
        create: middle(|round| round.create),
        webhook: middle(|round| round.webhook),
        totals: middle(|round| round.totals),
    })
}

fn once(fleet: &State, run_dir: &Path, campaigns: &[String], seconds: u64) -> Result<Standing> {
    let authority = wire::authority(&fleet.gateway);
    let run = |rate: u32, bytes: &(dyn Fn(usize) -> Vec<u8> + Sync), expected: u16| {
        let pace = Pace {
            authority,
            connections: CONNECTIONS,
            count: usize::try_from(u64::from(rate) * seconds)?,
            rate: Some(rate),
            hit: "",
        };
        let sent = wire::drive(pace, bytes)?;
        let other = sent.iter().filter(|one| one.status != expected).count();
        ensure!(
            other == 0,
            "{other} calls were not answered with {expected}"
        );
        Latency::of(sent.iter().map(|one| one.took).collect()).context("nothing was sent")
    };
    let campaign = |n: usize| &campaigns[n % campaigns.len()];
    let read = |n| {
        let line = format!("GET /api/campaigns/{}/totals", campaign(n));
        wire::request(authority, &line, &[], "")
    };
    let totals = run(TOTALS, &read, 200)?;
    let pledge = |n| {
        let body = json!({
            "campaign_id": campaign(n), "amount": { "amount": 2500, "currency": "USD" },
            "donor": { "name": "Load", "email": format!("load{n}@example.org") }, "visibility": "PUBLIC",
        });
        let key = Uuid::new_v4().to_string();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", &*key),
        ];
        wire::request(authority, "POST /api/pledges", &headers, &body.to_string())
    };
    let create = run(CREATES, &pledge, 201)?;
    backlog::drain(fleet)?;
    let count = usize::try_from(u64::from(WEBHOOKS) * seconds)?;
    let (requests, silence) = signed::prepare(fleet, run_dir, campaigns, count)?;
    let webhook = run(WEBHOOKS, &|n| requests[n].clone(), 200)?;
    silence.end()?;
    Ok(Standing {
        create,
        webhook,
        totals,
    })
}
