//! Whether an entry of the provider's account is in the books as it is there. Pure.

use common::ids::PaymentId;

/// How an entry of the provider's fits the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// It is in the books with the same amount and fee, or converted into another currency.
    Matched,
    /// The provider has it, and the books do not.
    MissingLocal,
    /// The books have it, and the provider does not.
    MissingPsp,
    /// Both have it, with another amount or fee.
    AmountDiff,
    /// It concerns no payment.
    Other,
}

impl Fit {
    /// The spelling in SQL and in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "MATCHED",
            Self::MissingLocal => "MISSING_LOCAL",
            Self::MissingPsp => "MISSING_PSP",
            Self::AmountDiff => "AMOUNT_DIFF",
            Self::Other => "OTHER",
        }
    }
}

/// The settlement of a charge, or money that went back, as the books have it, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The provider's balance transaction.
    pub txn: String,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// What the donor was charged, or what went back or was returned, in any case positive.
    pub gross: i64,
    /// What the provider kept of a charge.
    pub fee: i64,
    /// The currency of both.
    pub currency: String,
}

/// The same as the provider has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered<'a> {
    /// What the donor was charged, or what went back or was returned, in any case positive.
    pub gross: i64,
    /// What the provider kept of a charge.
    pub fee: i64,
    /// The currency of both.
    pub currency: &'a str,
}

impl Entered<'_> {
    /// Whether the provider converted the money, so that its amounts are not the books'.
    pub fn is_converted(&self, here: &Settled) -> bool {
        !here.currency.eq_ignore_ascii_case(self.currency)
    }
}

/// How the provider's entry fits the books'. Of what was converted only the entry can be compared.
pub fn fit(there: Entered<'_>, here: Option<&Settled>) -> Fit {
    let Some(here) = here else {
        return Fit::MissingLocal;
    };
    let same = here.gross == there.gross && here.fee == there.fee;
    if same || there.is_converted(here) {
        Fit::Matched
    } else {
        Fit::AmountDiff
    }
}
