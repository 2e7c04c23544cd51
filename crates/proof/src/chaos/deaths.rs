//! Processes that end without being asked to. Whoever does not bear a fault, and dies of it, is a finding.

use std::{
    collections::BTreeMap,
    fmt,
    process::ExitStatus,
    time::{Duration, Instant},
};

/// How long a start takes at most. A process that has no database to begin with may give up, and is started again.
const START: Duration = Duration::from_secs(10);
/// Servers that are not ours.
const SERVERS: [&str; 3] = ["postgres", "redis", "kafka"];

/// A process that ended without being asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The process.
    pub name: String,
    /// How it ended.
    pub how: String,
    /// Why it may do so; nothing where it may not.
    pub excuse: Option<&'static str>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, how, excuse } = self;
        write!(f, "{name} ended by itself ({how})")?;
        excuse.map_or(Ok(()), |excuse| write!(f, ", {excuse}"))
    }
}

/// What the processes have to bear, as far as it may excuse their ends.
#[derive(Debug, Default)]
pub struct Watch {
    started: BTreeMap<String, Instant>,
    database_away: bool,
    database_back: Option<Instant>,
}

impl Watch {
    /// A process is started.
    pub fn starts(&mut self, name: &str) {
        self.started.insert(name.to_owned(), Instant::now());
    }

    /// The database goes away.
    pub fn database_goes(&mut self) {
        self.database_away = true;
    }

    /// The database comes back.
    pub fn database_comes(&mut self) {
        self.database_away = false;
        self.database_back = Some(Instant::now());
    }

    /// A process has just ended by itself.
    pub fn death(&self, name: &str, status: ExitStatus) -> Death {
        let excuse = if SERVERS.contains(&name) {
            Some("and is not ours")
        } else if self.is_starting_without_database(name) {
            Some("and had no database to start with")
        } else {
            None
        };
        Death {
            name: name.to_owned(),
            how: status.to_string(),
            excuse,
        }
    }

    fn is_starting_without_database(&self, name: &str) -> bool {
        let Some(started) = self.started.get(name) else {
            return false;
        };
        let was_away = self.database_back.is_some_and(|back| back > *started);
        started.elapsed() < START && (self.database_away || was_away)
    }
}
