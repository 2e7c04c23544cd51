//! What the people of the platform do meanwhile: an admin takes what is held or lets it go, gives money back, calls a
//! campaign off, stops charging for a moment and has the provider's account matched, and the banks rule on complaints.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Client, Pledged},
    office::Office,
    wire::Operation,
    world::World,
};
use crate::journal::{Kind, Outcome};

/// The pause after each thing done.
const PAUSE: Duration = Duration::from_millis(150);
/// How long after the load the operator goes on calling the campaign off and ruling.
const LAST_TRIES: Duration = Duration::from_mins(2);
/// How often the provider's account is matched with the books.
const MATCHED_EVERY: Duration = Duration::from_secs(10);
/// How long charging goes on between two pauses, in milliseconds; the first comes a little sooner.
const CHARGING: RangeInclusive<u64> = 5000..=15_000;
const CHARGING_AT_FIRST: RangeInclusive<u64> = 2000..=5000;
/// How long it is paused, in milliseconds.
const PAUSED: RangeInclusive<u64> = 500..=2500;

/// Whoever works while donors give.
pub(super) struct Operator {
    client: Arc<Client>,
    gateway: String,
    provider: String,
    office: Office,
    psp_key: String,
    calling_off: Operation,
    switch: Switch,
    match_at: Instant,
    /// What was decided about gifts whose money is held.
    decisions: HashMap<Uuid, Operation>,
    random: StdRng,
}

/// How the switch of new charges stands, and when it is turned again.
struct Switch {
    paused: bool,
    turn_at: Instant,
}

