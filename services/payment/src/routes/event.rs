//! What a delivery looks like, for its description; it is read by [`Notice`](crate::domain::Notice).

use serde_json::Value;
use utoipa::ToSchema;

/// An event of the provider's. What stands in it beyond this is kept as it came.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what is read elsewhere, byte for byte"
)]
pub struct Event {
    /// The same at each delivery.
    #[schema(example = "evt_1NG8Du2eZvKYlo2CUI79vXWy", pattern = "^[!-~]{1,255}$")]
    id: String,
    /// What happened. A type that we do not know is kept and moves nothing.
    #[schema(example = "payment_intent.succeeded", pattern = "^[!-~]{1,255}$")]
    r#type: String,
    /// Whether it is about real money.
    #[schema(required = false, example = false)]
    livemode: bool,
    /// What it is about.
    data: Option<EventData>,
}

/// What an event is about.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what is read elsewhere, byte for byte"
)]
pub struct EventData {
    /// The object, as it was when the event happened.
    object: Option<Value>,
}
