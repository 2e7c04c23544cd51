use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::nulls;
use crate::model::{Payout, PayoutStatus};

/// A payout.
pub(crate) struct PayoutView<'a>(pub(crate) &'a Payout);

const PAYOUT_NULLS: [&str; 6] = [
    "application_fee",
    "application_fee_amount",
    "original_payout",
    "payout_method",
    "reversed_by",
    "statement_descriptor",
];

impl Serialize for PayoutView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payout = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &payout.id)?;
        map.serialize_entry("object", "payout")?;
        map.serialize_entry("amount", &payout.amount)?;
        map.serialize_entry("arrival_date", &payout.arrival_date)?;
        map.serialize_entry("automatic", &payout.automatic)?;
        map.serialize_entry("balance_transaction", &payout.transaction.id)?;
        map.serialize_entry("created", &payout.created)?;
        map.serialize_entry("currency", &payout.currency)?;
        map.serialize_entry("description", "STRIPE PAYOUT")?;
        map.serialize_entry("destination", "ba_the_merchant")?;
        let failure = payout.failure.as_ref();
        let failed = failure.map(|_| {
            (
                "could_not_process",
                "The bank could not process this payout.",
            )
        });
        map.serialize_entry("failure_balance_transaction", &failure.map(|it| &it.id))?;
        map.serialize_entry("failure_code", &failed.map(|(code, _)| code))?;
        map.serialize_entry("failure_message", &failed.map(|(_, message)| message))?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("metadata", &json!({}))?;
        map.serialize_entry("method", "standard")?;
        let reconciliation = match payout.status {
            _ if !payout.automatic => "not_applicable",
            PayoutStatus::Pending => "in_progress",
            PayoutStatus::Paid | PayoutStatus::Failed => "completed",
        };
        map.serialize_entry("reconciliation_status", reconciliation)?;
        map.serialize_entry("source_type", "card")?;
        map.serialize_entry("status", &payout.status)?;
        map.serialize_entry(
            "trace_id",
            &json!({ "status": "not_applicable", "value": null }),
        )?;
        map.serialize_entry("type", "bank_account")?;
        nulls(&mut map, &PAYOUT_NULLS)?;
        map.end()
    }
}
