use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{Audience, ChargeView, nulls};
use crate::{
    error::LastErrorView,
    model::{Intent, Status},
};

/// A payment intent.
pub(crate) struct IntentView<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) audience: Audience,
    /// The latest charge, where the client asked to see it in place of its id.
    pub(crate) charge: Option<ChargeView<'a>>,
}

/// Fields of an intent that are always null here.
const INTENT_NULLS: [&str; 8] = [
    "payment_method_configuration_details",
    "payment_method_options",
    "processing",
    "setup_future_usage",
    "shipping",
    "source",
    "statement_descriptor",
    "customer",
];

/// Fields of an intent that only the merchant sees and that are always null here.
const MERCHANT_NULLS: [&str; 6] = [
    "application",
    "application_fee_amount",
    "on_behalf_of",
    "review",
    "transfer_data",
    "transfer_group",
];

impl Serialize for IntentView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let intent = self.intent;
        let terms = &*intent.terms;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &terms.id)?;
        map.serialize_entry("object", "payment_intent")?;
        map.serialize_entry("amount", &terms.amount)?;
        map.serialize_entry("amount_details", &json!({ "tip": {} }))?;
        if self.audience == Audience::Merchant {
            map.serialize_entry("amount_capturable", &intent.capturable)?;
            map.serialize_entry("amount_received", &intent.received)?;
            map.serialize_entry("metadata", &terms.metadata)?;
            match &self.charge {
                Some(charge) => map.serialize_entry("latest_charge", charge)?,
                None => map.serialize_entry("latest_charge", &intent.latest_charge)?,
            }
            let suffix = &terms.statement_descriptor_suffix;
            map.serialize_entry("statement_descriptor_suffix", suffix)?;
            nulls(&mut map, &MERCHANT_NULLS)?;
        }
        let automatic = terms
            .automatic_payment_methods
            .then(|| json!({ "enabled": true }));
        map.serialize_entry("automatic_payment_methods", &automatic)?;
        map.serialize_entry("canceled_at", &intent.canceled_at)?;
        map.serialize_entry("cancellation_reason", &intent.cancellation_reason)?;
        map.serialize_entry("capture_method", &terms.capture_method)?;
        map.serialize_entry("client_secret", &terms.client_secret)?;
        map.serialize_entry("confirmation_method", "automatic")?;
        map.serialize_entry("created", &terms.created)?;
        map.serialize_entry("currency", &terms.currency)?;
        map.serialize_entry("description", &terms.description)?;
        let last_error = intent.last_error.as_ref().map(LastErrorView);
        map.serialize_entry("last_payment_error", &last_error)?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("next_action", &next_action(intent))?;
        map.serialize_entry("payment_method", &intent.payment_method)?;
        map.serialize_entry("payment_method_types", &["card"])?;
        map.serialize_entry("receipt_email", &terms.receipt_email)?;
        map.serialize_entry("status", &intent.status)?;
        nulls(&mut map, &INTENT_NULLS)?;
        map.end()
    }
}

/// The page on which the payer's bank asks who they are. The intent was told where it is when it came to need it.
fn next_action(intent: &Intent) -> Option<serde_json::Value> {
    let action = || {
        json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": intent.return_url, "url": intent.action_url },
        })
    };
    (intent.status == Status::RequiresAction).then(action)
}
