//! Who called a payment off. Pure.

use common::{ids::PaymentId, payment::Event};

use super::call::Frozen;

/// Who asked for an intent to be cancelled: it decides how the payment ends. The first who asks is written down and
/// stays, but for the donor, whose word comes before all others', and for a time that ran out where the money turns out to
/// be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The donor.
    Donor,
    /// An admin.
    Admin,
    /// Its time ran out.
    Expired,
    /// Too many tries were declined, or one for a reason that none gets over.
    Declines,
    /// The campaign was closed.
    CampaignClosed,
}

impl Ending {
    /// Everyone who may ask.
    pub const ALL: [Self; 5] = [
        Self::Donor,
        Self::Admin,
        Self::Expired,
        Self::Declines,
        Self::CampaignClosed,
    ];

    /// The spelling in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Donor => "DONOR",
            Self::Admin => "ADMIN",
            Self::Expired => "EXPIRY",
            Self::Declines => "DECLINES",
            Self::CampaignClosed => "CAMPAIGN",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == text)
    }

    /// What the payment hears once the provider has cancelled.
    pub const fn event(self) -> Event {
        match self {
            Self::Donor | Self::Admin | Self::CampaignClosed => Event::Cancelled,
            Self::Expired => Event::Expired,
            Self::Declines => Event::Failed,
        }
    }

    /// The cause that the history records, where the payment ends at our request.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Donor => "donor.cancelled",
            Self::Admin => "admin.cancelled",
            Self::Expired => "pledge.expired",
            Self::Declines => "declined.for_good",
            Self::CampaignClosed => "campaign.closed",
        }
    }

    /// The reason as the provider's API takes it.
    const fn reason(self) -> &'static str {
        match self {
            Self::Donor | Self::Admin => "requested_by_customer",
            Self::Expired | Self::Declines | Self::CampaignClosed => "abandoned",
        }
    }

    /// The call that cancels the intent: a function of what is written down, so that twins send the same key and the
    /// same bytes. The provider replays its first answer to a key, also one that said "not now" or "I failed"; so
    /// whoever asks again has looked at the intent first, and makes another call. Cancelling twice cancels once.
    pub fn frozen(self, id: PaymentId, tries: i32) -> Frozen {
        let key = match tries {
            ..=0 => format!("cancel:{id}"),
            again => format!("cancel:{id}:{again}"),
        };
        Frozen {
            key,
            request: format!("cancellation_reason={}", self.reason()).into_bytes(),
        }
    }
}
