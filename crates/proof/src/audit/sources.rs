//! Where the witnesses are.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// What the database has forgotten, because it was put back to an older copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When the copy was begun.
    pub since: DateTime<Utc>,
    /// When the database went away.
    pub until: DateTime<Utc>,
}

/// The witnesses of an audit. Whoever is not named is not asked, and what only they could tell is skipped.
#[derive(Clone, Debug)]
pub struct Sources {
    /// PostgreSQL, as superuser, in the database of the services.
    pub database_url: String,
    /// Kafka's bootstrap servers.
    pub brokers: Option<String>,
    /// What the names of topics and groups begin with; empty where the fleet has its broker for itself.
    pub topic_prefix: String,
    /// The ledger of the payment provider's simulator, one JSON object per line.
    pub ledger: PathBuf,
    /// Base URL of the mailbox.
    pub mail_url: Option<String>,
    /// The folder of the services' logs.
    pub logs: Option<PathBuf>,
    /// What donors asked for and were told.
    pub journal: Option<PathBuf>,
    /// Whether the database was put back to an older copy. What no other witness knew of then is lost, and only that.
    pub lost: Option<Lost>,
}
