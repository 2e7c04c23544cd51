//! Which of its payments a pledge shows. Pure.

use std::collections::BTreeMap;

use common::events::PledgeStatus;

/// One payment of a pledge, as its newest snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which, from 1.
    pub number: i32,
    /// Of the snapshot.
    pub version: i64,
    /// What the pledge's status is by it.
    pub status: PledgeStatus,
    /// How much of the whole charge went back so far, in minor units.
    pub refunded: i64,
}

impl Attempt {
    /// A payment that can be paid or was goes before one whose money went back, that one goes before one that ended
    /// without, and a later one goes before an earlier: at most one of a pledge's payments stands for long.
    fn weight(&self) -> (u8, i32) {
        let stands = match self.status {
            PledgeStatus::Pending | PledgeStatus::Authorized | PledgeStatus::Completed => 2,
            PledgeStatus::Refunded => 1,
            PledgeStatus::Cancelled | PledgeStatus::Expired | PledgeStatus::Failed => 0,
        };
        (stands, self.number)
    }
}

/// The payments of a pledge that are known, each by its newest snapshot.
#[derive(Clone, Debug, Default)]
pub struct Attempts(BTreeMap<i32, Attempt>);

impl Attempts {
    /// Keeps what is told of a payment, unless something newer is known of it. Whatever the order in which all is told,
    /// the same is known in the end.
    pub fn hear(&mut self, told: Attempt) {
        let known = self.0.get(&told.number);
        if known.is_none_or(|known| known.version < told.version) {
            self.0.insert(told.number, told);
        }
    }

    /// The one that the pledge shows; none where none is known.
    pub fn shown(&self) -> Option<&Attempt> {
        self.0.values().max_by_key(|attempt| attempt.weight())
    }

    /// Those that it does not show.
    pub fn others(&self) -> impl Iterator<Item = &Attempt> {
        let shown = self.shown().map(|shown| shown.number);
        self.0
            .values()
            .filter(move |attempt| Some(attempt.number) != shown)
    }
}
