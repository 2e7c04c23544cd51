use std::sync::Arc;

use super::Desk;
use crate::{
    ids,
    journal::Lost,
    model::{Line, Payout, PayoutFact, PayoutStatus, Transaction, TransactionKind},
};

impl Desk {
    /// Pays out all that is available, of one currency or of each, and gives the payouts that were made. A currency
    /// whose available balance is not positive has none.
    pub(crate) async fn pay_out(
        &self,
        only: Option<&str>,
        automatic: bool,
    ) -> Result<Vec<Arc<PayoutFact>>, Lost> {
        let _till = self.till.lock().await;
        let planned: Vec<_> = {
            let tables = self.store.read();
            let unpaid = tables.balance.unpaid();
            let wanted = unpaid.filter(|(currency, _)| only.is_none_or(|only| only == *currency));
            wanted
                .filter_map(|(currency, unpaid)| self.plan(currency, &unpaid, automatic))
                .collect()
        };
        let mut made = Vec::new();
        for fact in planned {
            made.push(self.commit_payout(fact).await?);
        }
        Ok(made)
    }

    fn plan(&self, currency: &str, unpaid: &[&Transaction], automatic: bool) -> Option<PayoutFact> {
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
        let payout = Payout {
            id,
            amount,
            currency: currency.to_owned(),
            created: bank.now(),
            arrival_date: bank.seconds_after(self.rules.turn_after),
            automatic,
            status: PayoutStatus::Pending,
            transaction,
            turn: Some(bank.soon(PayoutStatus::Paid)),
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
        let Some((mut payout, status)) = due else {
            return Ok(());
        };
        payout.status = status;
        payout.turn = None;
        let fact = PayoutFact {
            at: now,
            payout,
            pays_out: Vec::new(),
            events: self.events(vec![("payout.paid", None)]),
        };
        self.commit_payout(fact).await.map(drop)
    }

    async fn commit_payout(&self, fact: PayoutFact) -> Result<Arc<PayoutFact>, Lost> {
        self.journal.append(&Line::Payout(&fact)).await?;
        let fact = Arc::new(fact);
        self.webhooks.emit(self.store.install_payout(&fact));
        Ok(fact)
    }
}
