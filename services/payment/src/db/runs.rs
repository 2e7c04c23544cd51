//! Runs that match the provider's account with the books, and the differences that they found.

use chrono::{DateTime, Utc};
use common::{
    ids::{PaymentId, UserId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::Fit;

/// A run.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Run {
    /// Its id.
    #[sqlx(rename = "run_id")]
    pub id: Uuid,
    /// `QUEUED`, `RUNNING`, `DONE` or `FAILED`.
    pub state: String,
    /// `daily`, or `admin`.
    pub cause: String,
    /// Of what time it looks at payouts and settlements.
    pub from_time: DateTime<Utc>,
    /// The first moment after that.
    pub until_time: DateTime<Utc>,
    /// How many settlements are in the books as the provider has them.
    pub matched: i64,
    /// How many the books do not have.
    pub missing_local: i64,
    /// How many the provider does not have.
    pub missing_psp: i64,
    /// How many differ.
    pub amount_diff: i64,
    /// Why it failed, if so.
    pub detail: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A difference between the provider's account and the books, in minor units.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The provider's balance transaction.
    pub subject: String,
    /// Of which kind.
    pub fit: Fit,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// The currency of the amounts.
    pub currency: Option<String>,
    /// What the provider has.
    pub there: Option<i64>,
    /// What the books have.
    pub here: Option<i64>,
}

impl Difference {
    /// What the provider has, or else the books; none in a currency that we do not know.
    pub fn money(&self) -> Option<Money> {
        let currency = Currency::parse(self.currency.as_deref()?).ok()?;
        Some(Money::new(self.there.or(self.here)?, currency))
    }
}

/// A difference as it was stored.
#[derive(sqlx::FromRow)]
pub struct Stored {
    /// The provider's balance transaction.
    pub subject: String,
    /// Of which kind.
    pub kind: String,
    /// The payment that it concerns.
    pub payment_id: Option<Uuid>,
    /// The currency of the amounts.
    pub currency: Option<String>,
    /// What the provider has.
    pub psp_minor: Option<i64>,
    /// What the books have.
    pub local_minor: Option<i64>,
}

/// Asks for a run, unless it was asked for.
pub async fn insert(
    connection: &mut PgConnection,
    run: &Run,
    by: Option<UserId>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into reconciliation_runs (run_id, state, cause, started_by, from_time, until_time, created_at, held_until)
         values ($1, 'QUEUED', $2, $3, $4, $5, $6, $6) on conflict do nothing",
    )
    .bind(run.id)
    .bind(run.cause.as_str())
    .bind(by.map(UserId::get))
    .bind(run.from_time)
    .bind(run.until_time)
    .bind(run.created_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The end of what the daily runs have looked at.
pub async fn last_daily(
    executor: impl PgExecutor<'_>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select until_time from reconciliation_runs where cause = 'daily' order by until_time desc limit 1",
    )
    .fetch_optional(executor)
    .await
}

/// Takes the oldest run that nobody works at.
pub async fn take(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
) -> Result<Option<Run>, sqlx::Error> {
    sqlx::query_as(
        "update reconciliation_runs r set state = 'RUNNING', held_until = $2
         from (select run_id from reconciliation_runs
               where state in ('QUEUED', 'RUNNING') and held_until <= $1
               order by held_until limit 1 for update skip locked) due
         where r.run_id = due.run_id
         returning r.run_id, r.state, r.cause, r.from_time, r.until_time, r.matched, r.missing_local, r.missing_psp,
                   r.amount_diff, r.detail, r.created_at, r.finished_at",
    )
    .bind(now)
    .bind(held_until)
    .fetch_optional(executor)
    .await
}

/// Lets go of a run that could not be worked at: whoever comes after that moment takes it up.
pub async fn give_back(
    executor: impl PgExecutor<'_>,
    run: Uuid,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update reconciliation_runs set held_until = $2 where run_id = $1 and state = 'RUNNING'",
    )
    .bind(run)
    .bind(until)
    .execute(executor)
    .await?;
    Ok(())
}

/// Ends a run.
pub async fn finish(connection: &mut PgConnection, run: &Run) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update reconciliation_runs
         set state = $2, matched = $3, missing_local = $4, missing_psp = $5, amount_diff = $6, detail = $7, finished_at = $8
         where run_id = $1",
    )
    .bind(run.id)
    .bind(run.state.as_str())
    .bind(run.matched)
    .bind(run.missing_local)
    .bind(run.missing_psp)
    .bind(run.amount_diff)
    .bind(run.detail.as_deref())
    .bind(run.finished_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the differences of a run.
pub async fn insert_differences(
    connection: &mut PgConnection,
    run: Uuid,
    found: &[Difference],
) -> Result<(), sqlx::Error> {
    if found.is_empty() {
        return Ok(());
    }
    let all = || found.iter();
    sqlx::query(
        "insert into reconciliation_differences (run_id, subject, kind, payment_id, currency, psp_minor, local_minor)
         select $1, subject, kind, payment_id, currency, psp_minor, local_minor
         from unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[])
              as d (subject, kind, payment_id, currency, psp_minor, local_minor)
         order by subject on conflict do nothing",
    )
    .bind(run)
    .bind(all().map(|d| d.subject.as_str()).collect::<Vec<_>>())
    .bind(all().map(|d| d.fit.as_str()).collect::<Vec<_>>())
    .bind(all().map(|d| d.payment_id.map(PaymentId::get)).collect::<Vec<_>>())
    .bind(all().map(|d| d.currency.as_deref()).collect::<Vec<_>>())
    .bind(all().map(|d| d.there).collect::<Vec<_>>())
    .bind(all().map(|d| d.here).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// A run.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Run>, sqlx::Error> {
    sqlx::query_as(
        "select run_id, state, cause, from_time, until_time, matched, missing_local, missing_psp, amount_diff, detail,
                created_at, finished_at
         from reconciliation_runs where run_id = $1",
    )
    .bind(id)
    .fetch_optional(executor)
    .await
}

/// The first differences of a run.
pub async fn differences(
    executor: impl PgExecutor<'_>,
    run: Uuid,
    limit: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as(
        "select subject, kind, payment_id, currency, psp_minor, local_minor
         from reconciliation_differences where run_id = $1 order by subject limit $2",
    )
    .bind(run)
    .bind(limit)
    .fetch_all(executor)
    .await
}
