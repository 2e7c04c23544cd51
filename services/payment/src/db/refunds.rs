//! Refunds: stored before the provider is asked, and what became of them.

use chrono::{DateTime, Utc};
use common::{
    ids::{PaymentId, UserId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Cause, Frozen, Outcome, Refund, RefundStatus};

#[derive(sqlx::FromRow)]
struct Row {
    refund_id: Uuid,
    payment_id: Uuid,
    amount_minor: i64,
    currency: String,
    reason: Option<String>,
    cause: String,
    status: String,
    failure: Option<String>,
    psp_refund: Option<String>,
    psp_key: Option<String>,
    psp_request: Option<Vec<u8>>,
    outcome: String,
    requested_at: Option<DateTime<Utc>>,
    tries: i32,
    requested_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Refund {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let unknown = |what: &'static str| sqlx::Error::Decode(what.into());
        let currency = Currency::parse(&row.currency);
        let currency = currency.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let call = row.psp_key.zip(row.psp_request);
        Ok(Self {
            refund_id: row.refund_id,
            payment_id: PaymentId::from(row.payment_id),
            amount: Money::new(row.amount_minor, currency),
            reason: row.reason,
            cause: Cause::parse(&row.cause).ok_or_else(|| unknown("an unknown cause"))?,
            status: RefundStatus::parse(&row.status).ok_or_else(|| unknown("an unknown status"))?,
            failure: row.failure,
            psp_refund: row.psp_refund,
            call: call.map(|(key, request)| Frozen { key, request }),
            outcome: Outcome::parse(&row.outcome).ok_or_else(|| unknown("an unknown outcome"))?,
            requested_at: row.requested_at,
            tries: row.tries,
            requested_by: row.requested_by.map(UserId::from),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A payment's refunds, the oldest first. Read under the payment's lock they stay so until the transaction ends.
pub async fn of_payment(
    executor: impl PgExecutor<'_>,
    payment: PaymentId,
) -> Result<Vec<Refund>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select refund_id, payment_id, amount_minor, currency, reason, cause, status, failure, psp_refund, psp_key,
                psp_request, outcome, requested_at, tries, requested_by, created_at, updated_at
         from refunds where payment_id = $1 order by created_at, refund_id",
    )
    .bind(payment.get())
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Refund::try_from).collect()
}

/// Writes refunds that are new or changed, under their payments' locks. What is still open is looked after at
/// `look_at`, and what is not needs no more looking after.
pub async fn save(
    connection: &mut PgConnection,
    refunds: &[Refund],
    look_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if refunds.is_empty() {
        return Ok(());
    }
    let all = || refunds.iter();
    let calls = || all().map(|r| r.call.as_ref());
    sqlx::query(
        "insert into refunds (refund_id, payment_id, amount_minor, currency, reason, cause, status, failure, psp_refund,
                              psp_key, psp_request, outcome, requested_at, retry_at, requested_by, created_at, updated_at,
                              campaign_id)
         select refund_id, payment_id, amount_minor, currency, reason, cause, status, failure, psp_refund,
                psp_key, psp_request, outcome, requested_at, retry_at, requested_by, created_at, updated_at,
                (select p.campaign_id from payments p where p.payment_id = n.payment_id)
         from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::bytea[], $12::text[], $13::timestamptz[], $14::timestamptz[],
                     $15::uuid[], $16::timestamptz[], $17::timestamptz[])
              as n (refund_id, payment_id, amount_minor, currency, reason, cause, status, failure, psp_refund,
                    psp_key, psp_request, outcome, requested_at, retry_at, requested_by, created_at, updated_at)
         order by refund_id
         on conflict (refund_id) do update
         set status = excluded.status, failure = excluded.failure, psp_refund = excluded.psp_refund,
             outcome = excluded.outcome, retry_at = excluded.retry_at, updated_at = excluded.updated_at",
    )
    .bind(all().map(|r| r.refund_id).collect::<Vec<_>>())
    .bind(all().map(|r| r.payment_id.get()).collect::<Vec<_>>())
    .bind(all().map(|r| r.amount.minor).collect::<Vec<_>>())
    .bind(all().map(|r| r.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(all().map(|r| r.reason.as_deref()).collect::<Vec<_>>())
    .bind(all().map(|r| r.cause.as_str()).collect::<Vec<_>>())
    .bind(all().map(|r| r.status.as_str()).collect::<Vec<_>>())
    .bind(all().map(|r| r.failure.as_deref()).collect::<Vec<_>>())
    .bind(all().map(|r| r.psp_refund.as_deref()).collect::<Vec<_>>())
    .bind(calls().map(|c| c.map(|c| c.key.as_str())).collect::<Vec<_>>())
    .bind(calls().map(|c| c.map(|c| c.request.as_slice())).collect::<Vec<_>>())
    .bind(all().map(|r| r.outcome.as_str()).collect::<Vec<_>>())
    .bind(all().map(|r| r.requested_at).collect::<Vec<_>>())
    .bind(all().map(|r| r.status.is_open().then_some(look_at)).collect::<Vec<_>>())
    .bind(all().map(|r| r.requested_by.map(UserId::get)).collect::<Vec<_>>())
    .bind(all().map(|r| r.created_at).collect::<Vec<_>>())
    .bind(all().map(|r| r.updated_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes refunds to be looked after whose time has come, at most `limit`. Whoever takes one has it for `hold`; of
/// several replicas each takes others.
pub async fn take_due(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    hold: chrono::Duration,
    limit: i64,
) -> Result<Vec<Refund>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "update refunds r set retry_at = $2, tries = r.tries + 1
         from (select refund_id from refunds where retry_at <= $1 order by retry_at limit $3 for update skip locked) due
         where r.refund_id = due.refund_id
         returning r.refund_id, r.payment_id, r.amount_minor, r.currency, r.reason, r.cause, r.status, r.failure,
                   r.psp_refund, r.psp_key, r.psp_request, r.outcome, r.requested_at, r.tries, r.requested_by,
                   r.created_at, r.updated_at",
    )
    .bind(now)
    .bind(now + hold)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Refund::try_from).collect()
}

/// Has a refund that is still open looked after at this time; its call has no answer where `unknown`.
pub async fn look_at(
    executor: impl PgExecutor<'_>,
    refund_id: Uuid,
    unknown: bool,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update refunds set retry_at = $2, outcome = case when $3 and outcome = 'requested' then 'unknown' else outcome end
         where refund_id = $1 and status in ('PENDING', 'REQUIRES_ACTION')",
    )
    .bind(refund_id)
    .bind(at)
    .bind(unknown)
    .execute(executor)
    .await?;
    Ok(())
}

/// Has every refund that is still open looked after now.
pub async fn look_now(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update refunds set retry_at = $1 where retry_at > $1")
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
