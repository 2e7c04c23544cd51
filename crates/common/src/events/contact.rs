//! Where to write to a donor.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, topics};
use crate::ids::ContactId;

/// A donor's name and address as they stand. Read by the notification service alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactState {
    /// Which contact.
    pub contact_id: ContactId,
    /// The donor's name.
    pub name: String,
    /// The donor's e-mail address.
    pub email: String,
    /// Version of this snapshot.
    pub version: i64,
    /// When it came to stand so.
    pub occurred_at: DateTime<Utc>,
}

/// Leaves out name and address, so that neither ends in a log.
impl std::fmt::Debug for ContactState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContactState")
            .field("contact_id", &self.contact_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Event for ContactState {
    const TOPIC: &'static str = topics::CONTACT.name;

    fn key(&self) -> String {
        self.contact_id.to_string()
    }

    fn kind(&self) -> &'static str {
        "contact.changed"
    }

    fn version(&self) -> i64 {
        self.version
    }
}
