//! Buckets of money, and totals as the public sees them. Pure.

use chrono::{DateTime, Utc};
use common::{
    events::{PaymentEvent, TotalsKind, TotalsUpdated},
    ids::CampaignId,
    money::{Currency, Money},
    payment::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Money by what became of it, of one payment or of all payments of a campaign, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Buckets {
    /// Promised, not paid yet.
    pub(crate) pledged: i64,
    /// Held, not taken yet.
    pub(crate) authorized: i64,
    /// Taken, before refunds and disputes.
    pub(crate) captured: i64,
    /// Given back.
    pub(crate) refunded: i64,
    /// Lost in disputes.
    pub(crate) disputed: i64,
}

impl Buckets {
    /// Where the campaign's part of a payment's money is; `None` when its amounts have no difference.
    ///
    /// What is lost in disputes is what it adds to what went back already: each part is rounded once, and where
    /// everything went back nothing is left over.
    pub(crate) fn of(payment: &PaymentEvent) -> Option<Self> {
        let gift = |amount| payment.gift(amount);
        let gone = payment.refunded.checked_add(payment.disputed)?;
        Some(Self {
            pledged: if payment.state == State::Pending {
                gift(payment.amount.minor)
            } else {
                0
            },
            authorized: if payment.state == State::Authorized {
                gift(payment.authorized).checked_sub(gift(payment.captured))?
            } else {
                0
            },
            captured: gift(payment.captured),
            refunded: gift(payment.refunded),
            disputed: gift(gone).checked_sub(gift(payment.refunded))?,
        })
    }

    /// Whether there is no money at all.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// `self + other`, if that fits.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.with(other, i64::checked_add)
    }

    /// `self - other`, if that fits.
    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.with(other, i64::checked_sub)
    }

    /// Captured, less refunds and lost disputes, if that fits.
    pub(crate) fn raised(self) -> Option<i64> {
        self.captured
            .checked_sub(self.refunded)?
            .checked_sub(self.disputed)
    }

    /// The names of the buckets below zero, `raised` among them.
    pub(crate) fn negative(self) -> impl Iterator<Item = &'static str> {
        [
            ("pledged", self.pledged),
            ("authorized", self.authorized),
            ("captured", self.captured),
            ("refunded", self.refunded),
            ("disputed", self.disputed),
            ("raised", self.raised().unwrap_or(i64::MIN)),
        ]
        .into_iter()
        .filter_map(|(name, amount)| (amount < 0).then_some(name))
    }

    fn with(self, other: Self, op: fn(i64, i64) -> Option<i64>) -> Option<Self> {
        Some(Self {
            pledged: op(self.pledged, other.pledged)?,
            authorized: op(self.authorized, other.authorized)?,
            captured: op(self.captured, other.captured)?,
            refunded: op(self.refunded, other.refunded)?,
            disputed: op(self.disputed, other.disputed)?,
        })
    }
}

/// The totals of a campaign at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) goal: Option<i64>,
    #[serde(flatten)]
    pub(crate) buckets: Buckets,
    pub(crate) donors: i64,
    pub(crate) version: i64,
    pub(crate) as_of: DateTime<Utc>,
    /// From the newest counted change of a payment until it was counted, in milliseconds.
    #[serde(default)]
    pub(crate) lag_ms: Option<i64>,
    /// A bucket is below zero: the amounts stand still until they are built anew.
    #[serde(default)]
    pub(crate) frozen: bool,
}

impl Totals {
    /// An amount in the campaign's currency.
    pub(crate) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }

    /// What the campaign has raised.
    pub(crate) fn raised(&self) -> Money {
        // Three sums of real money do not leave 64 bits; where they do, the extreme is as alarming as the truth.
        self.money(self.buckets.raised().unwrap_or(i64::MIN))
    }

    /// How much of the goal is raised, in percent, rounded down; may be above 100 and, while something is wrong,
    /// below 0.
    pub(crate) fn goal_pct(&self) -> Option<i64> {
        let goal = i128::from(self.goal.filter(|goal| *goal > 0)?);
        i64::try_from((i128::from(self.raised().minor) * 100).div_euclid(goal)).ok()
    }

    /// The event that tells the others.
    pub(crate) fn updated(&self) -> TotalsUpdated {
        TotalsUpdated {
            kind: TotalsKind::Updated,
            campaign_id: self.campaign_id,
            raised: self.raised(),
            pledged: self.money(self.buckets.pledged),
            authorized: self.money(self.buckets.authorized),
            captured: self.money(self.buckets.captured),
            refunded: self.money(self.buckets.refunded),
            disputed: Some(self.money(self.buckets.disputed)),
            donors: self.donors,
            goal: self.goal.map(|goal| self.money(goal)),
            as_of: self.as_of,
            version: self.version,
        }
    }
}
