//! A correction as an admin asks for it, and the rules that let it into the books. Pure.

use std::collections::BTreeMap;

use common::{
    ids::{CampaignId, PaymentId},
    money::{GivenMoney, InvalidMoney},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::ledger::{Account, Entry};

/// The largest amount of one line, in minor units: what every JSON reader can hold.
const LARGEST: i64 = (1 << 53) - 1;

/// The body of a request for a correction.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLedgerCorrection)]
pub struct NewCorrection {
    /// Why, for whoever reads the books later: 3 to 500 characters on one line.
    #[schema(
        example = "the provider kept a fee that it had waived",
        min_length = 3,
        max_length = 500
    )]
    pub reason: String,
    /// The payment that it concerns, if it is one.
    pub payment_id: Option<PaymentId>,
    /// 2 to 20 lines that sum to zero in each currency.
    #[schema(min_items = 2, max_items = 20)]
    pub entries: Vec<NewEntry>,
}

/// A line of it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLedgerEntry)]
pub struct NewEntry {
    /// Which account.
    pub account: Account,
    /// Whose money it is; needed for `campaign_payable`.
    pub campaign_id: Option<CampaignId>,
    /// Debit positive, credit negative; not zero.
    pub amount: GivenMoney,
}

/// A correction that may be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Why.
    pub reason: String,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// Its lines, which sum to zero in each currency.
    pub entries: Vec<Entry>,
}

/// Why a correction may not be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The reason's length or characters.
    #[error("reason must be 3 to 500 characters on one line")]
    Reason,
    /// Too few lines, or too many.
    #[error("entries must be 2 to 20 lines")]
    Lines,
    /// An amount that is no integer, zero, or too large.
    #[error("amount must be a whole number of minor units, not zero, and less than 2^53")]
    Amount,
    /// A currency that is not in the table.
    #[error("currency must be an active ISO 4217 code")]
    Currency,
    /// A line of `campaign_payable` without its campaign.
    #[error("campaign_payable needs a campaign_id")]
    Campaign,
    /// The lines do not sum to zero.
    #[error("the entries must sum to zero in each currency")]
    Unbalanced,
    /// There is no such payment.
    #[error("payment_id must be a payment of ours")]
    Payment,
}

impl Flaw {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reason => "invalid_reason",
            Self::Lines => "invalid_entries",
            Self::Amount => "invalid_amount",
            Self::Currency => "unknown_currency",
            Self::Campaign => "campaign_required",
            Self::Unbalanced => "unbalanced_entries",
            Self::Payment => "unknown_payment",
        }
    }
}

impl NewCorrection {
    /// The correction meant, where it may be entered; whether its payment exists is not known here.
    ///
    /// # Errors
    /// The first flaw.
    pub fn parse(&self) -> Result<Correction, Flaw> {
        let reason = self.reason.trim();
        if !(3..=500).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(Flaw::Reason);
        }
        if !(2..=20).contains(&self.entries.len()) {
            return Err(Flaw::Lines);
        }
        let entries: Vec<Entry> = self
            .entries
            .iter()
            .map(NewEntry::parse)
            .collect::<Result<_, _>>()?;
        let mut sums = BTreeMap::new();
        for entry in &entries {
            // Twenty lines below 2^53 stay far within 64 bits.
            *sums.entry(entry.amount.currency).or_insert(0) += entry.amount.minor;
        }
        if sums.values().any(|sum: &i64| *sum != 0) {
            return Err(Flaw::Unbalanced);
        }
        Ok(Correction {
            reason: reason.to_owned(),
            payment_id: self.payment_id,
            entries,
        })
    }
}

impl NewEntry {
    fn parse(&self) -> Result<Entry, Flaw> {
        let amount = self.amount.parse().map_err(|invalid| match invalid {
            InvalidMoney::Amount => Flaw::Amount,
            InvalidMoney::Currency(_) => Flaw::Currency,
        })?;
        if amount.minor == 0 || !(-LARGEST..=LARGEST).contains(&amount.minor) {
            return Err(Flaw::Amount);
        }
        if self.account == Account::CampaignPayable && self.campaign_id.is_none() {
            return Err(Flaw::Campaign);
        }
        Ok(Entry {
            account: self.account,
            campaign_id: self.campaign_id,
            amount,
        })
    }
}
