//! Everything the provider knows, in memory, rebuilt from the ledger at start.

mod alarms;
mod balance;
mod notice;
mod series;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    machine,
    model::{Charge, Dispute, Fact, Kind, PayoutFact, Refund},
};

pub(crate) use alarms::Alarms;
pub(crate) use balance::{Balance, Posting};
pub(crate) use notice::{Notice, Source};
pub(crate) use series::Series;

/// One intent: its latest fact, and the turn that whoever changes it must hold.
pub(crate) struct Slot {
    pub(crate) turn: tokio::sync::Mutex<()>,
    latest: RwLock<Arc<Fact>>,
}

impl Slot {
    /// The intent as it is now.
    pub(crate) fn latest(&self) -> Arc<Fact> {
        self.latest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, fact: &Arc<Fact>) {
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = fact.clone();
    }
}

/// A refund or a dispute: its place in the latest fact of its charge.
pub(crate) struct Part {
    pub(crate) fact: Arc<Fact>,
    index: usize,
}

impl Part {
    pub(crate) fn charge(&self) -> Option<&Charge> {
        self.fact.charge.as_ref()
    }

    pub(crate) fn refund(&self) -> Option<(&Charge, &Refund)> {
        let charge = self.charge()?;
        Some((charge, charge.refunds.get(self.index)?))
    }

    pub(crate) fn dispute(&self) -> Option<(&Charge, &Dispute)> {
        let charge = self.charge()?;
        Some((charge, charge.disputes.get(self.index)?))
    }
}

/// The tables.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) intents: Series<Arc<Slot>>,
    /// The latest fact of each charge.
    pub(crate) charges: Series<Arc<Fact>>,
    pub(crate) refunds: Series<Part>,
    pub(crate) disputes: Series<Part>,
    pub(crate) balance: Balance,
    pub(crate) payouts: Series<Arc<PayoutFact>>,
    pub(crate) events: Series<Arc<Notice>>,
    /// Every fact, oldest first.
    pub(crate) facts: Vec<Arc<Fact>>,
    pub(crate) alarms: Alarms,
}

impl Tables {
    fn tell(&mut self, source: &Source) -> Vec<Arc<Notice>> {
        let notices = Notice::all_of(source);
        for notice in &notices {
            self.events.put(&notice.event().id, notice.clone());
        }
        notices
    }

    fn file(&mut self, fact: &Arc<Fact>, charge: &Charge) {
        self.charges.put(&charge.id, fact.clone());
        let part = |index| Part {
            fact: fact.clone(),
            index,
        };
        for (index, refund) in charge.refunds.iter().enumerate() {
            self.refunds.put(&refund.id, part(index));
        }
        for (index, dispute) in charge.disputes.iter().enumerate() {
            self.disputes.put(&dispute.id, part(index));
        }
    }
}

/// The tables behind their lock, which is never held across an await.
#[derive(Default)]
pub(crate) struct Store(RwLock<Tables>);

impl Store {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a kept fact visible and gives the notices that its events need.
    pub(crate) fn install(&self, fact: &Arc<Fact>) -> Vec<Arc<Notice>> {
        let mut tables = self.write();
        if fact.kind == Kind::Created {
            let slot = Slot {
                turn: tokio::sync::Mutex::default(),
                latest: RwLock::new(fact.clone()),
            };
            tables.intents.put(fact.intent_id(), Arc::new(slot));
        } else if let Some(slot) = tables.intents.get(fact.intent_id()) {
            slot.replace(fact);
        }
        if let Some(charge) = &fact.charge {
            tables.file(fact, charge);
        }
        tables.balance.enter(fact);
        tables.alarms.set(fact.intent_id(), machine::due(fact));
        tables.facts.push(fact.clone());
        tables.tell(&Source::Fact(fact.clone()))
    }

    /// Makes a kept payout visible and gives the notices that its events need.
    pub(crate) fn install_payout(&self, fact: &Arc<PayoutFact>) -> Vec<Arc<Notice>> {
        let mut tables = self.write();
        tables.balance.pay_out(fact);
        let turn = fact.payout.turn.map(|turn| turn.at);
        tables.alarms.set(&fact.payout.id, turn);
        tables.payouts.put(&fact.payout.id, fact.clone());
        tables.tell(&Source::Payout(fact.clone()))
    }

    /// The intent `id`.
    pub(crate) fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.read().intents.get(id).cloned()
    }

    /// The event `id`.
    pub(crate) fn notice(&self, id: &str) -> Option<Arc<Notice>> {
        self.read().events.get(id).cloned()
    }

    /// Events that the receiver has still to hear of, oldest first.
    pub(crate) fn undelivered(&self) -> Vec<Arc<Notice>> {
        let tables = self.read();
        let all = tables.events.all().iter();
        all.filter(|notice| notice.is_owed()).cloned().collect()
    }
}
