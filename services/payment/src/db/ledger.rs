//! The books, written: sets with their entries, and the steps of pending transfers. Rows are only ever added.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::{
    ids::{CampaignId, PaymentId, UserId},
    money::Currency,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Effect, Entry};

/// A set of entries with what caused it.
pub struct Set<'a> {
    /// Its id, uuid v7.
    pub id: Uuid,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// Why money moved.
    pub effect: Effect,
    /// The provider's object behind it.
    pub psp_object: Option<&'a str>,
    /// Why an admin corrects.
    pub reason: Option<&'a str>,
    /// The admin.
    pub entered_by: Option<UserId>,
    /// The request behind it.
    pub trace_id: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
    /// Its lines.
    pub entries: &'a [Entry],
}

/// A step of a pending transfer; amounts in minor units.
pub struct HoldStep<'a> {
    /// Whose.
    pub payment_id: PaymentId,
    /// `held`, `posted` or `voided`.
    pub step: &'static str,
    /// For which campaign.
    pub campaign_id: CampaignId,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What was held.
    pub held: i64,
    /// What was taken of it.
    pub posted: i64,
    /// What was released of it.
    pub released: i64,
    /// The request behind it.
    pub trace_id: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Writes the sets whose effects are not in the books yet, each with its entries.
pub async fn insert_sets(
    connection: &mut PgConnection,
    sets: &[Set<'_>],
) -> Result<(), sqlx::Error> {
    if sets.is_empty() {
        return Ok(());
    }
    let new: Vec<Uuid> = sqlx::query_scalar(
        "insert into ledger_sets (set_id, payment_id, effect, psp_object, reason, entered_by, trace_id, at)
         select set_id, payment_id, effect, psp_object, reason, entered_by, trace_id, at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                     $8::timestamptz[])
              as s (set_id, payment_id, effect, psp_object, reason, entered_by, trace_id, at)
         on conflict (payment_id, effect, psp_object) do nothing
         returning set_id",
    )
    .bind(sets.iter().map(|s| s.id).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.payment_id.map(PaymentId::get)).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.effect.as_str()).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.psp_object).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.reason).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.entered_by.map(UserId::get)).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.trace_id).collect::<Vec<_>>())
    .bind(sets.iter().map(|s| s.at).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    let lines = || {
        let new = sets.iter().filter(|set| new.contains(&set.id));
        new.flat_map(|set| {
            (1_i16..)
                .zip(set.entries)
                .map(move |(n, entry)| (set, n, entry))
        })
    };
    if lines().next().is_none() {
        return Ok(());
    }
    sqlx::query(
        "insert into ledger_entries (set_id, line, account, campaign_id, currency, amount_minor, at)
         select set_id, line, account, campaign_id, currency, amount_minor, at
         from unnest($1::uuid[], $2::smallint[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::timestamptz[])
              as e (set_id, line, account, campaign_id, currency, amount_minor, at)",
    )
    .bind(lines().map(|(set, ..)| set.id).collect::<Vec<_>>())
    .bind(lines().map(|(_, line, _)| line).collect::<Vec<_>>())
    .bind(lines().map(|(.., e)| e.account.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(.., e)| e.campaign_id.map(CampaignId::get)).collect::<Vec<_>>())
    .bind(lines().map(|(.., e)| e.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(.., e)| e.amount.minor).collect::<Vec<_>>())
    .bind(lines().map(|(set, ..)| set.at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the steps of pending transfers that are not in the books yet.
pub async fn insert_holds(
    connection: &mut PgConnection,
    steps: &[HoldStep<'_>],
) -> Result<(), sqlx::Error> {
    if steps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor, posted_minor, released_minor,
                                   trace_id, at)
         select payment_id, step, campaign_id, currency, held_minor, posted_minor, released_minor, trace_id, at
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::text[], $9::timestamptz[])
              as h (payment_id, step, campaign_id, currency, held_minor, posted_minor, released_minor, trace_id, at)
         on conflict do nothing",
    )
    .bind(steps.iter().map(|h| h.payment_id.get()).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.step).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.campaign_id.get()).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.currency.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.held).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.posted).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.released).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.trace_id).collect::<Vec<_>>())
    .bind(steps.iter().map(|h| h.at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
