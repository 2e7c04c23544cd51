//! What a pledge is, and which requests become one. Pure.

pub mod attempts;
pub mod charge;
pub mod receipts;
pub mod timeline;

use chrono::{DateTime, Duration, Utc};
use common::{
    contact::{Email, Name},
    events::{CampaignStatus, Capture, PledgeEvent, PledgeKind, PledgeStatus, Visibility},
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, GivenMoney, InvalidMoney, Money},
    payment::State,
};

/// The most that one gift may be, in minor units: the provider takes at most eight digits (Stripe docs, "Minimum and
/// maximum charge amounts").
pub const MAXIMUM: i64 = 99_999_999;
/// The longest message, in characters.
const MESSAGE: usize = 500;
/// How long a donor has to pay.
const LIFETIME: Duration = Duration::minutes(30);

/// Why a wish does not become a pledge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The campaign does not take gifts.
    #[error("the campaign does not take gifts now")]
    CampaignNotActive,
    /// The campaign's time is over.
    #[error("the campaign has ended")]
    CampaignEnded,
    /// The amount is not a whole number of minor units.
    #[error("amount must be a whole number of minor units within 64 bits")]
    InvalidAmount,
    /// The amount is not positive, below the campaign's minimum, or beyond what we take at once.
    #[error("amount must be from {minimum} to {maximum} minor units")]
    AmountOutOfRange {
        /// The least, in minor units.
        minimum: i64,
        /// The most, in minor units.
        maximum: i64,
    },
    /// The currency is not in ISO 4217.
    #[error("currency is not a known ISO 4217 code")]
    UnknownCurrency,
    /// The currency is not the campaign's.
    #[error("the campaign takes gifts in {0}")]
    CurrencyMismatch(String),
    /// The name cannot stand on a wall or in a mail.
    #[error("donor.name {0}")]
    InvalidName(&'static str),
    /// The e-mail address cannot be one.
    #[error("donor.email {0}")]
    InvalidEmail(&'static str),
    /// The tip is not a whole number of minor units.
    #[error("tip must be a whole number of minor units within 64 bits")]
    InvalidTip,
    /// The tip is negative, or beyond what we take at once.
    #[error("tip must be from 0 to {MAXIMUM} minor units")]
    TipOutOfRange,
    /// The tip is in another currency than the gift.
    #[error("tip must be in the currency of the gift")]
    TipCurrency,
    /// Gift, tip and covered fee are more than we take at once.
    #[error("gift, tip and covered fee together must be at most {MAXIMUM} minor units")]
    ChargeOutOfRange,
    /// The message is too long or holds control characters.
    #[error("message must have at most 500 characters and no control characters but line breaks")]
    InvalidMessage,
}

/// What this service knows of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Whether it takes gifts.
    pub status: CampaignStatus,
    /// In which currency it takes gifts.
    pub currency: Currency,
    /// The least gift, in minor units.
    pub minimum: i64,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// When the provider is to take the money.
    pub capture: Capture,
}

/// Who gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giver {
    /// The account, unless it is a guest.
    pub donor_id: Option<UserId>,
    /// The pseudonym that donors are counted by.
    pub donor_ref: String,
    /// Whom to thank.
    pub contact_id: ContactId,
    /// The name to show, where the donor lets it be shown.
    pub name: Option<String>,
}

/// A promise of a gift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pledge {
    /// Its id.
    pub id: PledgeId,
    /// What it is for.
    pub campaign_id: CampaignId,
    /// Who gives.
    pub giver: Giver,
    /// How much.
    pub amount: Money,
    /// What is charged on top of it.
    pub extras: Extras,
    /// When the provider is to take the money.
    pub capture: Capture,
    /// What others may see.
    pub visibility: Visibility,
    /// What the donor says to the campaign.
    pub message: Option<String>,
    /// Where it stands.
    pub status: PledgeStatus,
    /// When the donor asked to call it off, if ever.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// How much of the whole charge went back, in minor units.
    pub refunded: i64,
    /// When it ends, unless it was paid.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Version of this snapshot.
    pub version: i64,
}

impl Pledge {
    /// The id of the payment that the donor is to make first.
    pub fn payment_id(&self) -> PaymentId {
        PaymentId::of(self.id, 1)
    }

    /// The gift and what is charged on top of it.
    pub fn total(&self) -> Money {
        let minor = self.amount.minor.saturating_add(self.extras.sum());
        Money::new(minor, self.amount.currency)
    }

    /// The snapshot that others are told.
    pub fn event(&self, kind: PledgeKind, at: DateTime<Utc>) -> PledgeEvent {
        PledgeEvent {
            kind,
            pledge_id: self.id,
            campaign_id: self.campaign_id,
            payment_id: self.payment_id(),
            donor_id: self.giver.donor_id,
            donor_ref: self.giver.donor_ref.clone(),
            contact_id: self.giver.contact_id,
            amount: self.amount,
            extras: self.extras,
            cancel_requested_at: self.cancel_requested_at,
            capture: self.capture,
            visibility: self.visibility,
            public_name: self.giver.name.clone(),
            message: self.message.clone(),
            status: self.status,
            claim: None,
            expires_at: self.expires_at,
            created_at: self.created_at,
            version: self.version,
            occurred_at: at,
        }
    }
}

