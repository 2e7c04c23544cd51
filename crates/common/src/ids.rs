//! Typed ids: a pledge id cannot stand where a campaign id belongs.
//!
//! Pure. In JSON an id is its UUID string; SQL binds [`PledgeId::get`] and its siblings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh UUIDv7: ids made later sort later, so indexes grow at one end.
            #[expect(clippy::new_without_default, reason = "a random id is nobody's default")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID, for SQL.
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

id! {
    /// One promise of a donor to a campaign.
    PledgeId,
    /// One attempt to have a pledge paid.
    PaymentId,
    /// One appeal for money.
    CampaignId,
    /// One account.
    UserId,
    /// Name and address of a donor, known by value only to the notification service.
    ContactId,
}

impl PaymentId {
    /// The id of a pledge's n-th attempt (from 1), so that every service computes the same one
    /// without asking.
    ///
    /// A UUIDv8 ([RFC 9562, section 5.8](https://www.rfc-editor.org/rfc/rfc9562#section-5.8)): the 48 bits of the
    /// pledge's time, then those of the UUIDv5 of pledge and attempt. A UUIDv5 alone is as good as random, and every
    /// index that begins with a payment would be written to at a random page.
    pub fn of(pledge: PledgeId, attempt: i32) -> Self {
        let name = format!("attempt:{attempt}");
        let mut id = Uuid::new_v5(&pledge.get(), name.as_bytes()).into_bytes();
        id[..6].copy_from_slice(&pledge.get().as_bytes()[..6]);
        Self(Uuid::new_v8(id))
    }
}
