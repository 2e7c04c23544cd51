use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{TransactionView, nulls};
use crate::{
    cards,
    model::{Charge, Intent},
};

/// A charge of an intent.
#[derive(Clone, Copy)]
pub(crate) struct ChargeView<'a> {
    pub(crate) charge: &'a Charge,
    pub(crate) intent: &'a Intent,
    /// The time in Unix milliseconds, where the client asked to see the balance transaction in place of its id.
    pub(crate) transaction_at: Option<i64>,
}

const CHARGE_NULLS: [&str; 16] = [
    "application",
    "application_fee",
    "application_fee_amount",
    "calculated_statement_descriptor",
    "customer",
    "failure_balance_transaction",
    "on_behalf_of",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "source",
    "source_transfer",
    "statement_descriptor",
    "transfer_data",
    "transfer_group",
];

impl Serialize for ChargeView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            charge,
            intent,
            transaction_at,
        } = *self;
        let terms = &*intent.terms;
        let paid = charge.decline.is_none();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &charge.id)?;
        map.serialize_entry("object", "charge")?;
        map.serialize_entry("amount", &terms.amount)?;
        map.serialize_entry("amount_captured", &charge.amount_captured)?;
        let refunded = charge.refunded();
        map.serialize_entry("amount_refunded", &refunded)?;
        let transaction = charge.transaction.as_ref();
        match transaction_at.zip(transaction) {
            Some((now, transaction)) => {
                let view = TransactionView::of(transaction, intent, now);
                map.serialize_entry("balance_transaction", &view)?;
            }
            None => map.serialize_entry("balance_transaction", &transaction.map(|it| &it.id))?,
        }
        map.serialize_entry("billing_details", &nobody())?;
        map.serialize_entry("captured", &charge.captured)?;
        map.serialize_entry("created", &charge.created)?;
        map.serialize_entry("currency", &terms.currency)?;
        map.serialize_entry("description", &terms.description)?;
        map.serialize_entry("disputed", &!charge.disputes.is_empty())?;
        let decline = charge.decline.as_ref();
        map.serialize_entry("failure_code", &decline.map(|it| &it.code))?;
        map.serialize_entry("failure_message", &decline.map(|it| &it.message))?;
        map.serialize_entry("fraud_details", &json!({}))?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("metadata", &terms.metadata)?;
        map.serialize_entry("outcome", &outcome(charge))?;
        map.serialize_entry("paid", &paid)?;
        map.serialize_entry("payment_intent", &terms.id)?;
        map.serialize_entry("payment_method", &charge.payment_method)?;
        map.serialize_entry("payment_method_details", &method_details(charge, intent))?;
        map.serialize_entry("receipt_email", &terms.receipt_email)?;
        let whole = charge.captured && refunded >= charge.amount_captured;
        map.serialize_entry("refunded", &whole)?;
        let suffix = &terms.statement_descriptor_suffix;
        map.serialize_entry("statement_descriptor_suffix", suffix)?;
        map.serialize_entry("status", if paid { "succeeded" } else { "failed" })?;
        nulls(&mut map, &CHARGE_NULLS)?;
        map.end()
    }
}

/// The provider is told nothing about the payer.
fn nobody() -> serde_json::Value {
    json!({ "address": null, "email": null, "name": null, "phone": null, "tax_id": null })
}

fn outcome(charge: &Charge) -> serde_json::Value {
    match &charge.decline {
        None => json!({
            "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
            "seller_message": "Payment complete.", "type": "authorized",
        }),
        Some(decline) => json!({
            "network_status": "declined_by_network", "reason": decline.reason, "risk_level": "normal",
            "seller_message": "The bank did not approve the charge.", "type": "issuer_declined",
        }),
    }
}

fn method_details(charge: &Charge, intent: &Intent) -> serde_json::Value {
    let (brand, last4) = cards::face(&charge.payment_method);
    let authorized = charge.decline.is_none().then_some(intent.terms.amount);
    let mut card = json!({
        "amount_authorized": authorized, "brand": brand, "country": "US", "exp_month": 12, "exp_year": 2034,
        "funding": "credit", "last4": last4, "network": brand, "three_d_secure": null, "wallet": null,
    });
    if let Some(until) = charge.capture_before {
        card["capture_before"] = until.into();
    }
    json!({ "card": card, "type": "card" })
}

/// A payment method that exists only as its token.
pub(crate) struct MethodView<'a>(pub(crate) &'a str);

impl Serialize for MethodView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (brand, last4) = cards::face(self.0);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.0)?;
        map.serialize_entry("object", "payment_method")?;
        map.serialize_entry("billing_details", &nobody())?;
        map.serialize_entry(
            "card",
            &json!({
                "brand": brand, "checks": null, "country": "US", "exp_month": 12, "exp_year": 2034,
                "funding": "credit", "generated_from": null, "last4": last4, "networks": null,
                "three_d_secure_usage": null, "wallet": null,
            }),
        )?;
        map.serialize_entry("created", &0)?;
        map.serialize_entry("customer", &())?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("metadata", &json!({}))?;
        map.serialize_entry("type", "card")?;
        map.end()
    }
}
