//! A fleet with a past: any number of donations that went well, made up at once, so that it can be seen what a million
//! of them do to the speed of the next one, and how long they take to be audited.
//!
//! Everything that the services and the provider would have left is there, and agrees: tables, topics with the groups'
//! places behind them, and the provider's ledger. What is missing is the mails themselves, which no mailbox keeps, and
//! what opens the bytes that the payment service stores sealed. The services must not run.

mod campaigns;
mod copy;
mod events;
mod gift;
mod offsets;
mod plan;
mod projection;
mod provider;
mod receipts;
mod tables;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chassis::kafka::{Config, Kafka, Topic};
use common::events::topics;
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection};

use crate::audit::Sources;
use campaigns::Campaign;
use events::Teller;
use tables::Table;

pub use plan::Plan;

/// How many tables are filled at the same time.
const AT_ONCE: usize = 3;
/// Partitions of a topic that is not there yet, as the services make it.
const PARTITIONS: i32 = 12;

/// How long the broker may take to make the topics.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(500);

/// What was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filled {
    /// Rows in tables.
    pub rows: u64,
    /// Records in topics.
    pub records: u64,
    /// Lines of the provider's ledger.
    pub lines: u64,
    /// How long it took.
    pub took: Duration,
}

/// Fills the tables, topics and the provider's ledger of a fleet whose services do not run and have run before.
///
/// # Errors
/// Whatever a server or the disk says. Half a fill is there then: it agrees with nothing, so start over.
pub async fn fill(sources: &Sources, mut plan: Plan) -> Result<Filled> {
    let began = Instant::now();
    let mut connection = open(&sources.database_url).await?;
    plan.organiser = sqlx::query_scalar(
        "select coalesce((select user_id from users.accounts where role = 'ADMIN' order by created_at limit 1),
                         gen_random_uuid())",
    )
    .fetch_one(&mut connection)
    .await?;
    receipts::read(&mut connection, &mut plan).await?;
    let plan = Arc::new(plan);
    let made = plan.clone();
    let campaigns = Arc::new(tokio::task::spawn_blocking(move || Campaign::all(&made)).await?);
    if let Some(brokers) = &sources.brokers {
        ensure_topics(brokers, &sources.topic_prefix).await?;
    }
    let told = {
        let (plan, campaigns, sources) = (plan.clone(), campaigns.clone(), sources.clone());
        tokio::task::spawn_blocking(move || tell(&sources, &plan, &campaigns))
    };
    let rows = campaigns::write(&mut connection, &campaigns).await?;
    let rows = rows + write(&sources.database_url, &plan).await?;
    receipts::write(&mut connection, &plan).await?;
    let (records, lines) = told.await??;
    Ok(Filled {
        rows,
        records,
        lines,
        took: began.elapsed(),
    })
}

async fn open(url: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(url)
        .await
        .context("cannot reach the database")?;
    let settings =
        "set application_name = 'fill'; set statement_timeout = 0; set synchronous_commit = off;
        set idle_in_transaction_session_timeout = 0; set timezone = 'UTC'";
    sqlx::raw_sql(settings).execute(&mut connection).await?;
    Ok(connection)
}

/// Fills every table, a few at the same time, and has the planner learn what is in them.
async fn write(url: &str, plan: &Arc<Plan>) -> Result<u64> {
    let left = Mutex::new(VecDeque::from(Table::ALL));
    let next = || {
        left.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let writer = async || {
        let mut connection = open(url).await?;
        let mut rows = 0;
        while let Some(table) = next() {
            rows += Box::pin(table.fill(&mut connection, plan)).await?;
        }
        anyhow::Ok(rows)
    };
    let rows: u64 = try_join_all((0..AT_ONCE).map(|_| writer()))
        .await?
        .into_iter()
        .sum();
    sqlx::raw_sql("vacuum (analyze)")
        .execute(&mut open(url).await?)
        .await?;
    Ok(rows)
}

async fn ensure_topics(brokers: &str, prefix: &str) -> Result<()> {
    let kafka = Kafka::new(&Config {
        brokers: brokers.to_owned(),
        client_id: "fill".to_owned(),
        prefix: prefix.to_owned(),
        partitions: PARTITIONS,
        replication: 1,
        instance: None,
        retry_delays: Vec::new(),
        backoff: Duration::from_millis(100),
        silence: Duration::from_mins(1),
    });
    let all = topics::ALL.map(|topics::Topic { name, compacted }| Topic { name, compacted });
    let began = Instant::now();
    loop {
        match kafka.create(&all).await {
            // A busy broker may need longer than one attempt.
            Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            ended => return ended,
        }
    }
}

/// Topics, places of the groups, and the provider's ledger; gives the numbers of records and lines.
fn tell(sources: &Sources, plan: &Plan, campaigns: &[Campaign]) -> Result<(u64, u64)> {
    let lines = provider::write(&sources.ledger, plan)?;
    let Some(brokers) = &sources.brokers else {
        return Ok((0, lines));
    };
    let teller = Teller::new(brokers, &sources.topic_prefix)?;
    let records = teller.tell_all(plan, campaigns)?;
    offsets::commit(brokers, &sources.topic_prefix)?;
    Ok((records, lines))
}
