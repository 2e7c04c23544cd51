//! What the provider pays out, and the entries of our account there.

use serde::Deserialize;

use super::{Failure, Span, Stripe};
use crate::domain::{EntryKind, Payout, Transaction};

/// A charge, refund or dispute, as far as it names its intent.
#[derive(Deserialize)]
struct OfIntent {
    payment_intent: Option<String>,
}

impl Stripe {
    /// The payouts that were made in this time.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn payouts(&self, made: Span) -> Result<Vec<Payout>, Failure> {
        self.made("/v1/payouts", made, &[], |payout: &Payout| {
            payout.id.clone()
        })
        .await
    }

    /// What a payout is made of; the provider refuses to say it of one that was made by hand.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn paid_out(&self, payout: &str) -> Result<Vec<Transaction>, Failure> {
        let query = [("limit", "100"), ("payout", payout)];
        self.pages("/v1/balance_transactions", &query, |it: &Transaction| {
            it.id.clone()
        })
        .await
    }

    /// The captured charges of this time, as they are in our account.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn charged(&self, made: Span) -> Result<Vec<Transaction>, Failure> {
        let only = [("type", "charge")];
        self.made(
            "/v1/balance_transactions",
            made,
            &only,
            |it: &Transaction| it.id.clone(),
        )
        .await
    }

    /// One entry of our account.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn transaction(&self, id: &str) -> Result<Transaction, Failure> {
        self.get(
            "transaction",
            &format!("/v1/balance_transactions/{id}"),
            &[],
        )
        .await
    }

    /// The intent of what moved money.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn intent_of(&self, moved: EntryKind, id: &str) -> Result<Option<String>, Failure> {
        let (name, list) = match moved {
            EntryKind::Charge => ("charge", "charges"),
            EntryKind::Refund | EntryKind::RefundFailure => ("refund", "refunds"),
            EntryKind::Dispute => ("dispute", "disputes"),
        };
        let found: OfIntent = self.get(name, &format!("/v1/{list}/{id}"), &[]).await?;
        Ok(found.payment_intent)
    }
}
