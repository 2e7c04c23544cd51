//! Mails owed, under way and done.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// A thank-you that has become due.
pub struct NewDelivery {
    /// Its id, a UUIDv7.
    pub delivery_id: Uuid,
    /// For which payment.
    pub payment_id: Uuid,
    /// The version of the snapshot that calls for it.
    pub payment_version: i64,
    /// For which campaign.
    pub campaign_id: Uuid,
    /// To whom.
    pub contact_id: Uuid,
    /// The gift, in minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: &'static str,
    /// The trace of the event that called for it.
    pub traceparent: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A mail that this process may send, and nobody else until its lease ends.
#[derive(sqlx::FromRow)]
pub struct Claimed {
    /// Which delivery.
    pub delivery_id: Uuid,
    /// For which payment.
    pub payment_id: Uuid,
    /// The gift, in minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// How many attempts there were, with this one.
    pub attempts: i32,
    /// The donor's name.
    pub name: String,
    /// The donor's address.
    pub email: String,
    /// The campaign's title, where it is known.
    pub title: Option<String>,
}

/// One line of the history. No name and no address is in it.
#[derive(sqlx::FromRow)]
pub struct Entry {
    /// Its id, also its place in the order.
    pub delivery_id: Uuid,
    /// What kind of mail.
    pub kind: String,
    /// For which payment.
    pub payment_id: Uuid,
    /// For which campaign.
    pub campaign_id: Uuid,
    /// To whom.
    pub contact_id: Uuid,
    /// The gift, in minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: String,
    /// HELD, QUEUED, SENT, FAILED or WITHDRAWN.
    pub status: String,
    /// How many attempts there were.
    pub attempts: i32,
    /// What came of the last one.
    pub last_result: Option<String>,
    /// When the next one is due, while there is to be one.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it became due.
    pub created_at: DateTime<Utc>,
    /// When the mail server took it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Queues thank-yous, except those whose payment has one that was not withdrawn before. They must be in payment order,
/// one for a payment.
pub async fn queue(pool: &PgPool, due: &[NewDelivery]) -> Result<(), sqlx::Error> {
    if due.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into deliveries (delivery_id, kind, payment_id, campaign_id, contact_id, amount, currency, traceparent,
                                 status, attempts, next_attempt_at, created_at, payment_version)
         select delivery_id, 'THANK_YOU', payment_id, campaign_id, contact_id, amount, currency, traceparent,
                'QUEUED', 0, created_at, created_at, payment_version
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[],
                     $8::timestamptz[], $9::bigint[])
              as d (delivery_id, payment_id, campaign_id, contact_id, amount, currency, traceparent, created_at,
                    payment_version)
         on conflict on constraint deliveries_kind_payment_id_unique do update
         set status = 'QUEUED', next_attempt_at = excluded.next_attempt_at, payment_version = excluded.payment_version
         where deliveries.status = 'WITHDRAWN' and deliveries.payment_version < excluded.payment_version",
    )
    .bind(due.iter().map(|delivery| delivery.delivery_id).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.payment_id).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.campaign_id).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.contact_id).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.amount).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.currency).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.created_at).collect::<Vec<_>>())
    .bind(due.iter().map(|delivery| delivery.payment_version).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// Withdraws the mails of these payments that nobody has sent yet, by the versions of the snapshots that say so. They must
/// be in payment order.
pub async fn withdraw(pool: &PgPool, over: &[(Uuid, i64)]) -> Result<(), sqlx::Error> {
    if over.is_empty() {
        return Ok(());
    }
    let (payments, versions): (Vec<_>, Vec<_>) = over.iter().copied().unzip();
    sqlx::query(
        "with due as (
             select d.delivery_id, gone.version
             from unnest($1::uuid[], $2::bigint[]) with ordinality as gone (payment_id, version, n)
             join deliveries d on d.kind = 'THANK_YOU' and d.payment_id = gone.payment_id
             where d.status not in ('SENT', 'FAILED', 'WITHDRAWN') and d.payment_version < gone.version
             order by n
             for update of d
         )
         update deliveries d
         set status = 'WITHDRAWN', last_result = 'the money went back', payment_version = due.version
         from due
         where d.delivery_id = due.delivery_id",
    )
    .bind(payments)
    .bind(versions)
    .execute(pool)
    .await?;
    Ok(())
}

/// Claims mails that are due at `now` and whose contact has come, in one statement that commits by itself: the
/// attempt is counted, and until `lease` nobody else sees the mail as due. A process that dies in between leaves it
/// to the next. Mails made after `patient_since` wait for their campaign's title as well.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease: DateTime<Utc>,
    patient_since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        "with due as (
             select d.delivery_id, c.name, c.email, p.title
             from deliveries d
             join contacts c on c.contact_id = d.contact_id
             left join campaigns p on p.campaign_id = d.campaign_id
             where d.status = 'QUEUED' and d.next_attempt_at <= $1
               and (p.campaign_id is not null or d.created_at <= $3)
             order by d.next_attempt_at
             limit $4
             for update of d skip locked
         )
         update deliveries d set attempts = d.attempts + 1, next_attempt_at = $2
         from due
         where d.delivery_id = due.delivery_id
         returning d.delivery_id, d.payment_id, d.amount, d.currency, d.traceparent, d.attempts,
                   due.name, due.email, due.title",
    )
    .bind(now)
    .bind(lease)
    .bind(patient_since)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Notes that the mail server took these mails. That holds even when the lease has ended meanwhile.
pub async fn mark_sent(
    pool: &PgPool,
    deliveries: &[Uuid],
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if deliveries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update deliveries set status = 'SENT', sent_at = $2, last_result = 'accepted'
         where delivery_id = any($1::uuid[]) and status <> 'SENT'",
    )
    .bind(deliveries)
    .bind(at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that an attempt failed and when the next one is due, unless another attempt has begun meanwhile.
pub async fn mark_for_retry(
    pool: &PgPool,
    claimed: &Claimed,
    result: &str,
    next: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update deliveries set last_result = $3, next_attempt_at = $4
         where delivery_id = $1 and attempts = $2 and status not in ('SENT', 'FAILED', 'WITHDRAWN')",
    )
    .bind(claimed.delivery_id)
    .bind(claimed.attempts)
    .bind(result)
    .bind(next)
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that no attempt will ever succeed.
pub async fn mark_failed(
    pool: &PgPool,
    delivery_id: Uuid,
    result: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("update deliveries set status = 'FAILED', last_result = $2 where delivery_id = $1 and status not in ('SENT', 'WITHDRAWN')")
        .bind(delivery_id)
        .bind(result)
        .execute(pool)
        .await?;
    Ok(())
}

/// The history, newest first, from before the delivery `before`.
pub async fn page(
    pool: &PgPool,
    status: Option<&str>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(
        "select * from (
             select d.delivery_id, d.kind, d.payment_id, d.campaign_id, d.contact_id, d.amount, d.currency,
                    case when d.status = 'QUEUED' and c.contact_id is null then 'HELD' else d.status end as status,
                    d.attempts, d.last_result,
                    case when d.status = 'QUEUED' then d.next_attempt_at end as next_attempt_at,
                    d.created_at, d.sent_at
             from deliveries d
             left join contacts c on c.contact_id = d.contact_id
         ) history
         where ($1::text is null or status = $1) and ($2::uuid is null or delivery_id < $2)
         order by delivery_id desc
         limit $3",
    )
    .bind(status)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
}
