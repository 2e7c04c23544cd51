//! The relay: one leader per schema reads the outbox in order, publishes, and deletes what the broker acknowledged.

use std::{sync::LazyLock, time::Duration};

use anyhow::Context;
use chassis::{
    db::Db,
    kafka::{Kafka, Producer, Record},
    lifecycle::Lifecycle,
    telemetry::metrics,
};
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

/// The most rows that one round reads.
const BATCH: i64 = 1000;
/// How long the relay sleeps when nothing wakes it.
const POLL: Duration = Duration::from_millis(100);
/// How long the relay lets rows gather after it was woken: a round costs a read, a publication and a commit, whether
/// it moves one event or a thousand.
const GATHER: Duration = Duration::from_millis(30);
/// How often the relay looks for a higher floor.
const CLIMB: Duration = Duration::from_millis(500);
/// How long a relay that is not the leader, or has lost its broker or database, waits before it tries again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the session of a leader may idle before the server ends it, and its lock goes to another one: a process that
/// was frozen leads no more. In milliseconds.
const LEASE: &str = "4000";
/// How often a leader that waits for the broker shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Key of the advisory lock, together with the schema: "outbox".
const LOCK: i32 = 0x6f62;

static PUBLISHED: LazyLock<prometheus::IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "outbox_published_total",
        "Events that the broker acknowledged.",
        &[],
    )
});
static PENDING: LazyLock<prometheus::GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "outbox_pending",
        "Events that the last round read and did not get rid of, capped at a batch.",
        &[],
    )
});
static LAG: LazyLock<prometheus::GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "outbox_lag_seconds",
        "Age of the oldest event that waited at the last round.",
        &[],
    )
});

#[derive(sqlx::FromRow)]
struct Waiting {
    id: i64,
    event_id: Uuid,
    topic: String,
    key: String,
    kind: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
    created_at: DateTime<Utc>,
    age: f64,
}

/// What one round did.
struct Published {
    /// Rows that were read.
    read: usize,
    /// Rows that the broker acknowledged and that are deleted now.
    sent: usize,
    /// The highest id of those.
    last: i64,
}

/// Where rounds begin to read, so that they do not step over the index entries of all rows since the last vacuum.
///
/// Ids are drawn before they are committed, and not committed in their order: a row may appear below ids that were dealt
/// with long ago. Whoever began to read above it would publish what follows from it first. So the floor rises to an id
/// only when every transaction has ended that may have drawn an id below: all that had begun when that id was known.
struct Floor {
    /// Nothing will appear up to this id any more.
    id: i64,
    /// The highest id that was dealt with.
    last: i64,
    /// An id that was dealt with, and a time after that, by the clock of the database.
    next: Option<(i64, DateTime<Utc>)>,
    climbed: Instant,
}

impl Floor {
    fn new() -> Self {
        Self {
            id: 0,
            last: 0,
            next: None,
            climbed: Instant::now(),
        }
    }

    /// Whether it is time to look for a higher floor.
    fn is_due(&self) -> bool {
        self.climbed.elapsed() >= CLIMB
    }

    /// Rises after a round that read all there was above the floor. Before the round, at the time `asked`, the oldest
    /// transaction under way had begun at `oldest`.
    fn climb(&mut self, oldest: DateTime<Utc>, asked: DateTime<Utc>) {
        self.climbed = Instant::now();
        if let Some((id, known)) = self.next {
            if known >= oldest {
                return;
            }
            self.id = id;
        }
        self.next = Some((self.last, asked));
    }
}

/// When the oldest transaction of this role began that is under way in another session, or now where there is none; and
/// the time, both by the clock of the database.
async fn oldest(
    connection: &mut PgConnection,
) -> Result<(DateTime<Utc>, DateTime<Utc>), sqlx::Error> {
    sqlx::query_as(
        "select coalesce(min(xact_start), clock_timestamp()), clock_timestamp()
         from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()",
    )
    .fetch_one(connection)
    .await
}

/// Starts the relay of this process. Of several processes over one schema only the holder of the advisory lock
/// publishes; the others stand by. Broker or database may be away for ever: the rows wait.
pub fn spawn_publisher(source: &'static str, db: &Db, kafka: &Kafka, life: &Lifecycle) {
    let (db, kafka, running) = (db.clone(), kafka.clone(), life.clone());
    life.spawn("outbox", async move {
        let producer = kafka.producer()?;
        while !running.is_stopping() {
            if let Err(error) = lead(source, &db, &producer, &running).await {
                tracing::warn!(error = format!("{error:#}"), "the outbox relay pauses");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = running.stopping() => {}
            }
        }
        Ok(())
    });
}

