use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use serde_json::json;

use super::{API_VERSION, Audience, ChargeView, IntentView};
use crate::model::{Event, Fact};

/// A webhook event with the object as it was when the event came about.
pub(crate) struct EventView<'a> {
    pub(crate) event: &'a Event,
    pub(crate) fact: &'a Fact,
}

impl Serialize for EventView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.event.id)?;
        map.serialize_entry("object", "event")?;
        map.serialize_entry("api_version", API_VERSION)?;
        map.serialize_entry("created", &self.fact.at.div_euclid(1000))?;
        map.serialize_entry("data", &EventData(self))?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("pending_webhooks", &1)?;
        let key = self.fact.answer.as_ref().map(|answer| &answer.key);
        map.serialize_entry(
            "request",
            &json!({ "id": self.fact.request, "idempotency_key": key }),
        )?;
        map.serialize_entry("type", &self.event.name)?;
        map.end()
    }
}

struct EventData<'a>(&'a EventView<'a>);

impl Serialize for EventData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EventView { event, fact } = *self.0;
        let intent = &fact.intent;
        let mut map = serializer.serialize_map(None)?;
        if event.name.starts_with("charge.") {
            let charge = fact
                .charge
                .as_ref()
                .ok_or_else(|| S::Error::custom("no charge"))?;
            map.serialize_entry(
                "object",
                &ChargeView {
                    charge,
                    intent,
                    transaction_at: None,
                },
            )?;
            if event.name == "charge.updated" {
                map.serialize_entry(
                    "previous_attributes",
                    &json!({ "balance_transaction": null }),
                )?;
            }
        } else {
            let view = IntentView {
                intent,
                audience: Audience::Merchant,
                charge: None,
            };
            map.serialize_entry("object", &view)?;
        }
        map.end()
    }
}
