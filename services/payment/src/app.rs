//! What handlers, workers and subjects share while the process runs.

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;
use chassis::{clock::Clock, db::Db, lifecycle::Lifecycle};
use common::{
    auth::{ServiceKey, Verifier, tokens::Signer},
    group_commit::Writer,
    idempotency::Idempotency,
};
use secrecy::SecretString;

use crate::{
    cadence::{Cadences, growing},
    charge::Charges,
    court::Court,
    rejections::Rejections,
    seal::Sealer,
    standing::Pace,
    switch::Switch,
    velocity::{Clients, Declines},
};

/// What handlers share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl App {
    /// Shares it.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

/// What is shared.
pub struct Shared {
    pub db: Db,
    pub clock: Clock,
    pub life: Lifecycle,
    pub verifier: Verifier,
    pub service_key: ServiceKey,
    pub signer: Signer,
    pub idempotency: Idempotency,
    pub sealer: Sealer,
    pub charges: Arc<Charges>,
    pub clients: Clients,
    pub declines: Writer<Declines>,
    pub switch: Switch,
    pub court: Writer<Court>,
    pub rejections: Rejections,
    pub settings: Arc<Settings>,
}

/// What does not change while the process runs.
pub struct Settings {
    pub webhook_secrets: Vec<SecretString>,
    pub livemode: bool,
    pub resolve_every: Duration,
    pub resolve_after: chrono::Duration,
    pub weigh_every: Duration,
    pub cadences: Cadences,
    pub outbox_stuck_after: Duration,
    pub pace: Pace,
}

impl Settings {
    /// The pause before a call to the provider that was made so often without an answer is made again.
    pub fn pause(&self, tries: i32) -> chrono::Duration {
        growing(self.resolve_after, tries, self.longest_pause())
    }

    /// The longest of these pauses.
    pub fn longest_pause(&self) -> chrono::Duration {
        let longest = chrono::Duration::from_std(self.cadences.resolve_at_most);
        longest.unwrap_or(self.resolve_after)
    }
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

impl FromRef<App> for ServiceKey {
    fn from_ref(app: &App) -> Self {
        app.service_key.clone()
    }
}