/// Publishes as the leader until the process stops or something breaks; returns at once when another one leads.
async fn lead(source: &str, db: &Db, producer: &Producer, life: &Lifecycle) -> anyhow::Result<()> {
    // The lock belongs to this connection. Rounds run on it too, so whoever lost the lock cannot publish on.
    let mut connection = db.dedicated().await.context("connecting")?;
    sqlx::query("select set_config('idle_session_timeout', $1, false)")
        .bind(LEASE)
        .execute(&mut connection)
        .await?;
    let leads: bool =
        sqlx::query_scalar("select pg_try_advisory_lock($1, hashtext(current_schema()))")
            .bind(LOCK)
            .fetch_one(&mut connection)
            .await?;
    if !leads {
        return Ok(());
    }
    let mut floor = Floor::new();
    while !life.is_stopping() {
        let under_way = if floor.is_due() {
            Some(oldest(&mut connection).await?)
        } else {
            None
        };
        let round = publish_batch(&mut connection, producer, source, floor.id).await?;
        anyhow::ensure!(
            round.sent == round.read,
            "the broker did not take every event"
        );
        let is_all = round.read < usize::try_from(BATCH)?;
        if let Some((oldest, asked)) = under_way.filter(|_| is_all) {
            floor.climb(oldest, asked);
        }
        floor.last = floor.last.max(round.last);
        if is_all {
            tokio::select! {
                () = db.committed() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(POLL) => {}
                () = life.stopping() => {}
            }
        }
    }
    connection.close().await?;
    Ok(())
}

/// One round: reads the oldest rows above the id `after`, publishes them, and deletes those before the first that failed, so that an
/// event never overtakes an earlier one of its key.
///
/// # Errors
/// Whatever the database says. Rows that were published and not deleted are published again, with the same event id.
async fn publish_batch(
    connection: &mut PgConnection,
    producer: &Producer,
    source: &str,
    after: i64,
) -> Result<Published, sqlx::Error> {
    let rows: Vec<Waiting> = sqlx::query_as(
        "select id, event_id, topic, key, kind, payload, traceparent, created_at,
                extract(epoch from clock_timestamp() - created_at)::float8 as age
         from outbox where id > $2 order by id limit $1",
    )
    .bind(BATCH)
    .bind(after)
    .fetch_all(&mut *connection)
    .await?;
    LAG.with_label_values::<&str>(&[])
        .set(rows.first().map_or(0.0, |oldest| oldest.age));
    pending(rows.len());
    if rows.is_empty() {
        return Ok(Published {
            read: 0,
            sent: 0,
            last: 0,
        });
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let records = rows.into_iter().map(|row| record(row, source)).collect();
    let results = leading(connection, producer.send_all(records)).await?;
    let sent = results.iter().take_while(|result| result.is_ok()).count();
    if let Some(Err(error)) = results.get(sent) {
        tracing::warn!(%error, "an event could not be published");
    }
    chassis::failpoint!("outbox.after_publish");
    sqlx::query("delete from outbox where id = any($1)")
        .bind(&ids[..sent])
        .execute(&mut *connection)
        .await?;
    PUBLISHED.with_label_values::<&str>(&[]).inc_by(sent as u64);
    pending(ids.len() - sent);
    Ok(Published {
        read: ids.len(),
        sent,
        last: ids[..sent].last().copied().unwrap_or_default(),
    })
}

/// Waits for the broker, while the session that holds the lock is kept from idling.
///
/// # Errors
/// When the session has ended, and somebody else may lead. What is on its way to the broker may then come twice.
async fn leading<T>(
    connection: &mut PgConnection,
    sending: impl Future<Output = T>,
) -> Result<T, sqlx::Error> {
    tokio::pin!(sending);
    loop {
        match tokio::time::timeout(HEARTBEAT, &mut sending).await {
            Ok(sent) => return Ok(sent),
            Err(_) => sqlx::query("select 1").execute(&mut *connection).await?,
        };
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a round reads at most a thousand rows"
)]
fn pending(rows: usize) {
    PENDING.with_label_values::<&str>(&[]).set(rows as f64);
}

/// CloudEvents 1.0 in Kafka's binary mode: attributes as headers, the snapshot as the value.
fn record(row: Waiting, source: &str) -> Record {
    let mut headers = vec![
        ("ce_specversion".to_owned(), "1.0".to_owned()),
        ("ce_id".to_owned(), row.event_id.to_string()),
        ("ce_type".to_owned(), row.kind),
        ("ce_source".to_owned(), format!("/careforall/{source}")),
        ("ce_subject".to_owned(), row.key.clone()),
        (
            "ce_time".to_owned(),
            row.created_at
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        ),
        ("content-type".to_owned(), "application/json".to_owned()),
    ];
    headers.extend(
        row.traceparent
            .map(|traceparent| ("traceparent".to_owned(), traceparent)),
    );
    Record {
        topic: row.topic,
        key: row.key,
        payload: row.payload,
        headers,
    }
}
