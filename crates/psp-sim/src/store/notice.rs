use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering},
};

use crate::model::{Event, Fact, PayoutFact};

/// What a webhook event tells of.
#[derive(Clone)]
pub(crate) enum Source {
    Fact(Arc<Fact>),
    Payout(Arc<PayoutFact>),
}

impl Source {
    fn events(&self) -> &[Event] {
        match self {
            Self::Fact(fact) => &fact.events,
            Self::Payout(fact) => &fact.events,
        }
    }
}

/// A webhook event and how its delivery goes.
pub(crate) struct Notice {
    pub(crate) source: Source,
    index: usize,
    pub(crate) attempts: AtomicU32,
    /// The receiver's last HTTP status; 0 while there is none.
    pub(crate) last_status: AtomicU16,
    delivered: AtomicBool,
    dropped: AtomicBool,
}

impl Notice {
    /// One for each event of the source.
    pub(super) fn all_of(source: &Source) -> Vec<Arc<Self>> {
        let notice = |index| Self {
            source: source.clone(),
            index,
            attempts: AtomicU32::new(0),
            last_status: AtomicU16::new(0),
            delivered: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        };
        (0..source.events().len())
            .map(|index| Arc::new(notice(index)))
            .collect()
    }

    pub(crate) fn event(&self) -> &Event {
        &self.source.events()[self.index]
    }

    /// When it came about, in Unix milliseconds.
    pub(crate) fn at(&self) -> i64 {
        match &self.source {
            Source::Fact(fact) => fact.at,
            Source::Payout(fact) => fact.at,
        }
    }

    /// The id of the intent that it is about; payouts are about none.
    pub(crate) fn intent(&self) -> Option<&str> {
        match &self.source {
            Source::Fact(fact) => Some(fact.intent_id()),
            Source::Payout(_) => None,
        }
    }

    /// The id of what its events keep their order by: an intent or a payout.
    pub(crate) fn lane(&self) -> &str {
        match &self.source {
            Source::Fact(fact) => fact.intent_id(),
            Source::Payout(fact) => &fact.payout.id,
        }
    }

    /// Whether the receiver has acknowledged it, or never asked for it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }

    /// Notes the acknowledgement; true for the first.
    pub(crate) fn deliver(&self) -> bool {
        !self.delivered.swap(true, Ordering::AcqRel)
    }

    /// Whether a fault has lost it on its way.
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Loses it: nobody sends it again unless asked to.
    pub(crate) fn discard(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    /// Whether the receiver has still to hear of it.
    pub(crate) fn is_owed(&self) -> bool {
        !self.is_delivered() && !self.is_dropped()
    }
}
