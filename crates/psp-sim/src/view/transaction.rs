use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::ChargeView;
use crate::model::{Charge, Intent, Transaction};

/// The balance entry of a captured charge.
pub(crate) struct TransactionView<'a> {
    transaction: &'a Transaction,
    charge: &'a Charge,
    intent: &'a Intent,
    now: i64,
}

impl<'a> TransactionView<'a> {
    /// The entry as it stands at `now` (Unix milliseconds); `None` while it has not been made.
    pub(crate) fn of(view: &ChargeView<'a>, now: i64) -> Option<Self> {
        let transaction = view.charge.transaction.as_ref()?;
        Some(Self {
            transaction,
            charge: view.charge,
            intent: view.intent,
            now,
        })
    }
}

impl Serialize for TransactionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Transaction {
            id,
            created,
            available_at,
        } = self.transaction;
        let amount = self.charge.amount_captured;
        let currency = &self.intent.terms.currency;
        let fee = amount / 1000 * 29 + amount % 1000 * 29 / 1000;
        let available = self.now >= *available_at;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("object", "balance_transaction")?;
        map.serialize_entry("amount", &amount)?;
        // Rounded up, so that at this second the entry is available.
        map.serialize_entry("available_on", &(available_at + 999).div_euclid(1000))?;
        map.serialize_entry("created", created)?;
        map.serialize_entry("currency", currency)?;
        map.serialize_entry("description", &self.intent.terms.description)?;
        map.serialize_entry("exchange_rate", &())?;
        map.serialize_entry("fee", &fee)?;
        map.serialize_entry(
            "fee_details",
            &json!([{
                "amount": fee, "application": null, "currency": currency,
                "description": "Stripe processing fees", "type": "stripe_fee",
            }]),
        )?;
        map.serialize_entry("net", &(amount - fee))?;
        map.serialize_entry("reporting_category", "charge")?;
        map.serialize_entry("source", &self.charge.id)?;
        map.serialize_entry("status", if available { "available" } else { "pending" })?;
        map.serialize_entry("type", "charge")?;
        map.end()
    }
}
