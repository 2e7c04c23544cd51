use std::{sync::Arc, time::Duration};

use super::Desk;
use crate::{
    error::ApiError,
    ids,
    journal::Lost,
    model::{Line, Payout, PayoutFact, PayoutStatus, Transaction, TransactionKind, Turn},
};

/// What is to be paid out, and how.
#[derive(Default)]
pub(crate) struct PayoutOrder {
    /// Of one currency, or of each.
    pub(crate) currency: Option<String>,
    /// As the schedule pays out.
    pub(crate) automatic: bool,
    /// How much later the bank books it, where that is not as the rules say.
    pub(crate) arrives_after: Option<Duration>,
}

impl Desk {
    /// Pays out all that is available, and gives the payouts that were made. A currency whose available balance is not
    /// positive has none.
    pub(crate) async fn pay_out(&self, order: &PayoutOrder) -> Result<Vec<Arc<PayoutFact>>, Lost> {
        let only = order.currency.as_deref();
        let _till = self.till.lock().await;
        let planned: Vec<_> = {
            let tables = self.store.read();
            let unpaid = tables.balance.unpaid();
            let wanted = unpaid.filter(|(currency, _)| only.is_none_or(|only| only == *currency));
            wanted
                .filter_map(|(currency, unpaid)| self.plan(currency, &unpaid, order))
                .collect()
        };
        let mut made = Vec::new();
        for fact in planned {
            made.push(self.commit_payout(fact).await?);
        }
        Ok(made)
    }

    fn plan(
        &self,
        currency: &str,
        unpaid: &[&Transaction],
        order: &PayoutOrder,
    ) -> Option<PayoutFact> {
        let bank = self.bank();
        let available = unpaid.iter().filter(|it| it.is_available(bank.now_ms));
        let (mut amount, mut pays_out) = (0, Vec::new());
        for transaction in available {
            amount += transaction.net();
            pays_out.push(transaction.id.clone());
        }
        if amount < 1 {
            return None;
        }
        let id = ids::object("po", bank.now());
        let transaction = bank.at_once(TransactionKind::Payout, &id, -amount);
        let wait = order.arrives_after.unwrap_or(self.rules.turn_after);
        let payout = Payout {
            id,
            amount,
            currency: currency.to_owned(),
            created: bank.now(),
            arrival_date: bank.seconds_after(wait),
            automatic: order.automatic,
            status: PayoutStatus::Pending,
            transaction,
            failure: None,
            turn: Some(Turn {
                at: bank.after(wait),
                to: PayoutStatus::Paid,
            }),
        };
        Some(PayoutFact {
            at: bank.now_ms,
            payout,
            pays_out,
            events: self.events(vec![("payout.created", None)]),
        })
    }

    /// The bank has booked the payout `id`, if its time has come.
    pub(super) async fn arrive(&self, id: &str) -> Result<(), Lost> {
        let _till = self.till.lock().await;
        let latest = self.store.read().payouts.get(id).cloned();
        let now = self.now_ms();
        let due = latest.and_then(|fact| {
            let turn = fact.payout.turn.filter(|turn| turn.at <= now)?;
            Some((fact.payout.clone(), turn.to))
        });
        match due {
            Some((payout, status)) => self.turn_payout(payout, status).await.map(drop),
            None => Ok(()),
        }
    }

    /// The bank books the payout `id`, or sends it back, whatever the time.
    pub(crate) async fn move_payout(
        &self,
        id: &str,
        status: PayoutStatus,
    ) -> Result<Arc<PayoutFact>, ApiError> {
        let _till = self.till.lock().await;
        let latest = self.store.read().payouts.get(id).cloned();
        let latest = latest.ok_or_else(|| ApiError::missing("payout", id, "payout"))?;
        if !latest.payout.status.may_become(status) {
            return Err(ApiError::refused("The payout has ended."));
        }
        let moved = self.turn_payout(latest.payout.clone(), status).await;
        moved.map_err(|_| ApiError::internal())
    }

    /// The caller holds the till.
    async fn turn_payout(
        &self,
        mut payout: Payout,
        status: PayoutStatus,
    ) -> Result<Arc<PayoutFact>, Lost> {
        let told = if status == PayoutStatus::Failed {
            let (kind, amount) = (TransactionKind::PayoutFailure, payout.amount);
            payout.failure = Some(self.bank().at_once(kind, &payout.id, amount));
            "payout.failed"
        } else {
            "payout.paid"
        };
        payout.status = status;
        payout.turn = None;
        let fact = PayoutFact {
            at: self.now_ms(),
            payout,
            pays_out: Vec::new(),
            events: self.events(vec![(told, None)]),
        };
        self.commit_payout(fact).await
    }

    async fn commit_payout(&self, fact: PayoutFact) -> Result<Arc<PayoutFact>, Lost> {
        self.journal.append(&Line::Payout(&fact)).await?;
        let fact = Arc::new(fact);
        self.webhooks.emit(self.store.install_payout(&fact));
        Ok(fact)
    }
}
