//! The servers that the tests use.

use chassis::{
    cache,
    env::Env,
    kafka::{self, Kafka, Record},
};
use common::events::Event;
use uuid::Uuid;

/// Addresses of the servers.
#[derive(Clone, Debug)]
pub struct Backends {
    /// A superuser's URL of PostgreSQL.
    pub database_url: String,
    /// URL of Redis.
    pub redis_url: String,
    /// Bootstrap servers of Kafka.
    pub kafka_brokers: String,
}

impl Backends {
    /// Reads the environment, and says how to get one where there is none.
    pub fn from_env() -> Self {
        let mut env = Env::process();
        let found = Self {
            database_url: env.string("DATABASE_URL"),
            redis_url: env.string("REDIS_URL"),
            kafka_brokers: env.string("KAFKA_BROKERS"),
        };
        env.finish(found).unwrap_or_else(|error| {
            panic!("{error}; `cargo xtask test` starts the servers and sets them")
        })
    }
}

/// A Kafka configuration whose topics, of one partition each, belong to this test alone.
pub fn kafka() -> kafka::Config {
    let prefix = format!("t{}.", Uuid::new_v4().simple());
    kafka::Config::read(
        &mut Env::of([
            ("KAFKA_BROKERS", Backends::from_env().kafka_brokers),
            ("KAFKA_TOPIC_PREFIX", prefix),
            ("KAFKA_PARTITIONS", "1".to_owned()),
        ]),
        "test",
    )
}

/// A Redis configuration whose keys belong to this test alone.
pub fn cache() -> cache::Config {
    cache::Config {
        url: Backends::from_env().redis_url,
        prefix: format!("t{}:", Uuid::new_v4().simple()),
    }
}

/// Publishes an event as another service's relay would, and waits for the broker's acknowledgement.
pub async fn publish<E: Event>(config: &kafka::Config, event: &E) {
    let kafka = Kafka::new(config);
    let headers = vec![
        ("ce_specversion".to_owned(), "1.0".to_owned()),
        ("ce_id".to_owned(), Uuid::now_v7().to_string()),
        ("ce_type".to_owned(), event.kind().to_owned()),
    ];
    let payload = serde_json::to_vec(event).expect("events serialise");
    let record = Record {
        topic: E::TOPIC.into(),
        key: event.key(),
        payload,
        headers,
    };
    let producer = kafka.producer().expect("a producer can be made");
    // A topic that its consumer has not made yet is made by `ensure` at any moment: the producer waits for it.
    for result in producer.send_all(vec![record]).await {
        result.expect("the broker takes the event");
    }
}
