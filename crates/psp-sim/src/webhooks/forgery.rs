//! Messages that the provider never meant to send.

use serde_json::Value;

use crate::{ids, store::Notice, view};

/// What is sent beside an event.
pub(crate) struct Forgery {
    pub(super) body: String,
    /// Whether it is signed with the endpoint's own secrets.
    pub(super) genuine: bool,
}

impl Forgery {
    /// An event like this one from somebody who does not know the secret.
    pub(crate) fn forged(notice: &Notice) -> Self {
        let mut event = read(notice);
        event["id"] = ids::object("evt", created(&event)).into();
        Self {
            body: event.to_string(),
            genuine: false,
        }
    }

    /// An event like this one about an intent that nobody opened.
    pub(crate) fn stray(notice: &Notice) -> Self {
        let mut event = read(notice);
        event["id"] = ids::object("evt", created(&event)).into();
        let stranger = ids::object("pi", created(&event));
        let object = &mut event["data"]["object"];
        if object["object"] == "payment_intent" {
            object["client_secret"] = ids::client_secret(&stranger).into();
            object["id"] = stranger.into();
        } else {
            object["payment_intent"] = stranger.into();
        }
        object["metadata"] = Value::Object(serde_json::Map::new());
        Self {
            body: event.to_string(),
            genuine: true,
        }
    }
}

fn created(event: &Value) -> i64 {
    event["created"].as_i64().unwrap_or_default()
}

fn read(notice: &Notice) -> Value {
    // A view is always an object.
    serde_json::from_str(&view::event(notice)).unwrap_or_default()
}