impl Operator {
    /// Somebody who writes the donors' journal too.
    pub(super) fn new(world: &World, client: Arc<Client>, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            calling_off: client.wire.order(Kind::CallOff, world.doomed),
            client,
            gateway: world.gateway.clone(),
            provider: world.provider.clone(),
            office: world.office.clone(),
            psp_key: world.psp_key.clone(),
            switch: Switch {
                paused: false,
                turn_at: later(&mut random, CHARGING_AT_FIRST),
            },
            match_at: Instant::now() + MATCHED_EVERY,
            decisions: HashMap::new(),
            random,
        }
    }

    /// Refunds, decides about what is held, rules, pauses charging, and has the totals built anew and the provider's account
    /// matched until the time is over, and from the middle on calls one campaign off.
    pub(super) async fn work(mut self, middle: Instant) -> Result<()> {
        let mut is_off = false;
        while self.client.is_needed() {
            self.office.renew().await;
            if Instant::now() > self.switch.turn_at {
                self.turn(!self.switch.paused).await?;
            }
            if Instant::now() > self.match_at {
                self.match_account().await?;
            }
            if !is_off && Instant::now() > middle {
                is_off = self.call_off().await?;
            }
            if let Some(pledged) = self.client.paid.all().choose(&mut self.random) {
                let all = pledged.gift.amount;
                let some = self.random.random_range(1..=all);
                let whole = self.random.random_bool(0.4);
                let amount = if whole { all } else { some };
                self.refund(pledged, amount).await?;
            }
            if let Some(held) = self.client.held.all().choose(&mut self.random)
                && self.decide(held).await?
            {
                // From now on it can be given back.
                self.client.paid.add(held);
            }
            if self.random.random_bool(0.3) {
                let _away = self.rule().await;
            }
            if self.random.random_bool(0.05) {
                self.rebuild().await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let last = Instant::now() + LAST_TRIES;
        // The database may have gone back to a copy in which charging was paused.
        let mut goes_on = false;
        while Instant::now() < last {
            is_off = is_off || self.call_off().await?;
            goes_on = goes_on || self.turn(false).await?;
            if is_off && goes_on && self.rule().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.client
            .contradict("nobody took the last orders of the operator".to_owned());
        Ok(())
    }

    /// Stops new charges, or lets them go on, and says whether that is known to be so. Where nobody has answered it is
    /// turned once more, later, by another order.
    async fn turn(&mut self, paused: bool) -> Result<bool> {
        let operation = self.client.wire.order(Kind::Switch, Uuid::nil());
        let body = json!({ "paused": paused, "reason": "the operator tries the switch" });
        let request = || {
            self.request(Method::PUT, "/api/admin/payments/charging", &operation)
                .json(&body)
        };
        let answer = self.client.wire.persist(&operation, request).await?;
        let is_known = answer.outcome == Outcome::Ok;
        // It may be paused all the same.
        self.switch.paused = paused || !is_known;
        let next = if self.switch.paused { PAUSED } else { CHARGING };
        self.switch.turn_at = later(&mut self.random, next);
        Ok(is_known)
    }

    /// Has the provider's account matched with the books.
    async fn match_account(&mut self) -> Result<()> {
        self.match_at = Instant::now() + MATCHED_EVERY;
        let operation = self.client.wire.order(Kind::Match, Uuid::nil());
        let request = || self.post("/api/admin/reconciliation/runs", &operation);
        self.client.wire.persist(&operation, request).await?;
        Ok(())
    }

    /// Gives back this much of a gift.
    async fn refund(&self, pledged: &Pledged, amount: i64) -> Result<()> {
        let mut operation = self.client.about(pledged, Kind::Refund, None);
        operation.gift.amount = amount;
        let body = json!({
            "amount": { "amount": amount, "currency": "USD" },
            "reason": "asked for by the donor",
        });
        let path = format!("/api/payments/{}/refunds", pledged.payment_id);
        let request = || self.post(&path, &operation).json(&body);
        self.client.wire.persist(&operation, request).await?;
        Ok(())
    }

    /// Takes what is held of a gift, or a part of it, or lets it go: of one gift always the same, under the same key.
    /// Says whether it was taken.
    async fn decide(&mut self, held: &Pledged) -> Result<bool> {
        let payment = held.payment_id;
        let word = payment.as_u128();
        let kind = if word.is_multiple_of(4) {
            Kind::Void
        } else {
            Kind::Capture
        };
        let amount = match word % 4 {
            // All of it.
            0 | 1 => 0,
            _ => 1 + i64::try_from(word % 97).unwrap_or_default(),
        };
        let decided = self.decisions.entry(payment).or_insert_with(|| {
            let mut operation = self.client.about(held, kind, None);
            operation.gift.amount = amount;
            operation
        });
        let operation = decided.clone();
        let path = |what| format!("/api/admin/payments/{payment}/{what}");
        let request = if kind == Kind::Void {
            self.post(&path("void"), &operation)
        } else {
            let body = match amount {
                0 => json!({}),
                _ => json!({ "amount": { "amount": amount, "currency": "USD" } }),
            };
            self.post(&path("capture"), &operation).json(&body)
        };
        let answer = self.client.wire.attempt(&operation, request).await?;
        Ok(kind == Kind::Capture && answer.outcome == Outcome::Ok)
    }

    /// Whether the campaign is known to be called off.
    async fn call_off(&self) -> Result<bool> {
        let operation = &self.calling_off;
        let path = format!("/api/campaigns/{}/cancel", operation.gift.campaign);
        let reason = json!({ "reason": "the school has found another sponsor" });
        let request = self.post(&path, operation).json(&reason);
        let answer = self.client.wire.attempt(operation, request).await?;
        Ok(answer.outcome == Outcome::Ok)
    }

    /// Has the totals of all campaigns built anew; while that is being done, it is refused.
    async fn rebuild(&self) -> Result<()> {
        let operation = self.client.wire.order(Kind::Rebuild, Uuid::nil());
        let request = || self.post("/api/admin/totals/rebuild", &operation);
        self.client.wire.persist(&operation, request).await?;
        Ok(())
    }

    fn post(&self, path: &str, operation: &Operation) -> RequestBuilder {
        self.request(Method::POST, path, operation)
    }

    fn request(&self, method: Method, path: &str, operation: &Operation) -> RequestBuilder {
        let url = format!("{}{path}", self.gateway);
        let request = self.client.wire.http.request(method, url);
        let request = request.header("idempotency-key", operation.key.to_string());
        request.bearer_auth(self.office.token())
    }

    /// The banks decide about what was complained of: the half is lost.
    async fn rule(&mut self) -> Result<()> {
        let url = format!("{}/v1/disputes?limit=100", self.provider);
        let http = &self.client.wire.http;
        let list = http.get(url).bearer_auth(&self.psp_key).send().await?;
        let list: Value = list.error_for_status()?.json().await?;
        let all = list["data"].as_array().into_iter().flatten();
        let open = all.filter(|dispute| dispute["status"] == "needs_response");
        for id in open.filter_map(|dispute| dispute["id"].as_str()) {
            let status = if self.random.random_bool(0.5) {
                "won"
            } else {
                "lost"
            };
            let url = format!("{}/_sim/disputes/{id}", self.provider);
            let ruled = self.client.wire.http.post(url);
            ruled.json(&json!({ "status": status })).send().await?;
        }
        Ok(())
    }
}

/// A moment that is so many milliseconds ahead.
fn later(random: &mut StdRng, millis: RangeInclusive<u64>) -> Instant {
    Instant::now() + Duration::from_millis(random.random_range(millis))
}
