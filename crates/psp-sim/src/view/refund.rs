use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::nulls;
use crate::model::{Charge, Intent, Refund, RefundStatus};

/// A refund.
pub(crate) struct RefundView<'a> {
    refund: &'a Refund,
    charge: &'a Charge,
    intent: &'a Intent,
}

impl<'a> RefundView<'a> {
    /// The charge's refund `id`, if it has it.
    pub(crate) fn of(charge: &'a Charge, intent: &'a Intent, id: &str) -> Option<Self> {
        let refund = charge.refund(id)?;
        Some(Self {
            refund,
            charge,
            intent,
        })
    }
}

impl Serialize for RefundView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            refund,
            charge,
            intent,
        } = *self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &refund.id)?;
        map.serialize_entry("object", "refund")?;
        map.serialize_entry("amount", &refund.amount)?;
        map.serialize_entry("balance_transaction", &refund.transaction.id)?;
        map.serialize_entry("charge", &charge.id)?;
        map.serialize_entry("created", &refund.created)?;
        map.serialize_entry("currency", &intent.terms.currency)?;
        map.serialize_entry(
            "destination_details",
            &json!({ "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number",
                               "type": "refund" }, "type": "card" }),
        )?;
        if let Some(reversal) = &refund.reversal {
            map.serialize_entry("failure_balance_transaction", &reversal.id)?;
        }
        if let Some(reason) = &refund.failure_reason {
            map.serialize_entry("failure_reason", reason)?;
        }
        map.serialize_entry("metadata", &refund.metadata)?;
        map.serialize_entry("payment_intent", &intent.terms.id)?;
        if refund.status == RefundStatus::Pending {
            map.serialize_entry("pending_reason", "processing")?;
        }
        map.serialize_entry("reason", &refund.reason)?;
        map.serialize_entry("status", &refund.status)?;
        let null = [
            "receipt_number",
            "source_transfer_reversal",
            "transfer_reversal",
        ];
        nulls(&mut map, &null)?;
        map.end()
    }
}
