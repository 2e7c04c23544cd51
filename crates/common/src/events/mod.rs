//! The facts that services tell each other over Kafka.
//!
//! Pure. Each payload is a full snapshot of its aggregate with a `version` that starts at 1 and grows
//! by one, so a consumer may skip, repeat or reorder deliveries and keep the highest. Schemas only
//! grow: a consumer ignores fields it does not know, and a new `kind` or status is published only once
//! every consumer knows it. No name and no address travels outside [`ContactState`], except the
//! name that a donor chose to show.

mod campaign;
mod contact;
mod payment;
mod pledge;
mod snapshots;
pub mod topics;
mod totals;
mod user;

pub use campaign::{CampaignKind, CampaignState, CampaignStatus, Capture};
pub use contact::ContactState;
pub use payment::{Failure, PaymentEvent, PaymentKind};
pub use pledge::{PledgeEvent, PledgeKind, PledgeStatus, Visibility};
pub use snapshots::PaymentSnapshots;
pub use totals::{TotalsKind, TotalsUpdated};
pub use user::{Role, UserEvent, UserKind, UserStatus};

use serde::Serialize;

/// A payload that the outbox can publish.
pub trait Event: Serialize {
    /// The topic's name, without any prefix.
    const TOPIC: &'static str;

    /// The aggregate's id, which is the message key: events of one aggregate stay in order.
    fn key(&self) -> String;

    /// What happened, such as `pledge.created`; becomes `ce_type`.
    fn kind(&self) -> &str;

    /// The snapshot's version, from 1.
    fn version(&self) -> i64;
}
