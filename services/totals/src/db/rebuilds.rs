//! `rebuilds`: generations that were or are being built, and the lock that keeps them apart.

use chrono::{DateTime, Utc};
use common::ids::{CampaignId, UserId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A generation, and the run that builds it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Build {
    pub(crate) run_id: Uuid,
    pub(crate) generation: i64,
    pub(crate) campaign_id: Option<Uuid>,
    pub(crate) state: String,
    /// Whether campaigns without payments have their places.
    pub(crate) seeded: bool,
    /// The last payment that was read.
    pub(crate) after: Uuid,
    /// Whether it was the last of all.
    pub(crate) complete: bool,
    pub(crate) payments: i64,
    pub(crate) skipped: i64,
    pub(crate) started_by: Uuid,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

/// How far a page brought a run.
pub(crate) struct Step {
    /// The payment before the page.
    pub(crate) from: Uuid,
    /// Its last one.
    pub(crate) to: Uuid,
    /// Whether that was the last of all.
    pub(crate) complete: bool,
    /// How many were read.
    pub(crate) payments: i64,
    /// How many of them can never be counted.
    pub(crate) skipped: i64,
}

/// Keeps every generation where it is until the transaction ends; payments are applied under this.
pub(crate) async fn share(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("lock table rebuilds in row share mode")
        .execute(connection)
        .await?;
    Ok(())
}

/// Waits until nobody applies payments, and lets nobody begin until the transaction ends.
pub(crate) async fn lock_out(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("set local statement_timeout = '30s'")
        .execute(&mut *connection)
        .await?;
    sqlx::query("lock table rebuilds in exclusive mode")
        .execute(connection)
        .await?;
    Ok(())
}

/// Begins a run, and gives its generation; nothing while another is being built.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    run_id: Uuid,
    campaign: Option<CampaignId>,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<Option<Build>, sqlx::Error> {
    sqlx::query_as(
        "insert into rebuilds (run_id, campaign_id, started_by, started_at) values ($1, $2, $3, $4)
         on conflict (state) where state = 'BUILDING' do nothing
         returning run_id, generation, campaign_id, state, seeded, after, complete, payments, skipped, started_by,
                   started_at, finished_at",
    )
    .bind(run_id)
    .bind(campaign.map(CampaignId::get))
    .bind(by.get())
    .bind(at)
    .fetch_optional(connection)
    .await
}

/// The run that is building, if there is one.
pub(crate) async fn building(pool: &PgPool) -> Result<Option<Build>, sqlx::Error> {
    sqlx::query_as(
        "select run_id, generation, campaign_id, state, seeded, after, complete, payments, skipped, started_by,
                started_at, finished_at
         from rebuilds where state = 'BUILDING' limit 1",
    )
    .fetch_optional(pool)
    .await
}

/// A generation, and the run that builds it.
pub(crate) async fn find(pool: &PgPool, run_id: Uuid) -> Result<Option<Build>, sqlx::Error> {
    sqlx::query_as(
        "select run_id, generation, campaign_id, state, seeded, after, complete, payments, skipped, started_by,
                started_at, finished_at
         from rebuilds where run_id = $1",
    )
    .bind(run_id)
    .fetch_optional(pool)
    .await
}

/// Notes that all campaigns have their places.
pub(crate) async fn seeded(
    connection: &mut PgConnection,
    generation: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("update rebuilds set seeded = true where generation = $1 and state = 'BUILDING'")
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// Moves a run on by a page, unless another process has.
pub(crate) async fn step(
    connection: &mut PgConnection,
    generation: i64,
    step: &Step,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "update rebuilds set after = $3, complete = $4, payments = payments + $5, skipped = skipped + $6
         where generation = $1 and after = $2 and state = 'BUILDING' and not complete",
    )
    .bind(generation)
    .bind(step.from)
    .bind(step.to)
    .bind(step.complete)
    .bind(step.payments)
    .bind(step.skipped)
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Ends a run whose payments were all read, unless another process has.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    generation: i64,
    at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query(
        "update rebuilds set state = 'LIVE', finished_at = $2
         where generation = $1 and state = 'BUILDING' and seeded and complete",
    )
    .bind(generation)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}
