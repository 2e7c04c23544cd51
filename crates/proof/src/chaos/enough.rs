//! When a run has seen enough to prove anything: a fleet that acknowledges nothing breaks no promise.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use crate::journal::Kind;

/// What is counted, and how many of each have to be acknowledged.
const ENOUGH: [(Kind, usize); 5] = [
    (Kind::Pledge, 11),
    (Kind::Payment, 11),
    (Kind::Confirm, 11),
    (Kind::Cancel, 1),
    (Kind::Refund, 1),
];

/// Whether so many acknowledgements of each kind prove anything.
pub(super) fn is_enough(of: impl Fn(Kind) -> usize) -> bool {
    ENOUGH.iter().all(|&(kind, needed)| of(kind) >= needed)
}

/// The operations that were acknowledged so far.
#[derive(Default)]
pub(super) struct Acknowledged(Mutex<BTreeMap<Kind, BTreeSet<u64>>>);

impl Acknowledged {
    /// Notes an acknowledgement. One that comes again counts once.
    pub(super) fn note(&self, kind: Kind, operation: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(kind).or_default().insert(operation);
    }

    /// Whether a run that ended now would prove anything.
    pub(super) fn is_enough(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_enough(|kind| known.get(&kind).map_or(0, BTreeSet::len))
    }
}
