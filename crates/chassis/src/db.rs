//! PostgreSQL: one pool per process, one schema per service, and transactions that cannot be left open.
//!
//! sqlx 0.9.0 has a hole: a `begin()` future that is dropped while the server's answer is on its way returns its
//! connection to the pool inside an open transaction, and whatever is written on it next is lost. [`Db::begin`] is
//! therefore the only way to a transaction (clippy bans sqlx's own): it runs to its end in a task of its own, so
//! that a dropped caller drops a finished transaction, which sqlx rolls back as it should. Two more guards stand
//! behind it: a connection that comes back inside a transaction is closed instead of pooled, and the server ends
//! sessions that idle in a transaction for five seconds.

use std::{
    ops::{Deref, DerefMut},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool, Postgres, Row, Transaction,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Notify;

use crate::{env::Env, lifecycle::Lifecycle};

/// How long a request waits for a connection before it is refused with 503.
const ACQUIRE: Duration = Duration::from_secs(1);
/// How long a starting process waits for its database.
const START: Duration = Duration::from_mins(1);

/// Where the database is, and as whom to use it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `postgres://role:password@host:port/database`.
    pub url: SecretString,
    /// The one schema on the search path.
    pub schema: String,
    /// The most connections that the pool opens.
    pub pool: u32,
}

impl Config {
    /// Reads `DATABASE_URL` and `DATABASE_POOL` (default 5).
    pub fn read(env: &mut Env, schema: &str) -> Self {
        Self {
            url: env.string("DATABASE_URL").into(),
            schema: schema.into(),
            pool: env.parsed("DATABASE_POOL", 5),
        }
    }

    fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options = PgConnectOptions::from_str(self.url.expose_secret())?.options([
            ("search_path", self.schema.as_str()),
            ("statement_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "5s"),
            ("timezone", "UTC"),
            // A statement is planned once for each connection, which saves 0.1 to 0.4 ms each time. A plan that was
            // made while a table was empty must be right for a full one too: ours reach their rows by an index, and
            // so the other ways are closed.
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        Ok(options
            .application_name(&self.schema)
            .disable_statement_logging())
    }
}

/// The service's database.
#[derive(Clone)]
pub struct Db {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    committed: Arc<Notify>,
}

impl Db {
    /// Connects, waiting up to a minute for a server that is still starting, and applies what is missing of `migrations`.
    ///
    /// Several replicas may start at once: sqlx takes a lock for the migration.
    pub async fn connect(
        config: &Config,
        migrations: &Migrator,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let options = config.options()?;
        prepare(&options, migrations, life).await?;
        let pool = PgPoolOptions::new()
            .max_connections(config.pool)
            .min_connections(1)
            .acquire_timeout(ACQUIRE)
            .after_release(|connection, _| Box::pin(is_clean(connection)))
            .connect_lazy_with(options.clone());
        // The first connection is made here: a request must not pay for it, and a busy machine may take longer than a
        // request would wait.
        let begun = tokio::time::Instant::now();
        while let Err(error) = pool.acquire().await {
            if !is_unavailable(&error) || begun.elapsed() > START || life.is_stopping() {
                return Err(anyhow::Error::new(error).context("the pool has no connection"));
            }
        }
        Ok(Self {
            pool,
            options: Arc::new(options),
            committed: Arc::default(),
        })
    }

    /// The pool, for reads and for single statements that commit by themselves.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Opens a transaction. Dropping this future at any moment is safe.
    ///
    /// # Errors
    /// Whatever the pool or the server says; see [`is_unavailable`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that begins, in a task that nobody can cancel"
    )]
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await }).await;
        let inner = begun.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))??;
        Ok(Tx {
            inner,
            committed: self.committed.clone(),
        })
    }

    /// Opens a connection outside the pool, for a task that keeps it: a group-commit writer, a relay's lock.
    ///
    /// # Errors
    /// Whatever the server says, or `PoolTimedOut` after a second.
    pub async fn dedicated(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.options);
        tokio::time::timeout(ACQUIRE, connecting)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// Tells the outbox relay that a statement outside a [`Tx`] has committed rows for it.
    pub fn wake(&self) {
        self.committed.notify_one();
    }

    /// Waits until something has been committed since the last wait.
    pub async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Whether the database answers now.
    pub async fn ready(&self) -> bool {
        sqlx::query("select 1").execute(&self.pool).await.is_ok()
    }
}

/// An open transaction; dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    committed: Arc<Notify>,
}

impl Tx {
    /// Commits, and wakes the outbox relay.
    ///
    /// # Errors
    /// Whatever the server says. When the connection broke during the commit the outcome is unknown: the caller
    /// answers 503, and the client's retry with the same key finds out.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await?;
        self.committed.notify_one();
        Ok(())
    }

    /// Rolls back now instead of at drop.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for Tx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

/// Whether the database, rather than the statement, is what failed: the same request may succeed in a moment.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Classes 08 (connection), 53 (resources), 57 (operator intervention: shutdown, cancelled by timeout) and
        // 58 (system error); 25P03 is a session that the server ended for idling, 40001 and 40P01 want a retry.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class))
                || ["25P03", "40001", "40P01"].contains(&&*code)
        }),
        _ => false,
    }
}

/// The name of the constraint that the statement violated.
pub fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Migrates on the first connection that lasts as long as that takes.
async fn prepare(
    options: &PgConnectOptions,
    migrations: &Migrator,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let started = tokio::time::Instant::now();
    loop {
        match migrate(options, migrations).await {
            Ok(()) => return Ok(()),
            Err(error) if !is_away(&error) || started.elapsed() > START || life.is_stopping() => {
                return Err(anyhow::Error::new(error).context("cannot prepare the database"));
            }
            Err(error) => tracing::warn!(%error, "the database is not there yet"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn migrate(options: &PgConnectOptions, migrations: &Migrator) -> Result<(), MigrateError> {
    let mut first = PgConnection::connect_with(options).await?;
    migrations.run_direct(None, &mut first, false).await?;
    first.close().await?;
    Ok(())
}

/// Each migration is a transaction, so the next try goes on where this one was broken off.
fn is_away(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            is_unavailable(error)
        }
        _ => false,
    }
}

/// Inside a transaction `now()` stands still while the statement's own time goes on, outside they are the same. Only
/// the simple protocol shows that: the extended one sets the statement's time anew for each message.
async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection
        .fetch_one(sqlx::raw_sql("select now() = statement_timestamp()"))
        .await?;
    let clean: bool = row.try_get(0)?;
    if !clean {
        tracing::error!("a connection came back inside a transaction and was closed");
    }
    Ok(clean)
}
