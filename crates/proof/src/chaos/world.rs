//! The fleet of a run: private servers that survive a kill, two processes of the services on the money's way, and a
//! proxy between each service and the database.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use tokio::task::block_in_place;
use uuid::Uuid;
use xtask::{
    fleet::{BackendOptions, Backends, Fleet, Options, Ports, SERVICES, Secrets},
    settings,
};

use super::{office::Office, proxy::Proxy};
use crate::audit::Sources;

/// How soon the payment service repeats a call to the provider that had no answer, tells a person of it, and asks about
/// what webhooks have not told. In production it waits longer; here the run does.
const CADENCES: [(&str, &str); 10] = [
    ("RESOLVE_EVERY_MS", "1000"),
    ("RESOLVE_AFTER_MS", "6000"),
    ("RESOLVE_AT_MOST_MS", "12000"),
    ("RECONCILE_AFTER_MS", "4000"),
    ("SETTLE_LOOK_AFTER_MS", "4000"),
    ("UNKNOWN_AFTER_MS", "4000"),
    ("SWEEP_EVERY_MS", "3000"),
    ("SWEEP_OVERLAP_MS", "20000"),
    ("REFUNDS_PER_SECOND", "1000"),
    ("REFUND_APPROVAL_MINOR", "1000000000000"),
];

/// The provider pays out what is available every few seconds, and banks let go of what is held for longer than this.
const PROVIDER: [(&str, &str); 2] = [("PSP_PAYOUT_EVERY_MS", "3000"), ("PSP_HOLD_MS", "20000")];

/// A fleet on servers of its own, in a run directory of its own. What PostgreSQL acknowledges survives its death.
///
/// # Errors
/// When a server does not start.
pub fn place(run_dir: &Path, bin_dir: PathBuf) -> Result<Options> {
    let backends = Backends::start(&BackendOptions {
        durable: true,
        ..BackendOptions::for_test(run_dir.to_owned())?
    })?;
    Ok(Options {
        root: settings::workspace_root()?,
        run_dir: run_dir.to_owned(),
        secrets_dir: run_dir.join("secrets"),
        bin_dir,
        ports: Ports::free()?,
        backends,
        database: "careforall".to_owned(),
        throwaway: false,
        topic_prefix: String::new(),
        partitions: 3,
        limits: false,
        env: BTreeMap::new(),
        replicas: BTreeMap::new(),
    })
}

/// A running fleet, and the ways to disturb it. Dropped, it kills whatever runs.
pub(super) struct World {
    pub(super) gateway: String,
    pub(super) provider: String,
    pub(super) campaign: Uuid,
    /// The campaign that is called off in the middle.
    pub(super) doomed: Uuid,
    /// The campaign whose gifts are held until an admin takes them.
    pub(super) patient: Uuid,
    /// An admin who has signed in.
    pub(super) office: Office,
    /// What the merchant shows the provider.
    pub(super) psp_key: String,
    pub(super) sources: Sources,
    pub(super) proxies: BTreeMap<&'static str, Proxy>,
    fleet: Arc<Mutex<Fleet>>,
}

impl World {
    /// Starts the fleet; `without` names a guard that it has to do without.
    pub(super) async fn start(mut options: Options, without: Option<&str>) -> Result<Self> {
        let database = options
            .backends
            .database_url
            .with_database(&options.database);
        let port = |url: &str| reqwest::Url::parse(url).ok()?.port();
        let upstream = port(&database.to_string()).context("the database's URL names no port")?;
        let secrets = Secrets::load_or_create(&options.secrets_dir)?;
        let mut proxies = BTreeMap::new();
        for service in SERVICES {
            let Some((role, password)) = secrets.role(service) else {
                continue;
            };
            let proxy = Proxy::start(upstream).await?;
            let url = database.with_role(role, password).to_string();
            let (at, through) = (format!(":{upstream}/"), format!(":{}/", proxy.port));
            options = options.env(service, "DATABASE_URL", &url.replace(&at, &through));
            proxies.insert(service, proxy);
        }
        for (name, value) in CADENCES {
            options = options.env("payment", name, value);
        }
        for (name, value) in PROVIDER {
            options = options.env("psp-sim", name, value);
        }
        // A member that a dead broker left hanging is replaced while the run still waits.
        options = options.env("*", "KAFKA_SILENCE_MS", "15000");
        if let Some(guard) = without {
            options = options.env("*", "CFA_WITHOUT", guard);
        }
        let run_dir = options.run_dir.clone();
        let options = options.replicas("pledge", 2).replicas("payment", 2);
        let (fleet, campaign) = block_in_place(|| {
            let fleet = options.start()?;
            let campaign = fleet.seed()?;
            anyhow::Ok((fleet, campaign))
        })?;
        let office = Office::open(&fleet.gateway(), &secrets).await?;
        Ok(Self {
            doomed: office.campaign("automatic").await?,
            patient: office.campaign("manual").await?,
            office,
            psp_key: secrets.psp_secret_key,
            gateway: fleet.gateway(),
            provider: fleet.psp(),
            campaign: campaign.parse().context("the campaign's id")?,
            sources: Sources {
                database_url: database.to_string(),
                brokers: Some(fleet.brokers().to_owned()),
                topic_prefix: fleet.topic_prefix().to_owned(),
                ledger: run_dir.join("psp/ledger.jsonl"),
                mail_url: Some(fleet.mail()),
                logs: Some(run_dir.join("logs")),
                journal: Some(run_dir.join("journal.jsonl")),
                lost: None,
            },
            proxies,
            fleet: Arc::new(Mutex::new(fleet)),
        })
    }

    /// The fleet, for as long as nobody else needs it.
    pub(super) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything in an orderly way.
    pub(super) fn stop(self) {
        block_in_place(|| self.fleet().stop());
    }
}
