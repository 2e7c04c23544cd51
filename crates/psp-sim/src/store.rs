//! Everything the provider knows, in memory, rebuilt from the ledger at start.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering},
    },
};

use crate::model::{Event, Fact, Kind};

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
}

/// A webhook event and how its delivery goes.
pub(crate) struct Notice {
    pub(crate) fact: Arc<Fact>,
    index: usize,
    pub(crate) attempts: AtomicU32,
    /// The receiver's last HTTP status; 0 while there is none.
    pub(crate) last_status: AtomicU16,
    delivered: AtomicBool,
}

impl Notice {
    pub(crate) fn event(&self) -> &Event {
        &self.fact.events[self.index]
    }

    /// Whether the receiver has acknowledged it, or never asked for it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }

    /// Notes the acknowledgement; true for the first.
    pub(crate) fn deliver(&self) -> bool {
        !self.delivered.swap(true, Ordering::AcqRel)
    }
}

/// Things in the order in which they came about, findable by id.
pub(crate) struct Series<T> {
    items: Vec<T>,
    index: HashMap<String, usize>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            index: HashMap::new(),
        }
    }
}

impl<T> Series<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.items.get(self.position(id)?)
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[T] {
        &self.items
    }

    /// Replaces the thing of this id, or adds it at the end.
    fn put(&mut self, id: &str, item: T) {
        if let Some(place) = self.position(id) {
            self.items[place] = item;
        } else {
            self.index.insert(id.to_owned(), self.items.len());
            self.items.push(item);
        }
    }
}

/// The tables.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) intents: Series<Arc<Slot>>,
    /// The latest fact of each charge.
    pub(crate) charges: Series<Arc<Fact>>,
    /// The fact that holds each balance transaction.
    pub(crate) transactions: Series<Arc<Fact>>,
    pub(crate) events: Series<Arc<Notice>>,
    /// Every fact, oldest first.
    pub(crate) facts: Vec<Arc<Fact>>,
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
        let notice = |index| Notice {
            fact: fact.clone(),
            index,
            attempts: AtomicU32::new(0),
            last_status: AtomicU16::new(0),
            delivered: AtomicBool::new(false),
        };
        let notices: Vec<_> = (0..fact.events.len())
            .map(|index| Arc::new(notice(index)))
            .collect();
        let mut tables = self.write();
        if fact.kind == Kind::Created {
            let latest = RwLock::new(fact.clone());
            let slot = Slot {
                turn: tokio::sync::Mutex::default(),
                latest,
            };
            tables.intents.put(fact.intent_id(), Arc::new(slot));
        } else if let Some(slot) = tables.intents.get(fact.intent_id()) {
            *slot.latest.write().unwrap_or_else(PoisonError::into_inner) = fact.clone();
        }
        if let Some(charge) = &fact.charge {
            tables.charges.put(&charge.id, fact.clone());
            if let Some(transaction) = &charge.transaction {
                tables.transactions.put(&transaction.id, fact.clone());
            }
        }
        for notice in &notices {
            tables.events.put(&notice.event().id, notice.clone());
        }
        tables.facts.push(fact.clone());
        notices
    }

    /// The intent `id`.
    pub(crate) fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.read().intents.get(id).cloned()
    }

    /// The event `id`.
    pub(crate) fn notice(&self, id: &str) -> Option<Arc<Notice>> {
        self.read().events.get(id).cloned()
    }

    /// Events that the receiver has not acknowledged, oldest first.
    pub(crate) fn undelivered(&self) -> Vec<Arc<Notice>> {
        let tables = self.read();
        tables
            .events
            .all()
            .iter()
            .filter(|notice| !notice.is_delivered())
            .cloned()
            .collect()
    }
}
