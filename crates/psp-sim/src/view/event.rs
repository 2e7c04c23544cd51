use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use serde_json::json;

use super::{
    API_VERSION, Audience, ChargeView, DisputeView, IntentView, PayoutView, RefundView,
    json as write,
};
use crate::{
    model::{Event, Fact},
    store::{Notice, Source},
};

/// A webhook event with the object as it was when the event came about.
pub(crate) struct EventView<'a>(pub(crate) &'a Notice);

/// The event as the text that is sent.
pub(crate) fn event(notice: &Notice) -> String {
    write(&EventView(notice))
}

impl Serialize for EventView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0.event();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("object", "event")?;
        map.serialize_entry("api_version", API_VERSION)?;
        map.serialize_entry("created", &self.0.at().div_euclid(1000))?;
        map.serialize_entry("data", &EventData(self.0))?;
        map.serialize_entry("livemode", &false)?;
        map.serialize_entry("pending_webhooks", &1)?;
        let (request, key) = match &self.0.source {
            Source::Fact(fact) => {
                let key = fact.answer.as_ref().map(|answer| &answer.key);
                (fact.request.as_ref(), key)
            }
            Source::Payout(_) => (None, None),
        };
        map.serialize_entry("request", &json!({ "id": request, "idempotency_key": key }))?;
        map.serialize_entry("type", &event.name)?;
        map.end()
    }
}

struct EventData<'a>(&'a Notice);

impl Serialize for EventData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let event = self.0.event();
        match &self.0.source {
            Source::Fact(fact) => object(&mut map, event, fact)?,
            Source::Payout(fact) => map.serialize_entry("object", &PayoutView(&fact.payout))?,
        }
        if event.name == "charge.updated" {
            map.serialize_entry(
                "previous_attributes",
                &json!({ "balance_transaction": null }),
            )?;
        }
        map.end()
    }
}

fn object<M: SerializeMap>(map: &mut M, event: &Event, fact: &Fact) -> Result<(), M::Error> {
    let intent = &fact.intent;
    if event.name.starts_with("payment_intent.") {
        let view = IntentView {
            intent,
            audience: Audience::Merchant,
            charge: None,
        };
        return map.serialize_entry("object", &view);
    }
    let charge = fact.charge.as_ref();
    let charge = charge.ok_or_else(|| M::Error::custom("no charge"))?;
    let about = event.about.as_deref();
    if let Some(view) = about.and_then(|id| RefundView::of(charge, intent, id)) {
        return map.serialize_entry("object", &view);
    }
    if let Some(view) = about.and_then(|id| DisputeView::of(charge, intent, id, fact.at)) {
        return map.serialize_entry("object", &view);
    }
    let view = ChargeView {
        charge,
        intent,
        transaction_at: None,
    };
    map.serialize_entry("object", &view)
}
