//! Consumers and producers against a real broker.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chassis::{
    kafka::{Config, Fault, Handler, Kafka, Message, Record, Topic},
    lifecycle::Lifecycle,
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use testkit::eventually;

const ORDERS: Topic = Topic {
    name: "orders",
    compacted: false,
};
const DEAD: Topic = Topic {
    name: "orders.dlq",
    compacted: false,
};

/// A handler that is a function.
struct Does<F>(F);

impl<F: Fn(&[Message]) -> Result<(), Fault> + Send + Sync + 'static> Handler for Does<F> {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        (self.0)(batch)
    }
}

/// Messages that took effect, in their order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Message>>>);

impl Seen {
    fn add(&self, batch: &[Message]) {
        self.0.lock().unwrap().extend_from_slice(batch);
    }

    fn payloads(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|message| String::from_utf8(message.payload.clone()).unwrap())
            .collect()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    async fn wait_for(&self, count: usize) -> Vec<Message> {
        eventually("all messages were handled", async || {
            (self.len() >= count).then_some(())
        })
        .await;
        self.0.lock().unwrap().clone()
    }
}

/// A handler that takes everything.
fn taking(seen: &Seen) -> Does<impl Fn(&[Message]) -> Result<(), Fault> + Send + Sync + 'static> {
    let seen = seen.clone();
    Does(move |batch: &[Message]| {
        seen.add(batch);
        Ok(())
    })
}

fn config() -> Config {
    let quick = Duration::from_millis(1);
    Config {
        retry_delays: vec![quick; 3],
        backoff: quick,
        ..testkit::kafka()
    }
}

fn record(key: &str, payload: impl Into<String>) -> Record {
    Record {
        topic: ORDERS.name.into(),
        key: key.into(),
        payload: payload.into().into_bytes(),
        headers: Vec::new(),
    }
}

async fn send(kafka: &Kafka, records: Vec<Record>) {
    for result in kafka.producer().unwrap().send_all(records).await {
        result.unwrap();
    }
}

