//! Many requests, one commit: a single writer task takes whatever is waiting, writes it as one batch on a connection
//! of its own, and answers each waiter after the commit.
//!
//! There is no timer: a batch is what has piled up while the previous one was written. Several writers would be
//! slower than one, because they would share out the same rows over more commits.

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use chassis::{
    db::{self, Db},
    http::Problem,
    lifecycle::Lifecycle,
    telemetry::metrics,
};
use sqlx::{Executor, PgConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// The most items in one batch.
const BATCH: usize = 128;
/// How many items may wait; the next is refused at once.
const QUEUE: usize = 4096;
/// How long an item may wait for its batch. Whoever waits longer is refused, unwritten: a writer that falls behind would
/// otherwise write for clients who have given up, and never catch up.
const WAIT: Duration = Duration::from_millis(1500);
/// How long a batch may take, a second try on a new connection included, before its waiters get 503.
const LIMIT: Duration = Duration::from_millis(1900);
/// How much of that the first try may use.
const FIRST_TRY: Duration = Duration::from_millis(1200);
/// How long after the stop the writer goes on serving requests that are still open.
const DRAIN: Duration = Duration::from_secs(16);

static SIZE: LazyLock<prometheus::HistogramVec> = LazyLock::new(|| {
    metrics::histogram(
        "group_commit_batch_size",
        "Items that were written by one commit.",
        &[],
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0],
    )
});

/// How one kind of item is written.
pub trait Batch: Send + Sync + 'static {
    /// What a request hands in.
    type Item: Send + Sync + 'static;
    /// What it gets back.
    type Outcome: Send + 'static;
    /// Whether `write` needs a transaction around it; without, it must be one autocommit statement (and reads).
    const TRANSACTION: bool;
    /// How long a row is waited for that somebody else holds, usually a twin in another process.
    const PATIENCE: Duration = Duration::from_millis(250);

    /// Writes the items and gives one outcome for each, in their order. It may be called again with the same items
    /// when the connection broke, and with single ones when one of them broke the batch: it must be idempotent.
    fn write(
        &self,
        connection: &mut PgConnection,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, sqlx::Error>> + Send;

    /// The last line before the commit of a transaction, for failpoints.
    fn before_commit(&self) {}
}

/// Why an item has no outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, or was too slow; what became of the item is not known.
    #[error("the database is unavailable")]
    Unavailable,
    /// Too many items wait already.
    #[error("too many writes are waiting")]
    Busy,
    /// A row that the item needs is locked by a twin that has not committed (SQLSTATE 55P03).
    #[error("another process is writing the same item")]
    InProgress,
    /// The item itself cannot be written.
    #[error("the item cannot be written")]
    Row(#[source] Arc<sqlx::Error>),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable => Self::unavailable(),
            Error::Busy => Self::new(
                http::StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too many requests are waiting",
            )
            .retry_after(1),
            Error::InProgress => crate::idempotency::Error::InProgress.into(),
            Error::Row(cause) => Self::internal(cause),
        }
    }
}

/// An item and who waits for it.
struct Waiting<B: Batch> {
    item: B::Item,
    since: Instant,
    answer: oneshot::Sender<Result<B::Outcome, Error>>,
}

/// The requests' end of the writer.
pub struct Writer<B: Batch>(mpsc::Sender<Waiting<B>>);

impl<B: Batch> Clone for Writer<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Batch> Writer<B> {
    /// Starts the writer task. The process cannot do without it: should it die, the process ends.
    pub fn spawn(name: &'static str, batch: B, db: &Db, life: &Lifecycle) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let task = Task {
            batch,
            db: db.clone(),
            connection: None,
        };
        let stopping = life.clone();
        life.spawn(name, task.run(waiting, stopping));
        Self(queue)
    }

    /// Writes an item and waits for its commit. The item is written even if the caller stops waiting.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn commit(&self, item: B::Item) -> Result<B::Outcome, Error> {
        let (answer, outcome) = oneshot::channel();
        self.0
            .try_send(Waiting {
                item,
                since: Instant::now(),
                answer,
            })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => Error::Busy,
                mpsc::error::TrySendError::Closed(_) => Error::Unavailable,
            })?;
        outcome.await.unwrap_or(Err(Error::Unavailable))
    }
}

struct Task<B> {
    batch: B,
    db: Db,
    connection: Option<PgConnection>,
}