impl From<PledgeEvent> for Pledge {
    /// As it was told; how much went back is the payment's to tell.
    fn from(told: PledgeEvent) -> Self {
        Self {
            id: told.pledge_id,
            campaign_id: told.campaign_id,
            giver: Giver {
                donor_id: told.donor_id,
                donor_ref: told.donor_ref,
                contact_id: told.contact_id,
                name: told.public_name,
            },
            amount: told.amount,
            extras: told.extras,
            capture: told.capture,
            visibility: told.visibility,
            message: told.message,
            status: told.status,
            cancel_requested_at: told.cancel_requested_at,
            refunded: 0,
            expires_at: told.expires_at,
            created_at: told.created_at,
            version: told.version,
        }
    }
}

/// What a donor asks for, already read but not yet checked against the campaign.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What it is for.
    pub campaign_id: CampaignId,
    /// How much.
    pub amount: Money,
    /// What is charged on top of it.
    pub extras: Extras,
    /// What others may see.
    pub visibility: Visibility,
    /// What the donor says to the campaign.
    pub message: Option<String>,
}

impl Wish {
    /// Makes it a pledge, if the campaign takes it at `now`.
    ///
    /// # Errors
    /// Says why the campaign does not take it.
    pub fn pledge(
        self,
        giver: Giver,
        campaign: &Campaign,
        now: DateTime<Utc>,
    ) -> Result<Pledge, Refusal> {
        if campaign.status != CampaignStatus::Active {
            return Err(Refusal::CampaignNotActive);
        }
        if campaign.ends_at.is_some_and(|end| end <= now) {
            return Err(Refusal::CampaignEnded);
        }
        if campaign.currency != self.amount.currency {
            return Err(Refusal::CurrencyMismatch(
                campaign.currency.as_str().to_owned(),
            ));
        }
        let minimum = campaign.minimum.max(1);
        if !(minimum..=MAXIMUM).contains(&self.amount.minor) {
            return Err(Refusal::AmountOutOfRange {
                minimum,
                maximum: MAXIMUM,
            });
        }
        if self.amount.minor.saturating_add(self.extras.sum()) > MAXIMUM {
            return Err(Refusal::ChargeOutOfRange);
        }
        let name = giver
            .name
            .filter(|_| self.visibility != Visibility::Anonymous);
        Ok(Pledge {
            id: PledgeId::new(),
            campaign_id: self.campaign_id,
            giver: Giver { name, ..giver },
            amount: self.amount,
            extras: self.extras,
            capture: campaign.capture,
            visibility: self.visibility,
            message: self.message,
            status: PledgeStatus::Pending,
            cancel_requested_at: None,
            refunded: 0,
            expires_at: now + LIFETIME,
            created_at: now,
            version: 1,
        })
    }
}

/// Reads an amount of money.
///
/// # Errors
/// [`Refusal::InvalidAmount`], [`Refusal::UnknownCurrency`].
pub fn amount(given: &GivenMoney) -> Result<Money, Refusal> {
    given.parse().map_err(|error| match error {
        InvalidMoney::Amount => Refusal::InvalidAmount,
        InvalidMoney::Currency(_) => Refusal::UnknownCurrency,
    })
}

/// Reads a name that can stand on a wall and in the header of a mail.
///
/// # Errors
/// [`Refusal::InvalidName`].
pub fn name(given: &str) -> Result<String, Refusal> {
    let name = Name::parse(given).map_err(Refusal::InvalidName)?;
    Ok(name.as_str().to_owned())
}

/// Reads an e-mail address.
///
/// # Errors
/// [`Refusal::InvalidEmail`].
pub fn email(given: &str) -> Result<String, Refusal> {
    let email = Email::parse(given).map_err(Refusal::InvalidEmail)?;
    Ok(email.as_str().to_owned())
}

/// Reads a message; an empty one is none.
///
/// # Errors
/// [`Refusal::InvalidMessage`].
pub fn message(given: &str) -> Result<Option<String>, Refusal> {
    let odd = |character: char| character.is_control() && character != '\n';
    if given.chars().count() > MESSAGE || given.chars().any(odd) {
        return Err(Refusal::InvalidMessage);
    }
    Ok(Some(given.trim().to_owned()).filter(|message| !message.is_empty()))
}

/// What a pledge shows of its payment's state.
pub fn status_of(payment: State) -> PledgeStatus {
    match payment {
        State::Pending => PledgeStatus::Pending,
        State::Authorized => PledgeStatus::Authorized,
        State::Captured | State::Completed => PledgeStatus::Completed,
        State::Failed => PledgeStatus::Failed,
        State::Expired => PledgeStatus::Expired,
        State::Cancelled => PledgeStatus::Cancelled,
        State::Refunded => PledgeStatus::Refunded,
    }
}
