//! Batches of refunds, and the payments and refunds that they are about.

use chrono::{DateTime, Utc};
use common::{
    ids::{CampaignId, PaymentId, UserId},
    money::{Currency, Money},
    payment::State,
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Batch, BatchCause, BatchState};

#[derive(sqlx::FromRow)]
struct Row {
    campaign_id: Uuid,
    cause: String,
    campaign_version: Option<i64>,
    state: String,
    planned_count: Option<i64>,
    planned_minor: Option<i64>,
    started_by: Option<Uuid>,
    approved_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Batch {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let unknown = |what: &'static str| sqlx::Error::Decode(what.into());
        Ok(Self {
            campaign_id: CampaignId::from(row.campaign_id),
            cause: BatchCause::parse(&row.cause).ok_or_else(|| unknown("an unknown cause"))?,
            campaign_version: row.campaign_version,
            state: BatchState::parse(&row.state).ok_or_else(|| unknown("an unknown state"))?,
            planned_count: row.planned_count,
            planned_minor: row.planned_minor,
            started_by: row.started_by.map(UserId::from),
            approved_by: row.approved_by.map(UserId::from),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// So many of one kind, and how much in one currency.
pub struct Sum {
    /// The state of payments, or the status of refunds.
    pub of: String,
    /// How many.
    pub count: i64,
    /// How much.
    pub amount: Money,
}

/// The batches of campaigns that were called off, where there is none yet. What an admin had ordered before becomes the
/// rule, and starts anew: nobody has approved what the campaign holds now. Each comes with who called the campaign off,
/// where that is known; that it was called off is read off the projection, which only keeps what is newest.
pub async fn plan(
    executor: impl PgExecutor<'_>,
    cancelled: &[(CampaignId, Option<UserId>)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if cancelled.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into refund_batches (campaign_id, cause, state, started_by, run_at, created_at, updated_at)
         select c.campaign_id, 'CANCELLED', 'PLANNED', n.started_by, $3, $3, $3
         from unnest($1::uuid[], $2::uuid[]) as n (campaign_id, started_by)
         join campaigns c on c.campaign_id = n.campaign_id and c.status = 'CANCELLED'
         order by c.campaign_id
         on conflict (campaign_id) do update
         set cause = excluded.cause, campaign_version = null, planned_count = null, planned_minor = null,
             state = case refund_batches.state when 'PAUSED' then 'PAUSED' else excluded.state end,
             started_by = excluded.started_by, approved_by = null, run_at = excluded.run_at,
             updated_at = excluded.updated_at
         where refund_batches.cause <> excluded.cause",
    )
    .bind(cancelled.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(cancelled.iter().map(|(_, by)| by.map(UserId::get)).collect::<Vec<_>>())
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}

/// Stores a batch that an admin ordered, in the place of an older order that was about an earlier suspension; false when
/// there is one already.
pub async fn insert(executor: impl PgExecutor<'_>, batch: &Batch) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "insert into refund_batches (campaign_id, cause, campaign_version, state, started_by, run_at, created_at,
                                     updated_at)
         values ($1, $2, $3, $4, $5, $6, $6, $6)
         on conflict (campaign_id) do update
         set campaign_version = excluded.campaign_version, state = excluded.state, planned_count = null,
             planned_minor = null, started_by = excluded.started_by, approved_by = null, run_at = excluded.run_at,
             created_at = excluded.created_at, updated_at = excluded.updated_at
         where refund_batches.cause = excluded.cause
           and refund_batches.campaign_version is distinct from excluded.campaign_version",
    )
    .bind(batch.campaign_id.get())
    .bind(batch.cause.as_str())
    .bind(batch.campaign_version)
    .bind(batch.state.as_str())
    .bind(batch.started_by.map(UserId::get))
    .bind(batch.created_at)
    .execute(executor)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A campaign's batch.
pub async fn find(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
) -> Result<Option<Batch>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select campaign_id, cause, campaign_version, state, planned_count, planned_minor, started_by, approved_by,
                created_at, updated_at
         from refund_batches where campaign_id = $1",
    )
    .bind(campaign.get())
    .fetch_optional(executor)
    .await?;
    row.map(Batch::try_from).transpose()
}

/// A campaign's batch, locked until the transaction ends.
pub async fn lock(
    connection: &mut PgConnection,
    campaign: CampaignId,
) -> Result<Option<Batch>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select campaign_id, cause, campaign_version, state, planned_count, planned_minor, started_by, approved_by,
                created_at, updated_at
         from refund_batches where campaign_id = $1 for update",
    )
    .bind(campaign.get())
    .fetch_optional(connection)
    .await?;
    row.map(Batch::try_from).transpose()
}

/// Writes the turn that an admin made; the caller holds the batch's lock. The worker looks at it next.
pub async fn turn(
    connection: &mut PgConnection,
    batch: &Batch,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update refund_batches set state = $2, approved_by = $3, updated_at = $4, run_at = $5 where campaign_id = $1",
    )
    .bind(batch.campaign_id.get())
    .bind(batch.state.as_str())
    .bind(batch.approved_by.map(UserId::get))
    .bind(batch.updated_at)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what a batch that is still planned comes to, and where that leaves it; the worker looks at it next.
