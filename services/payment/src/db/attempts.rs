//! Declined tries.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::Decline;

/// A declined try and the event that told of it.
pub struct Declined<'a> {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Version of the snapshot that tells of it.
    pub version: i64,
    /// The webhook event behind it, if one told of it.
    pub psp_event: Option<&'a str>,
    /// Why it was declined.
    pub decline: &'a Decline,
    /// When we heard of it.
    pub at: DateTime<Utc>,
}

/// Writes declined tries in their order.
pub async fn insert_all(
    connection: &mut PgConnection,
    tries: &[Declined<'_>],
) -> Result<(), sqlx::Error> {
    if tries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into payment_attempts (payment_id, version, psp_event, code, decline_code, message, at, donor_ref, client,
                                       fingerprint)
         select t.payment_id, t.version, t.psp_event, t.code, t.decline_code, t.message, t.at,
                case when not t.excused then p.donor_ref end, case when not t.excused then p.client end,
                case when not t.excused then t.fingerprint end
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                     $8::text[], $9::boolean[])
              with ordinality as t (payment_id, version, psp_event, code, decline_code, message, at, fingerprint, excused, n)
         join payments p on p.payment_id = t.payment_id
         order by n",
    )
    .bind(tries.iter().map(|t| t.payment_id.get()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.version).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.psp_event).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.code.as_str()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.decline_code.as_deref()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.message.as_deref()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.at).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.fingerprint.as_deref()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.excused).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Which of these payments have been declined `limit` times or more.
pub async fn spent(
    connection: &mut PgConnection,
    ids: &[PaymentId],
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let spent: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from payment_attempts where payment_id = any($1::uuid[])
         group by payment_id having count(donor_ref) >= $2",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(spent.into_iter().map(PaymentId::from).collect())
}

/// Of each donor and network: since when that donor, that network, or one of the cards that either has tried has as
/// many declines after `since` as `limit` says. It is the time of the oldest of these that still counts, the latest
/// where there are several; none while none has so many.
pub async fn limits_reached(
    executor: impl PgExecutor<'_>,
    payers: &[(&str, Option<&str>)],
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Option<DateTime<Utc>>>, sqlx::Error> {
    sqlx::query_scalar(
        "select reached.at
         from unnest($1::text[], $2::text[]) with ordinality as payer (donor_ref, client, n)
         cross join lateral (
             with by_donor as (
                 select at, fingerprint from payment_attempts a where a.donor_ref = payer.donor_ref and a.at > $3
                 order by at desc limit $4),
             by_client as (
                 select at, fingerprint from payment_attempts a where a.client = payer.client and a.at > $3
                 order by at desc limit $4),
             cards as (
                 select fingerprint from by_donor where fingerprint is not null
                 union select fingerprint from by_client where fingerprint is not null),
             by_card as (
                 select tried.at from cards
                 cross join lateral (select at from payment_attempts a where a.fingerprint = cards.fingerprint and a.at > $3
                                     order by at desc offset $4 - 1 limit 1) tried)
             select max(at) as at from (
                 (select at from by_donor order by at desc offset $4 - 1 limit 1)
                 union all (select at from by_client order by at desc offset $4 - 1 limit 1)
                 union all select at from by_card) each) reached
         order by payer.n",
    )
    .bind(payers.iter().map(|(donor, _)| *donor).collect::<Vec<_>>())
    .bind(payers.iter().map(|(_, client)| *client).collect::<Vec<_>>())
    .bind(since)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// Donors and networks that open no payment for now.
#[derive(Default)]
pub struct Stopped {
    /// The donors.
    pub donors: Vec<String>,
    /// The networks.
    pub clients: Vec<String>,
}

/// Who is stopped by declines of these payments: the donors and the networks behind them that have as many declines
/// after `since` as `limit` says, and the last hundred who tried a card that has so many.
pub async fn stopped(
    executor: impl PgExecutor<'_>,
    declined: &[PaymentId],
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Stopped, sqlx::Error> {
    let stopped: Vec<(Option<String>, Option<String>)> = sqlx::query_as(
        "with tried as (
             select distinct donor_ref, client, fingerprint from payment_attempts where payment_id = any($1::uuid[])),
         by_card as (
             select who.donor_ref, who.client from (select distinct fingerprint from tried) card
             cross join lateral (select donor_ref, client from payment_attempts a
                                 where a.fingerprint = card.fingerprint and a.at > $2 order by at desc limit 100) who
             where exists (select from payment_attempts a where a.fingerprint = card.fingerprint and a.at > $2
                           offset $3::bigint - 1))
         select donor_ref, null as client from (select distinct donor_ref from tried) donor
         where exists (select from payment_attempts a where a.donor_ref = donor.donor_ref and a.at > $2 offset $3::bigint - 1)
         union select null, client from (select distinct client from tried) network
         where exists (select from payment_attempts a where a.client = network.client and a.at > $2 offset $3::bigint - 1)
         union select donor_ref, client from by_card",
    )
    .bind(declined.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(since)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    let mut all = Stopped::default();
    for (donor, client) in stopped {
        all.donors.extend(donor);
        all.clients.extend(client);
    }
    Ok(all)
}
