use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::TransactionView;
use crate::{
    cards,
    model::{Charge, Dispute, Intent},
};

/// The fields of the evidence that are text or the ids of files, in Stripe's words.
pub(crate) const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// A dispute.
pub(crate) struct DisputeView<'a> {
    dispute: &'a Dispute,
    charge: &'a Charge,
    intent: &'a Intent,
    now: i64,
}

impl<'a> DisputeView<'a> {
    /// The charge's dispute `id`, if it has it, at `now` (Unix milliseconds).
    pub(crate) fn of(charge: &'a Charge, intent: &'a Intent, id: &str, now: i64) -> Option<Self> {
        let dispute = charge.dispute(id)?;
        Some(Self {
            dispute,
            charge,
            intent,
            now,
        })
    }
}

impl Serialize for DisputeView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            dispute,
            charge,
            intent,
            now,
        } = *self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &dispute.id)?;
        map.serialize_entry("object", "dispute")?;
        map.serialize_entry("amount", &dispute.amount)?;
        let transactions = dispute.transactions.iter();
        let transactions: Vec<_> = transactions
            .map(|transaction| TransactionView::of(transaction, intent, now))
            .collect();
        map.serialize_entry("balance_transactions", &transactions)?;
        map.serialize_entry("charge", &charge.id)?;
        map.serialize_entry("created", &dispute.created)?;
        map.serialize_entry("currency", &intent.terms.currency)?;
        map.serialize_entry("enhanced_eligibility_types", &[(); 0])?;
        map.serialize_entry("evidence", &evidence(dispute))?;
        map.serialize_entry(
            "evidence_details",
            &json!({
                "due_by": dispute.due_by, "enhanced_eligibility": {}, "has_evidence": !dispute.evidence.is_empty(),
                "past_due": dispute.late, "submission_count": dispute.submissions,
            }),
        )?;
        let refundable = dispute.status.is_inquiry() && !dispute.status.is_closed();
        map.serialize_entry("is_charge_refundable", &refundable)?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("metadata", &dispute.metadata)?;
        map.serialize_entry("payment_intent", &intent.terms.id)?;
        let case_type = if dispute.status.is_inquiry() {
            "inquiry"
        } else {
            "chargeback"
        };
        let (brand, _) = cards::face(&charge.payment_method);
        let card = json!({
            "brand": brand, "case_type": case_type, "network": brand, "network_reason_code": "10.4",
        });
        map.serialize_entry(
            "payment_method_details",
            &json!({ "card": card, "type": "card" }),
        )?;
        map.serialize_entry("reason", &dispute.reason)?;
        map.serialize_entry("status", &dispute.status)?;
        map.end()
    }
}

fn evidence(dispute: &Dispute) -> Value {
    let given = |name: &str| {
        dispute
            .evidence
            .get(name)
            .map_or(Value::Null, |it| it.clone().into())
    };
    let fields = EVIDENCE
        .iter()
        .map(|name| ((*name).to_owned(), given(name)));
    let enhanced = [("enhanced_evidence".to_owned(), json!({}))];
    Value::Object(fields.chain(enhanced).collect::<Map<_, _>>())
}
