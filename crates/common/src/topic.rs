//! The pure topic names, as the Kafka client takes them.

use crate::events::topics;

impl From<topics::Topic> for chassis::kafka::Topic {
    fn from(topic: topics::Topic) -> Self {
        Self {
            name: topic.name,
            compacted: topic.compacted,
        }
    }
}
