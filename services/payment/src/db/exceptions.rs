//! Matters that a person has to look at: opened and closed in the transaction of what they are about.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};

use crate::domain::{Exception, Kind};

/// Opens matters. One that is open stays as old as it is; one that was closed is opened again.
pub async fn open(
    connection: &mut PgConnection,
    exceptions: &[Exception],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if exceptions.is_empty() {
        return Ok(());
    }
    let all = || exceptions.iter();
    sqlx::query(
        "insert into exceptions as e (kind, subject, payment_id, amount_minor, currency, detail, due_at, opened_at)
         select distinct on (kind, subject) kind, subject, payment_id, amount_minor, currency, detail, due_at, $8
         from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
              as n (kind, subject, payment_id, amount_minor, currency, detail, due_at)
         order by kind, subject
         on conflict (kind, subject) do update
         set payment_id = excluded.payment_id, amount_minor = excluded.amount_minor, currency = excluded.currency,
             detail = excluded.detail, due_at = excluded.due_at, closed_at = null, closed_by = null,
             opened_at = case when e.closed_at is null then e.opened_at else excluded.opened_at end",
    )
    .bind(all().map(|e| e.kind.as_str()).collect::<Vec<_>>())
    .bind(all().map(|e| e.subject.as_str()).collect::<Vec<_>>())
    .bind(all().map(|e| e.payment_id.map(PaymentId::get)).collect::<Vec<_>>())
    .bind(all().map(|e| e.amount.map(|m| m.minor)).collect::<Vec<_>>())
    .bind(all().map(|e| e.amount.map(|m| m.currency.as_str())).collect::<Vec<_>>())
    .bind(all().map(|e| e.detail.as_str()).collect::<Vec<_>>())
    .bind(all().map(|e| e.due_at).collect::<Vec<_>>())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Closes these matters of one kind, where they are open.
pub async fn close(
    connection: &mut PgConnection,
    kind: Kind,
    subjects: &[&str],
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update exceptions e set closed_at = $3, closed_by = $4
         from (select kind, subject from exceptions where kind = $1 and subject = any($2::text[]) and closed_at is null
               order by kind, subject for update) open
         where (e.kind, e.subject) = (open.kind, open.subject)",
    )
    .bind(kind.as_str())
    .bind(subjects)
    .bind(now)
    .bind(by)
    .execute(connection)
    .await?;
    Ok(())
}

/// Who closes a matter that the provider's answer settles.
pub const PROVIDER: &str = "the provider's answer";

/// Closes the matters of calls that have their answer by now, whoever brought it.
pub async fn close_answered(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update exceptions e set closed_at = $1, closed_by = 'the answer came'
         from (select x.kind, x.subject from exceptions x join payments p on p.payment_id = x.payment_id
               where x.kind = 'UNKNOWN' and x.closed_at is null
                 and (x.subject = p.payment_id::text and p.outcome = 'known'
                      or x.subject in ('capture:' || p.payment_id, 'cancel:' || p.payment_id)
                         and p.state not in ('PENDING', 'AUTHORIZED')
                      or exists (select from refunds r where r.payment_id = p.payment_id and r.refund_id::text = x.subject
                                 and (r.outcome = 'known' or r.status not in ('PENDING', 'REQUIRES_ACTION'))))
               limit 100 for update of x) answered
         where (e.kind, e.subject) = (answered.kind, answered.subject)",
    )
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}
