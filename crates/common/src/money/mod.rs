//! Money as an integer of minor units and an ISO 4217 currency.
//!
//! Pure. No float appears, arithmetic is checked, and two currencies never meet in a sum. In JSON:
//! `{"amount":2550,"currency":"USD"}`. Negative amounts parse (totals may fall below zero);
//! whether one makes sense is for the business rule to say.

mod currency;
mod extras;
mod given;

pub use currency::{Currency, UnknownCurrency};
pub use extras::{Extras, Parts};
pub use given::{GivenMoney, InvalidMoney};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// Minor units: cents for USD, yen for JPY, fils for KWD.
    #[serde(rename = "amount")]
    #[schema(example = 2500)]
    pub minor: i64,
    /// The currency the minor units belong to.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub currency: Currency,
}

/// Why two amounts have no sum or difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result does not fit 64 bits.
    #[error("amount out of range")]
    Overflow,
    /// The amounts are of two currencies.
    #[error("cannot reckon {left} with {right}")]
    CurrencyMismatch {
        /// Currency of the left operand.
        left: Currency,
        /// Currency of the right operand.
        right: Currency,
    },
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum, when both are of one currency and it fits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.reckon(other, i64::checked_add)
    }

    /// The difference, when both are of one currency and it fits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.reckon(other, i64::checked_sub)
    }

    fn reckon(self, other: Self, op: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            });
        }
        let minor = op(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }
}

/// Major units with the currency's own number of decimals: `25.00 USD`, `2500 JPY`, `2.500 KWD`.
impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decimals = usize::from(self.currency.exponent());
        let unit = 10_u64.pow(u32::from(self.currency.exponent()));
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        let text = if decimals == 0 {
            format!("{sign}{minor} {}", self.currency)
        } else {
            let (whole, rest) = (minor / unit, minor % unit);
            format!("{sign}{whole}.{rest:0decimals$} {}", self.currency)
        };
        f.pad(&text)
    }
}
