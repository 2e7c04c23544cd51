//! Pledges that others know better than their own table, because that was put back to an older copy.

use common::{events::PledgeEvent, ids::UserId};
use sqlx::PgConnection;

/// Writes pledges as they were told last, each with the trace it was told in: those that are not there, and those that
/// are older here. Gives how many these were.
pub async fn put_back(
    connection: &mut PgConnection,
    told: &[(PledgeEvent, Option<String>)],
) -> Result<u64, sqlx::Error> {
    let pledges = || told.iter().map(|(pledge, _)| pledge);
    let written = sqlx::query(
        "insert into pledges (pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency,
                              capture, visibility, public_name, message, status, expires_at, version, created_at, updated_at,
                              tip_minor, covered_fee_minor, cancel_requested_at, trace_id)
         select pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency,
                capture, visibility, public_name, message, status, expires_at, version, created_at, updated_at,
                tip_minor, covered_fee_minor, cancel_requested_at, substr(traceparent, 4, 32)
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::bigint[],
                     $16::timestamptz[], $17::timestamptz[], $18::bigint[], $19::bigint[], $20::timestamptz[], $21::text[])
              as told (pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency,
                       capture, visibility, public_name, message, status, expires_at, version, created_at, updated_at,
                       tip_minor, covered_fee_minor, cancel_requested_at, traceparent)
         order by pledge_id
         on conflict (pledge_id) do update
         set status = excluded.status, version = excluded.version, updated_at = excluded.updated_at,
             cancel_requested_at = coalesce(pledges.cancel_requested_at, excluded.cancel_requested_at)
         where pledges.version < excluded.version",
    )
    .bind(pledges().map(|pledge| pledge.pledge_id.get()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.campaign_id.get()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.payment_id.get()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.donor_id.map(UserId::get)).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.donor_ref.as_str()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.contact_id.get()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.amount.minor).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.capture.as_str()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.visibility.as_str()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.public_name.as_deref()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.message.as_deref()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.status.as_str()).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.expires_at).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.version).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.created_at).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.occurred_at).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.extras.tip).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.extras.covered_fee).collect::<Vec<_>>())
    .bind(pledges().map(|pledge| pledge.cancel_requested_at).collect::<Vec<_>>())
    .bind(told.iter().map(|(_, trace)| trace.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(written.rows_affected())
}
