//! Consumers that come and go, and one whose broker falls silent.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{
    env::Env,
    kafka::{Config, Fault, Handler, Kafka, Message, Record, Topic},
    lifecycle::Lifecycle,
    telemetry::metrics,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use testkit::eventually;
use tokio::{sync::Semaphore, task::block_in_place};
use uuid::Uuid;
use xtask::fleet::Backends;

use crate::harness::{Load, counted, rough, sum};

const ORDERS: Topic = Topic {
    name: "orders",
    compacted: false,
};
/// More than the client fetches ahead.
const MESSAGES: usize = 12_000;

#[test]
fn totals_are_exact_after_a_storm_of_rebalances() {
    // Without a name a member leaves its group when it ends, and all partitions move each time.
    const NAMELESS: [(&str, &str); 1] = [("KAFKA_INSTANCE", "")];
    rough(async |world| {
        let campaign = world.campaign().await;
        world.restart_with("totals", &NAMELESS);
        let load = Load::paying(world, &campaign, 3);
        for round in 0..4 {
            world.start_with("totals-2", &NAMELESS);
            load.until_more(3).await;
            world.terminate("totals-2");
            if round % 2 == 1 {
                world.restart_with("totals", &NAMELESS);
            }
            load.until_more(3).await;
        }
        let gifts = load.stop();
        world.until_total(&campaign, "raised", sum(&gifts)).await;
        world.until_quiet().await;
        let totals = world.totals(&campaign).await.expect("totals");
        assert_eq!(totals["raised"]["amount"], sum(&gifts), "{totals}");
        assert_eq!(totals["donors"], gifts.len(), "{totals}");
    });
}

#[test]
fn a_consumer_whose_broker_falls_silent_is_made_anew_and_hears_everything() {
    rough(async |world| {
        let prefix = format!("silent_{}.", Uuid::new_v4().simple());
        let group = format!("orders-{}", Uuid::new_v4().simple());
        let brokers = world.sources().brokers.expect("a fleet has a broker");
        let mut env = Env::of([
            ("KAFKA_BROKERS", brokers.as_str()),
            ("KAFKA_TOPIC_PREFIX", &prefix),
            ("KAFKA_PARTITIONS", "1"),
            ("KAFKA_SILENCE_MS", "1500"),
        ]);
        let kafka = Kafka::new(&Config::read(&mut env, "proof"));
        kafka.create(&[ORDERS]).await.expect("a topic is made");
        let record = |_| Record {
            topic: ORDERS.name.into(),
            key: "one".to_owned(),
            // Nothing that the client could make small, and so fetch at once.
            payload: rand::random::<[u8; 1000]>().to_vec(),
            headers: Vec::new(),
        };
        let producer = kafka.producer().expect("a producer");
        let sent = producer.send_all((0..MESSAGES).map(record).collect()).await;
        assert!(sent.iter().all(Result::is_ok), "every message is there");

        let slow = Slow::default();
        let life = Lifecycle::new();
        kafka.consume(&group, &[ORDERS], slow.clone(), &life);
        // Its lag is known once it has committed something.
        slow.leave.add_permits(1);
        eventually("it has committed its first batch", async || {
            committed(
                &brokers,
                &format!("{prefix}{group}"),
                &format!("{prefix}orders"),
            )
        })
        .await;
        world.freeze_backend(Backends::kafka);
        slow.leave.add_permits(MESSAGES);
        eventually("it is taken for stuck", async || {
            let replaced = counted(&metrics::render(), "kafka_consumers_replaced_total", &group);
            (replaced > 0.0).then_some(())
        })
        .await;
        assert!(slow.seen().len() < MESSAGES, "something was left to hear");
        world.thaw_backend(Backends::kafka);
        eventually("it has heard everything", async || {
            (slow.seen().len() == MESSAGES).then_some(())
        })
        .await;
        life.stop();
        life.finish().await;
    });
}

/// Something, once the group has committed an offset of the topic.
fn committed(brokers: &str, group: &str, topic: &str) -> Option<()> {
    block_in_place(|| {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        let told = consumer.committed_offsets(asked, Duration::from_secs(5));
        let told = told.ok()?;
        matches!(told.elements()[0].offset(), Offset::Offset(1..)).then_some(())
    })
}

/// Handles one batch for each permit.
#[derive(Clone)]
struct Slow {
    leave: Arc<Semaphore>,
    seen: Arc<Mutex<BTreeSet<i64>>>,
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            leave: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
        }
    }
}

impl Slow {
    fn seen(&self) -> BTreeSet<i64> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Handler for Slow {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let leave = self.leave.acquire().await;
        leave.expect("nobody closes it").forget();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(batch.iter().map(|message| message.offset));
        Ok(())
    }
}
