//! Payment intents at the provider.

use secrecy::SecretString;
use serde::Deserialize;

use super::{Failure, Stripe};
use crate::domain::{Frozen, Seen, is_reference};

/// A payment intent as the provider has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Intent {
    /// Its id.
    #[serde(deserialize_with = "reference")]
    pub id: String,
    /// Whoever has it can pay the intent: never stored in clear, never logged.
    #[serde(deserialize_with = "secret")]
    pub client_secret: SecretString,
    /// Where it stands.
    pub status: String,
    /// What it is for, in minor units.
    pub amount: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// Whether it takes real money.
    pub livemode: bool,
    /// Taken so far, in minor units.
    #[serde(default)]
    pub amount_received: i64,
    /// Held and not taken yet, in minor units.
    #[serde(default)]
    pub amount_capturable: i64,
    /// Why it was cancelled, if so.
    pub cancellation_reason: Option<String>,
}

impl Intent {
    /// What a payment is moved by.
    pub fn seen(&self) -> Seen {
        Seen {
            intent: self.id.clone(),
            status: self.status.clone(),
            amount: self.amount,
            currency: self.currency.clone(),
            received: self.amount_received,
            capturable: self.amount_capturable,
            cancellation_reason: self.cancellation_reason.clone(),
        }
    }
}

impl Stripe {
    /// Opens the intent. Repeated with the same frozen call it answers with the same intent, for a day.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(&self, call: &Frozen) -> Result<Intent, Failure> {
        self.post("open", "/v1/payment_intents", call).await
    }

    /// Asks for an intent that is known.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn intent(&self, id: &str) -> Result<Intent, Failure> {
        self.get("get", &format!("/v1/payment_intents/{id}"), &[])
            .await
    }

    /// Cancels an intent: it can never be paid any more.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Unfit`] where it has been paid, has ended, or is being paid just now.
    pub async fn cancel(&self, id: &str, call: &Frozen) -> Result<Intent, Failure> {
        self.post("cancel", &format!("/v1/payment_intents/{id}/cancel"), call)
            .await
    }

    /// Takes held money, or a part of it; the rest is released.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Unfit`] where nothing is held.
    pub async fn capture(&self, id: &str, call: &Frozen) -> Result<Intent, Failure> {
        self.post(
            "capture",
            &format!("/v1/payment_intents/{id}/capture"),
            call,
        )
        .await
    }

    /// Until when the money that an intent holds can be taken, in Unix seconds; none where the provider does not say.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn capture_before(&self, id: &str) -> Result<Option<i64>, Failure> {
        let path = format!("/v1/payment_intents/{id}");
        let held: Held = self
            .get("get", &path, &[("expand[]", "latest_charge")])
            .await?;
        let details = held
            .latest_charge
            .and_then(|charge| charge.payment_method_details);
        let card = details.and_then(|details| details.card);
        Ok(card.and_then(|card| card.capture_before))
    }
}

#[derive(Deserialize)]
struct Held {
    latest_charge: Option<Charge>,
}

#[derive(Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    capture_before: Option<i64>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// An id of the provider's, of which it is made sure that it can stand in a path.
fn reference<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_reference(&id) {
        Ok(id)
    } else {
        Err(serde::de::Error::custom("not an id"))
    }
}
