use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use crate::{
    model::{Intent, Transaction},
    store::Posting,
};

/// An entry of the account's balance.
pub(crate) struct TransactionView<'a> {
    transaction: &'a Transaction,
    currency: &'a str,
    description: Option<&'a str>,
    now: i64,
}

impl<'a> TransactionView<'a> {
    /// An entry of this intent's money as it stands at `now` (Unix milliseconds).
    pub(crate) fn of(transaction: &'a Transaction, intent: &'a Intent, now: i64) -> Self {
        Self {
            transaction,
            currency: &intent.terms.currency,
            description: intent.terms.description.as_deref(),
            now,
        }
    }

    /// An entry of the balance as it stands at `now` (Unix milliseconds).
    pub(crate) fn posted(posting: &'a Posting, now: i64) -> Self {
        Self {
            transaction: &posting.transaction,
            currency: &posting.currency,
            description: posting.description.as_deref(),
            now,
        }
    }
}

impl Serialize for TransactionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            transaction,
            currency,
            ..
        } = self;
        let (kind, category) = transaction.kind.names();
        let available = transaction.is_available(self.now);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &transaction.id)?;
        map.serialize_entry("object", "balance_transaction")?;
        map.serialize_entry("amount", &transaction.amount)?;
        // Rounded up, so that at this second the entry is available.
        let available_on = transaction
            .available_at
            .saturating_add(999)
            .div_euclid(1000);
        map.serialize_entry("available_on", &available_on)?;
        map.serialize_entry("balance_type", "payments")?;
        map.serialize_entry("created", &transaction.created)?;
        map.serialize_entry("currency", currency)?;
        map.serialize_entry("description", &self.description)?;
        map.serialize_entry("exchange_rate", &())?;
        map.serialize_entry("fee", &transaction.fee)?;
        let fee = || {
            json!({
                "amount": transaction.fee, "application": null, "currency": currency,
                "description": if kind == "charge" { "Stripe processing fees" } else { "Dispute fee" },
                "type": "stripe_fee",
            })
        };
        let fees: Vec<_> = (transaction.fee != 0).then(fee).into_iter().collect();
        map.serialize_entry("fee_details", &fees)?;
        map.serialize_entry("net", &transaction.net())?;
        map.serialize_entry("reporting_category", category)?;
        map.serialize_entry("source", &transaction.source)?;
        map.serialize_entry("status", if available { "available" } else { "pending" })?;
        map.serialize_entry("type", kind)?;
        map.end()
    }
}