pub async fn count(
    executor: impl PgExecutor<'_>,
    batch: &Batch,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update refund_batches set state = $3, planned_count = $4, planned_minor = $5, run_at = $6, updated_at = $6
         where campaign_id = $1 and state = 'PLANNED' and cause = $2",
    )
    .bind(batch.campaign_id.get())
    .bind(batch.cause.as_str())
    .bind(batch.state.as_str())
    .bind(batch.planned_count)
    .bind(batch.planned_minor)
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}

/// Notes when the worker looks at a batch next; false where it does not stand any more as it was read.
pub async fn look_at(
    executor: impl PgExecutor<'_>,
    batch: &Batch,
    at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query(
        "update refund_batches set run_at = $4 where campaign_id = $1 and state = $2 and cause = $3",
    )
    .bind(batch.campaign_id.get())
    .bind(batch.state.as_str())
    .bind(batch.cause.as_str())
    .bind(at)
    .execute(executor)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Writes that every gift of a batch that still runs is on its way back.
pub async fn done(
    executor: impl PgExecutor<'_>,
    batch: &Batch,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update refund_batches set state = 'DONE', updated_at = $3
         where campaign_id = $1 and cause = $2 and state = 'RUNNING'",
    )
    .bind(batch.campaign_id.get())
    .bind(batch.cause.as_str())
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}

/// Takes a batch whose time has come. Whoever takes it has it for `hold`; of several replicas each takes another.
pub async fn take_due(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    hold: chrono::Duration,
) -> Result<Option<Batch>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "update refund_batches b set run_at = $2
         from (select campaign_id from refund_batches
               where run_at <= $1
               order by run_at limit 1 for update skip locked) due
         where b.campaign_id = due.campaign_id
         returning b.campaign_id, b.cause, b.campaign_version, b.state, b.planned_count, b.planned_minor, b.started_by,
                   b.approved_by, b.created_at, b.updated_at",
    )
    .bind(now)
    .bind(now + hold)
    .fetch_optional(executor)
    .await?;
    row.map(Batch::try_from).transpose()
}

/// A campaign's payments in this state after this one that the rule has not refunded, and whose bank has not taken the
/// money for good, at most `limit`, by their id.
pub async fn next(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
    state: State,
    after: PaymentId,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from payments p
         where campaign_id = $1 and state = $2 and state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED')
           and payment_id > $3
           and not exists (select from refunds r where r.payment_id = p.payment_id and r.cause = 'STANDING')
           and not exists (select from disputes d where d.payment_id = p.payment_id and d.status = 'lost')
         order by payment_id limit $4",
    )
    .bind(campaign.get())
    .bind(state.as_str())
    .bind(after.get())
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(PaymentId::from).collect())
}

/// How many of a campaign's payments the rule has still to refund, and how much that is, in minor units: what other
/// refunds have not spoken for, of payments that the bank has not taken for good.
pub async fn due(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select count(*), coalesce(sum(left_minor), 0)::bigint
         from (select p.captured_minor - p.disputed_minor - coalesce(r.reserved, 0) as left_minor
               from payments p
               cross join lateral (select sum(amount_minor) filter (where status not in ('FAILED', 'CANCELED')) as reserved,
                                          bool_or(cause = 'STANDING') as by_rule
                                   from refunds where payment_id = p.payment_id) r
               where p.campaign_id = $1 and p.state in ('CAPTURED', 'COMPLETED') and r.by_rule is not true
                 and not exists (select from disputes d where d.payment_id = p.payment_id and d.status = 'lost')) due
         where left_minor > 0",
    )
    .bind(campaign.get())
    .fetch_one(executor)
    .await
}

/// What a campaign's open payments hold by state and currency: what was captured and is still here, or what may be.
pub async fn payments(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
) -> Result<Vec<Sum>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "select state, count(*),
                sum(case when captured_minor > 0 then captured_minor - refunded_minor - disputed_minor else amount_minor end)::bigint,
                currency
         from payments
         where campaign_id = $1 and state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED')
         group by state, currency order by state, currency",
    )
    .bind(campaign.get())
    .fetch_all(executor)
    .await?;
    sums(rows)
}

/// The refunds that the rule made of a campaign's payments, by status and currency.
pub async fn refunds(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
) -> Result<Vec<Sum>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "select status, count(*), sum(amount_minor)::bigint, currency
         from refunds where campaign_id = $1 and cause = 'STANDING'
         group by status, currency order by status, currency",
    )
    .bind(campaign.get())
    .fetch_all(executor)
    .await?;
    sums(rows)
}

fn sums(rows: Vec<(String, i64, i64, String)>) -> Result<Vec<Sum>, sqlx::Error> {
    let sum = |(of, count, minor, currency): (String, i64, i64, String)| {
        let currency = Currency::parse(&currency);
        let currency = currency.map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Sum {
            of,
            count,
            amount: Money::new(minor, currency),
        })
    };
    rows.into_iter().map(sum).collect()
}
