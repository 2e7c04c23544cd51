//! What the topics tell of aggregates: which versions, in which order, by which events.

use common::events::topics::{self, Topic};
use uuid::Uuid;

/// What is read.
pub(super) const TOPICS: [Topic; 6] = [
    topics::USER,
    topics::CONTACT,
    topics::CAMPAIGN,
    topics::PLEDGE,
    topics::PAYMENT,
    topics::TOTALS,
];

/// Topics whose aggregates have no gap in their versions: of a campaign or a contact only the newest is kept, and not
/// every change of a total is announced.
const GAPLESS: [Topic; 3] = [topics::USER, topics::PLEDGE, topics::PAYMENT];

/// A version of an aggregate, and the event that told of it.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) id: Uuid,
    pub(super) version: i64,
    pub(super) event: Uuid,
}

/// What the topics say, beside what lies on the bench.
#[derive(Clone, Default)]
pub(super) struct Topics {
    /// Records that were read.
    pub(super) records: u64,
    /// Records that were there twice, which is allowed.
    pub(super) copies: u64,
    /// Aggregates with a version below one that was told before, as `topic/id`.
    pub(super) disorder: Vec<String>,
    /// Aggregates of which one version was told by two different events, as `topic/id@version`.
    pub(super) contradictions: Vec<String>,
    /// Aggregates of which a version before the newest was not told, as `topic/id`, in topics that hold all that they
    /// were ever given.
    pub(super) gaps: Vec<String>,
    /// Topics whose oldest records are gone.
    pub(super) forgetful: Vec<&'static str>,
    /// Records that could not be read, as `topic/partition@offset`.
    pub(super) unreadable: Vec<String>,
    /// The newest version of each aggregate, topic by topic, in the order of their ids.
    newest: [Vec<(Uuid, i64)>; TOPICS.len()],
}

impl Topics {
    /// Judges what a reader was told of one of [`TOPICS`]. All that was told of an aggregate is there, in the topic's order.
    pub(super) fn judge(&mut self, topic: usize, mut told: Vec<Told>) {
        let Topic { name, .. } = TOPICS[topic];
        let is_gapless = GAPLESS.iter().any(|one| one.name == name) && self.remembers(name);
        // Stable, so that what is told of one aggregate stays in its order.
        told.sort_by_key(|one| one.id);
        for told in told.chunk_by(|one, next| one.id == next.id) {
            let (id, mut newest, mut versions) = (told[0].id, 0, 0);
            for (n, one) in told.iter().enumerate() {
                let mut same = told[..n]
                    .iter()
                    .filter(|known| known.version == one.version);
                match same.next() {
                    None => {
                        versions += 1;
                        if one.version < newest {
                            self.disorder.push(format!("{name}/{id}"));
                        }
                        newest = newest.max(one.version);
                    }
                    Some(known) if known.event == one.event => self.copies += 1,
                    Some(_) if same.any(|known| known.event == one.event) => self.copies += 1,
                    Some(_) => self
                        .contradictions
                        .push(format!("{name}/{id}@{}", one.version)),
                }
            }
            // Versions begin at 1, so without a gap the newest is their number.
            if is_gapless && versions != newest {
                self.gaps.push(format!("{name}/{id}"));
            }
            self.newest[topic].push((id, newest));
        }
    }

    /// Adds what another reader found. An aggregate has one partition, and so one reader.
    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.copies += other.copies;
        self.disorder.extend(other.disorder);
        self.contradictions.extend(other.contradictions);
        self.gaps.extend(other.gaps);
        self.unreadable.extend(other.unreadable);
        for (newest, more) in self.newest.iter_mut().zip(other.newest) {
            newest.extend(more);
            // Two runs, each in its order, which this sort merges.
            newest.sort();
        }
    }

    /// The newest version of each aggregate that a topic tells of, in the order of their ids.
    pub(super) fn newest(&self, topic: &Topic) -> &[(Uuid, i64)] {
        let topic = TOPICS.iter().position(|one| one.name == topic.name);
        topic.map_or(&[], |topic| &self.newest[topic])
    }

    /// How many aggregates there are.
    pub(super) fn aggregates(&self) -> usize {
        self.newest.iter().map(Vec::len).sum()
    }

    /// Whether a topic of that name still holds all that it was ever given.
    pub(super) fn remembers(&self, topic: &str) -> bool {
        !self.forgetful.contains(&topic)
    }
}
