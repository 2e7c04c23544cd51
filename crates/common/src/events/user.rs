//! What the user service tells about accounts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, topics};
use crate::ids::{ContactId, UserId};
use crate::named::named;

named! {
    /// What an account may do. Organising a campaign is a relation to that campaign, not a role.
    pub enum Role {
        /// Gives, and starts campaigns.
        Donor = "DONOR",
        /// Runs the platform.
        Admin = "ADMIN",
    }
}

named! {
    /// Whether an account can be used.
    pub enum UserStatus {
        /// It can.
        Active = "ACTIVE",
        /// An admin stopped it.
        Suspended = "SUSPENDED",
    }
}

named! {
    /// What happened to an account.
    pub enum UserKind {
        /// Somebody opened it.
        Registered = "user.registered",
    }
}

/// An account as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent {
    /// What happened last.
    pub kind: UserKind,
    /// Which account.
    pub user_id: UserId,
    /// Where to write to its holder.
    pub contact_id: ContactId,
    /// The holder's pseudonym, as [`crate::auth::tokens::donor_ref`] makes it of the e-mail address.
    pub donor_ref: String,
    /// What it may do.
    pub role: Role,
    /// Whether it can be used.
    pub status: UserStatus,
    /// Version of this snapshot.
    pub version: i64,
    /// When it came to stand so.
    pub occurred_at: DateTime<Utc>,
}

impl Event for UserEvent {
    const TOPIC: &'static str = topics::USER.name;

    fn key(&self) -> String {
        self.user_id.to_string()
    }

    fn kind(&self) -> &str {
        self.kind.as_str()
    }

    fn version(&self) -> i64 {
        self.version
    }
}
