//! What tests of several rows of the fault matrix share.

use std::collections::HashSet;

use crate::harness::{Gift, Record, World};

/// Proves that a topic tells of each of these gifts, and, once repetitions are taken out by the event's id, each
/// version once and in order.
pub fn told_in_order(world: &World, topic: &str, gifts: &[Gift]) {
    let told = world.topics.all(topic);
    for gift in gifts {
        let mut known = HashSet::new();
        let versions: Vec<i64> = told
            .iter()
            .filter(|event| event.key == gift.id && known.insert(&event.event_id))
            .map(Record::version)
            .collect();
        let in_order: Vec<i64> = (1..).take(versions.len()).collect();
        assert!(!versions.is_empty(), "{topic} does not tell of {}", gift.id);
        assert_eq!(versions, in_order, "{topic} of {}", gift.id);
    }
}
