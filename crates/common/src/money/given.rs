//! Money as a client wrote it, before it is believed.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Currency, Money, UnknownCurrency};

/// The money field of a request body.
///
/// It accepts any JSON value as amount, so that a service can answer `1.5`, `"25"` or an unknown
/// currency by a code of its own instead of a general refusal of the body.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenMoney {
    /// A whole number of minor units: cents for USD, yen for JPY, fils for KWD.
    #[schema(value_type = i64, example = 2500)]
    amount: Value,
    /// An upper-case ISO 4217 code.
    #[schema(example = "USD", min_length = 3, max_length = 3)]
    currency: String,
}

/// Why a [`GivenMoney`] is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// A float, a string, or beyond 64 bits.
    #[error("amount must be a whole number of minor units within 64 bits")]
    Amount,
    /// The currency is not in the table.
    #[error(transparent)]
    Currency(#[from] UnknownCurrency),
}

impl GivenMoney {
    /// The money meant, when the amount is a 64-bit integer and the currency is known.
    pub fn parse(&self) -> Result<Money, InvalidMoney> {
        let minor = self.amount.as_i64().ok_or(InvalidMoney::Amount)?;
        Ok(Money::new(minor, Currency::parse(&self.currency)?))
    }
}

impl From<Money> for GivenMoney {
    fn from(money: Money) -> Self {
        Self {
            amount: money.minor.into(),
            currency: money.currency.as_str().to_owned(),
        }
    }
}
