//! A payment intent with everything that happened to it: its latest charge and where that charge's money is.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Failure, Intent, Stripe};
use crate::domain::Transaction;

/// How many objects a page of a list has.
const PAGE: &str = "100";

/// An intent with its latest charge.
#[derive(Clone, Debug, Deserialize)]
pub struct Inquired {
    /// The intent itself.
    #[serde(flatten)]
    pub intent: Intent,
    /// Its latest charge, if it was ever tried.
    pub latest_charge: Option<Charge>,
}

/// A charge of an intent.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// Given back so far, in minor units.
    #[serde(default)]
    pub amount_refunded: i64,
    /// Whether it was ever disputed.
    #[serde(default)]
    pub disputed: bool,
    /// The money in our account there, once it was taken.
    pub balance_transaction: Option<Transaction>,
}

/// An intent as a list shows it.
#[derive(Deserialize)]
pub struct Listed {
    /// The intent itself.
    #[serde(flatten)]
    pub intent: Intent,
    #[serde(default)]
    metadata: Metadata,
}

impl Listed {
    /// The payment that it names.
    pub fn payment_id(&self) -> Option<&str> {
        self.metadata.payment_id.as_deref()
    }
}

#[derive(Default, Deserialize)]
struct Metadata {
    payment_id: Option<String>,
}

/// A page of a list, newest first.
#[derive(Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Whether another follows.
    #[serde(default)]
    pub has_more: bool,
}

/// A part of time, for lists: from its first second to before its last.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first moment in it.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub until: DateTime<Utc>,
}

impl Stripe {
    /// Asks for an intent and everything that happened to it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn inquire(&self, id: &str) -> Result<Inquired, Failure> {
        let expand = [("expand[]", "latest_charge.balance_transaction")];
        self.get("inquire", &format!("/v1/payment_intents/{id}"), &expand)
            .await
    }

    /// The intents that name this payment, among those that were opened in this time: what is left to ask where a call
    /// has no answer and may not be repeated.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn intents_of(&self, payment_id: &str, opened: Span) -> Result<Vec<Intent>, Failure> {
        let all = self.intents("/v1/payment_intents", opened).await?;
        let named = |listed: &Listed| listed.payment_id() == Some(payment_id);
        Ok(all
            .into_iter()
            .filter(named)
            .map(|listed| listed.intent)
            .collect())
    }

    /// The intents that were opened in this time, newest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn intents(&self, path: &str, opened: Span) -> Result<Vec<Listed>, Failure> {
        let id = |listed: &Listed| listed.intent.id.clone();
        self.made(path, opened, &[], id).await
    }

    /// Everything that was made in this time, newest first, page by page.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn made<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        made: Span,
        only: &[(&str, &str)],
        id: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, Failure> {
        let from = made.from.timestamp().to_string();
        let until = made.until.timestamp().to_string();
        let mut query = vec![
            ("limit", PAGE),
            ("created[gte]", &from),
            ("created[lt]", &until),
        ];
        query.extend_from_slice(only);
        self.pages(path, &query, id).await
    }

    /// Every page of a list.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        id: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, Failure> {
        let mut all: Vec<T> = Vec::new();
        loop {
            let after = all.last().map(&id);
            let mut query = query.to_vec();
            query.extend(after.as_deref().map(|after| ("starting_after", after)));
            let page: Page<T> = self.get("list", path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            all.extend(page.data);
            if !more {
                return Ok(all);
            }
        }
    }
}