impl<B: Batch> Task<B> {
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Waiting<B>>,
        life: Lifecycle,
    ) -> anyhow::Result<()> {
        let mut taken = Vec::with_capacity(BATCH);
        let end = async {
            life.stopping().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::pin!(end);
        loop {
            // Whoever is ready to hand in an item does so first: with the next batch its commit would cost a second one.
            tokio::task::yield_now().await;
            let count = tokio::select! {
                count = waiting.recv_many(&mut taken, BATCH) => count,
                () = &mut end => 0,
            };
            if count == 0 {
                life.stopping().await;
                return Ok(());
            }
            let (items, answers) = in_time(&mut taken);
            if items.is_empty() {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a batch has at most 128 items")]
            SIZE.with_label_values::<&str>(&[])
                .observe(items.len() as f64);
            let outcomes = self.write(&items).await;
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // A waiter that has gone is told by its retry.
                let _ = answer.send(outcome);
            }
        }
    }

    /// One result for each item, whatever happens.
    async fn write(&mut self, items: &[B::Item]) -> Vec<Result<B::Outcome, Error>> {
        let started = Instant::now();
        let mut result = self.attempt(items, started + FIRST_TRY).await;
        if matches!(result, Err(Failure::Lost)) {
            result = self.attempt(items, started + LIMIT).await;
        }
        match result {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(Failure::Lost) => items.iter().map(|_| Err(Error::Unavailable)).collect(),
            Err(Failure::Statement(error)) if items.len() > 1 && may_be_one_row(&error) => {
                let mut outcomes = Vec::with_capacity(items.len());
                for item in items {
                    let alone = self
                        .attempt(std::slice::from_ref(item), started + LIMIT)
                        .await;
                    outcomes.push(
                        alone
                            .map_err(Error::from)
                            .and_then(|mut one| one.pop().ok_or(Error::Unavailable)),
                    );
                }
                outcomes
            }
            Err(failure) => {
                let error = Error::from(failure);
                items.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn attempt(
        &mut self,
        items: &[B::Item],
        deadline: Instant,
    ) -> Result<Vec<B::Outcome>, Failure> {
        // The connection is taken out while it is used: a try that is given up leaves none behind, and the next
        // one opens its own.
        let held = self.connection.take();
        let tried = timeout_at(deadline, async {
            let mut connection = match held {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let written = if B::TRANSACTION {
                self.write_atomically(&mut connection, items).await
            } else {
                self.batch.write(&mut connection, items).await
            };
            Ok::<_, sqlx::Error>((connection, written))
        });
        let (connection, written) = match tried.await {
            Ok(Ok(tried)) => tried,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the writer cannot connect");
                return Err(Failure::Lost);
            }
            Err(_) => return Err(Failure::Lost),
        };
        match written {
            Ok(outcomes) => {
                debug_assert_eq!(
                    outcomes.len(),
                    items.len(),
                    "a batch must give one outcome for each item"
                );
                self.connection = Some(connection);
                self.db.wake();
                Ok(outcomes)
            }
            Err(error) if is_lost(&error) => {
                tracing::warn!(%error, "the writer lost its connection");
                Err(Failure::Lost)
            }
            Err(error) => {
                self.connection = Some(connection);
                Err(Failure::Statement(error))
            }
        }
    }

    /// A failed transaction is rolled back here, so that the connection stays usable; where that fails too, the
    /// next statement finds the connection broken.
    async fn write_atomically(
        &self,
        connection: &mut PgConnection,
        items: &[B::Item],
    ) -> Result<Vec<B::Outcome>, sqlx::Error> {
        connection.execute("begin").await?;
        match self.batch.write(&mut *connection, items).await {
            Ok(outcomes) => {
                self.batch.before_commit();
                connection.execute("commit").await?;
                Ok(outcomes)
            }
            Err(error) => {
                connection.execute("rollback").await?;
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.db.dedicated().await?;
        sqlx::query("select set_config('lock_timeout', $1, false)")
            .bind(format!("{}ms", B::PATIENCE.as_millis()))
            .execute(&mut connection)
            .await?;
        Ok(connection)
    }
}

type Answer<B> = oneshot::Sender<Result<<B as Batch>::Outcome, Error>>;

/// Empties `taken`: refuses what has waited for too long, and gives the other items and who waits for them.
fn in_time<B: Batch>(taken: &mut Vec<Waiting<B>>) -> (Vec<B::Item>, Vec<Answer<B>>) {
    let mut items = Vec::with_capacity(taken.len());
    let mut answers = Vec::with_capacity(taken.len());
    for Waiting {
        item,
        since,
        answer,
    } in taken.drain(..)
    {
        if since.elapsed() > WAIT {
            let _ = answer.send(Err(Error::Busy));
        } else {
            items.push(item);
            answers.push(answer);
        }
    }
    (items, answers)
}

enum Failure {
    /// The connection is gone, or the time is up: nothing is known.
    Lost,
    /// The server refused the statement: nothing was written.
    Statement(sqlx::Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Unavailable,
            Failure::Statement(error) => match code(&error).as_deref() {
                Some("55P03") => Self::InProgress,
                Some("40P01") => Self::Unavailable,
                _ => Self::Row(Arc::new(error)),
            },
        }
    }
}

/// Deadlocks say that the server is there; everything else that is "unavailable" says that it is not.
fn is_lost(error: &sqlx::Error) -> bool {
    db::is_unavailable(error) && !matches!(code(error).as_deref(), Some("40P01" | "40001"))
}

/// SQLSTATE classes 22 (data) and 23 (constraint), deadlock and lock timeout: one item may be to blame for all.
fn may_be_one_row(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| {
        code.starts_with("22") || code.starts_with("23") || code == "40P01" || code == "55P03"
    })
}

fn code(error: &sqlx::Error) -> Option<String> {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .map(std::borrow::Cow::into_owned)
}