async fn stop(life: Lifecycle) {
    life.stop();
    life.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_created_is_known_at_once_with_all_its_partitions() {
    let client = testkit::kafka();
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &client.brokers)
        .create()
        .unwrap();
    for _ in 0..10 {
        let config = Config {
            partitions: 6,
            ..testkit::kafka()
        };
        Kafka::new(&config).create(&[ORDERS]).await.unwrap();
        for name in [ORDERS.name.to_owned(), format!("{}.dlq", ORDERS.name)] {
            let name = format!("{}{name}", config.prefix);
            let patience = Duration::from_secs(10);
            let metadata = asking.fetch_metadata(Some(&name), patience).unwrap();
            let topic = &metadata.topics()[0];
            assert!(topic.error().is_none(), "{name}: {:?}", topic.error());
            let led = topic.partitions().iter().filter(|one| one.leader() >= 0);
            assert_eq!(led.count(), 6, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_key_keep_their_order() {
    let kafka = Kafka::new(&Config {
        partitions: 3,
        ..config()
    });
    let (life, seen) = (Lifecycle::new(), Seen::default());
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..5000)
            .map(|n| record(&format!("key {}", n % 50), n.to_string()))
            .collect(),
    )
    .await;
    kafka.consume("shop", &[ORDERS], taking(&seen), &life);
    let mut per_key: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for message in seen.wait_for(5000).await {
        per_key
            .entry(message.key.clone())
            .or_default()
            .push(String::from_utf8(message.payload).unwrap().parse().unwrap());
    }
    assert_eq!(per_key.len(), 50);
    for (key, numbers) in per_key {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
        assert_eq!(numbers.len(), 100, "{key}");
    }
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_what_is_there_and_never_more_than_a_thousand() {
    let kafka = Kafka::new(&config());
    let (life, sizes) = (Lifecycle::new(), Arc::new(Mutex::new(Vec::new())));
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..3000).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    let kept = sizes.clone();
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |batch: &[Message]| {
            kept.lock().unwrap().push(batch.len());
            Ok(())
        }),
        &life,
    );
    let sizes = eventually("all messages were handled", async || {
        let sizes = sizes.lock().unwrap().clone();
        (sizes.iter().sum::<usize>() == 3000).then_some(sizes)
    })
    .await;
    assert!(
        sizes.iter().all(|size| (1..=1000).contains(size)),
        "{sizes:?}"
    );
    assert!(
        sizes.len() < 300,
        "messages that wait come together: {sizes:?}"
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for_and_nothing_is_lost_or_reordered() {
    let kafka = Kafka::new(&config());
    let (life, seen, tries) = (Lifecycle::new(), Seen::default(), Arc::new(Mutex::new(0)));
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..1500).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    let (taken, tried) = (seen.clone(), tries.clone());
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |batch: &[Message]| {
            let mut tries = tried.lock().unwrap();
            *tries += 1;
            if *tries <= 12 {
                return Err(Fault::transient("the database is away"));
            }
            taken.add(batch);
            Ok(())
        }),
        &life,
    );
    eventually("the outage was met", async || {
        (*tries.lock().unwrap() > 3).then_some(())
    })
    .await;
    send(
        &kafka,
        (1500..1600).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    seen.wait_for(1600).await;
    assert_eq!(
        seen.payloads(),
        (0..1600).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_is_set_aside_and_its_neighbours_are_handled() {
    let kafka = Kafka::new(&config());
    let (life, seen, dead) = (Lifecycle::new(), Seen::default(), Seen::default());
    let tries = Arc::new(Mutex::new(0));
    kafka.create(&[ORDERS]).await.unwrap();
    let mut records: Vec<_> = (0..100).map(|n| record("key", n.to_string())).collect();
    records[57]
        .headers
        .push(("traceparent".into(), "kept".into()));
    send(&kafka, records).await;
    let (taken, tried) = (seen.clone(), tries.clone());
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |batch: &[Message]| {
            if batch.iter().any(|message| message.payload == b"57") {
                *tried.lock().unwrap() += i32::from(batch.len() == 1);
                return Err(Fault::permanent("57 is not a number"));
            }
            taken.add(batch);
            Ok(())
        }),
        &life,
    );
    kafka.consume("undertaker", &[DEAD], taking(&dead), &life);
    let letter = dead.wait_for(1).await.remove(0);
    seen.wait_for(99).await;
    let expected: Vec<_> = (0..100)
        .filter(|n| *n != 57)
        .map(|n| n.to_string())
        .collect();
    assert_eq!(seen.payloads(), expected, "once each and in order");
    assert_eq!(*tries.lock().unwrap(), 4, "once and three times more");
    assert_eq!(
        (
            letter.topic.as_str(),
            letter.key.as_str(),
            letter.payload.as_slice()
        ),
        ("orders.dlq", "key", &b"57"[..])
    );
    let header = |name| {
        letter
            .header(name)
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    assert_eq!(header("traceparent"), "kept");
    assert_eq!(header("x-original-topic"), "orders");
    assert_eq!(header("x-original-partition"), "0");
    assert_eq!(header("x-original-offset"), "57");
    assert_eq!(header("x-error"), "57 is not a number");
    assert_eq!(header("x-attempts"), "4");
    assert!(header("x-first-failed-at").ends_with('Z'));
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_null_garbled_or_as_large_as_a_message_may_be_does_not_stop_the_others() {
    let config = config();
    let kafka = Kafka::new(&config);
    let (life, seen, dead) = (Lifecycle::new(), Seen::default(), Seen::default());
    kafka.create(&[ORDERS]).await.unwrap();
    let topic = format!("{}{}", config.prefix, ORDERS.name);
    let null = FutureRecord::<str, [u8]>::to(&topic).key("key");
    let bare: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .create()
        .unwrap();
    bare.send(null, Duration::from_secs(5)).await.unwrap();
    let bytes = |payload: Vec<u8>| Record {
        payload,
        ..record("key", "")
    };
    let garbage = b"\xff\xfe\x00{".to_vec();
    // With its key a million bytes, which is what a producer sends at most; there is no room for a header.
    let huge = vec![b'x'; 999_900];
    let records = vec![bytes(garbage.clone()), bytes(huge), record("key", "8")];
    send(&kafka, records).await;
    let taken = seen.clone();
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |batch: &[Message]| {
            for message in batch {
                message.json::<i64>()?;
            }
            taken.add(batch);
            Ok(())
        }),
        &life,
    );
    kafka.consume("undertaker", &[DEAD], taking(&dead), &life);
    let letters = dead.wait_for(3).await;
    seen.wait_for(1).await;
    assert_eq!(seen.payloads(), ["8"]);
    let payloads: Vec<_> = letters.iter().map(|letter| &letter.payload).collect();
    assert_eq!(payloads, [&Vec::new(), &garbage, &Vec::new()]);
    let left_out: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("x-payload-left-out"))
        .collect();
    assert_eq!(left_out, [None, None, Some("999900")]);
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_does_not_stop_the_others() {
    let kafka = Kafka::new(&config());
    let (life, seen, dead) = (Lifecycle::new(), Seen::default(), Seen::default());
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        vec![
            record("key", "good"),
            record("key", "bad"),
            record("key", "better"),
        ],
    )
    .await;
    let taken = seen.clone();
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |batch: &[Message]| {
            assert!(
                batch.iter().all(|message| message.payload != b"bad"),
                "expected by the test"
            );
            taken.add(batch);
            Ok(())
        }),
        &life,
    );
    kafka.consume("undertaker", &[DEAD], taking(&dead), &life);
    assert_eq!(dead.wait_for(1).await[0].payload, b"bad");
    seen.wait_for(2).await;
    assert_eq!(seen.payloads(), ["good", "better"]);
    assert!(!life.is_stopping());
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_continues_after_the_last_effect() {
    let kafka = Kafka::new(&config());
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..10).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    let (life, first) = (Lifecycle::new(), Seen::default());
    kafka.consume("shop", &[ORDERS], taking(&first), &life);
    first.wait_for(10).await;
    stop(life).await;
    send(
        &kafka,
        (10..15).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    let (life, second) = (Lifecycle::new(), Seen::default());
    kafka.consume("shop", &[ORDERS], taking(&second), &life);
    second.wait_for(5).await;
    assert_eq!(
        second.payloads(),
        (10..15).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_took_no_effect_comes_again_after_a_restart() {
    let kafka = Kafka::new(&config());
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..10).map(|n| record("key", n.to_string())).collect(),
    )
    .await;
    let (life, tries) = (Lifecycle::new(), Arc::new(Mutex::new(0)));
    let tried = tries.clone();
    kafka.consume(
        "shop",
        &[ORDERS],
        Does(move |_: &[Message]| {
            *tried.lock().unwrap() += 1;
            Err(Fault::transient("the database is away"))
        }),
        &life,
    );
    eventually("the messages were tried", async || {
        (*tries.lock().unwrap() > 2).then_some(())
    })
    .await;
    stop(life).await;
    let (life, seen) = (Lifecycle::new(), Seen::default());
    kafka.consume("shop", &[ORDERS], taking(&seen), &life);
    seen.wait_for(10).await;
    assert_eq!(
        seen.payloads(),
        (0..10).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    stop(life).await;
}

#[test]
fn a_member_whose_runtime_ends_while_it_is_assigned_partitions_holds_nobody_up() {
    let config = config();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .create()
        .unwrap();
    let group = format!("{}shop", config.prefix);
    let state = || {
        let groups = asking.fetch_group_list(Some(&group), Duration::from_secs(10));
        // A broker that is new does not know its groups at once.
        let groups = groups.ok()?;
        groups.groups().first().map(|one| one.state().to_owned())
    };
    runtime.block_on(async {
        let (kafka, life) = (Kafka::new(&config), Lifecycle::new());
        kafka.create(&[ORDERS]).await.unwrap();
        kafka.consume("shop", &[ORDERS], taking(&Seen::default()), &life);
        eventually("the member joins", async || {
            state().filter(|state| state != "Dead")
        })
        .await;
        // The library shares out the partitions while nothing of this runtime moves, and nobody takes them.
        while state().is_none_or(|state| state != "Stable") {}
    });
    drop(runtime);
    let asked = Instant::now();
    while state().is_some_and(|state| state == "Stable") {
        assert!(asked.elapsed() < Duration::from_secs(30), "it stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_that_joins_during_an_outage_loses_nothing() {
    let kafka = Kafka::new(&Config {
        partitions: 4,
        ..config()
    });
    kafka.create(&[ORDERS]).await.unwrap();
    send(
        &kafka,
        (0..2000)
            .map(|n| record(&format!("key {}", n % 40), n.to_string()))
            .collect(),
    )
    .await;
    let (life, seen, away) = (
        Lifecycle::new(),
        Seen::default(),
        Arc::new(Mutex::new(true)),
    );
    let joined = Arc::new(Mutex::new(HashSet::new()));
    for replica in 0..2 {
        let (taken, away, seated) = (seen.clone(), away.clone(), joined.clone());
        kafka.consume(
            "shop",
            &[ORDERS],
            Does(move |batch: &[Message]| {
                seated.lock().unwrap().insert(replica);
                if *away.lock().unwrap() {
                    return Err(Fault::transient("the database is away"));
                }
                taken.add(batch);
                Ok(())
            }),
            &life,
        );
        eventually("the replica got its share", async || {
            joined.lock().unwrap().contains(&replica).then_some(())
        })
        .await;
    }
    *away.lock().unwrap() = false;
    eventually("every message was handled", async || {
        let all: HashSet<_> = seen.payloads().into_iter().collect();
        (all.len() == 2000).then_some(())
    })
    .await;
    stop(life).await;
    // Whatever was committed was handled: a third replica finds nothing that was skipped, and at most repetitions.
    let mut last: BTreeMap<(i32, i64), usize> = BTreeMap::new();
    for message in seen.0.lock().unwrap().iter() {
        *last.entry((message.partition, message.offset)).or_default() += 1;
    }
    assert_eq!(last.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_comes_with_an_empty_payload() {
    let kafka = Kafka::new(&config());
    let state = Topic {
        name: "orders",
        compacted: true,
    };
    let (life, seen) = (Lifecycle::new(), Seen::default());
    kafka.create(&[state]).await.unwrap();
    send(&kafka, vec![record("key", "value"), record("key", "")]).await;
    kafka.consume("shop", &[state], taking(&seen), &life);
    let messages = seen.wait_for(2).await;
    assert_eq!(
        (messages[1].key.as_str(), messages[1].payload.len()),
        ("key", 0)
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_may_appear_after_its_consumer() {
    let kafka = Kafka::new(&config());
    let (life, seen) = (Lifecycle::new(), Seen::default());
    kafka.consume("shop", &[ORDERS], taking(&seen), &life);
    kafka.ensure(&[ORDERS]).await;
    send(&kafka, vec![record("key", "value")]).await;
    assert_eq!(
        seen.wait_for(1).await[0].topic,
        "orders",
        "without the prefix"
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_sees_what_comes_from_now_on_in_every_process() {
    let kafka = Kafka::new(&config());
    let (life, first, second) = (Lifecycle::new(), Seen::default(), Seen::default());
    kafka.create(&[ORDERS]).await.unwrap();
    send(&kafka, vec![record("key", "history")]).await;
    kafka.tail(&[ORDERS], taking(&first), &life);
    kafka.tail(&[ORDERS], taking(&second), &life);
    eventually("both tails follow", async || {
        send(&kafka, vec![record("key", "news")]).await;
        (first.len() > 0 && second.len() > 0).then_some(())
    })
    .await;
    assert!(
        first
            .payloads()
            .iter()
            .chain(&second.payloads())
            .all(|payload| payload == "news")
    );
    stop(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_batch_come_in_its_order() {
    let kafka = Kafka::new(&config());
    kafka.create(&[ORDERS]).await.unwrap();
    let huge = "x".repeat(2_000_000);
    let records = vec![
        record("key", "first"),
        record("key", huge),
        record("key", "third"),
    ];
    let results = kafka.producer().unwrap().send_all(records).await;
    let taken: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_queue_holds_can_be_sent_at_once() {
    let kafka = Kafka::new(&config());
    kafka.create(&[ORDERS]).await.unwrap();
    let results = kafka
        .producer()
        .unwrap()
        .send_all((0..50_000).map(|n| record("key", n.to_string())).collect())
        .await;
    assert_eq!(results.len(), 50_000);
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_nothing_waits_and_the_process_stops_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Bound and never accepted from: connections are made and stay silent.
    let brokers = listener.local_addr().unwrap().to_string();
    let kafka = Kafka::new(&Config {
        brokers,
        ..config()
    });
    let (life, seen) = (Lifecycle::new(), Seen::default());
    let began = Instant::now();
    kafka.ensure(&[ORDERS]).await;
    kafka.consume("shop", &[ORDERS], taking(&seen), &life);
    kafka.tail(&[ORDERS], taking(&seen), &life);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert!(!kafka.healthy().await);
    assert!(!life.is_stopping());
    let began = Instant::now();
    stop(life).await;
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_there_is_healthy() {
    assert!(Kafka::new(&config()).healthy().await);
}
