//! Pledges: written in batches with their keys and events, read one by one.

mod forgotten;
mod shown;

pub use forgotten::put_back;
pub use shown::show;

use std::{collections::HashSet, str::FromStr};

use chassis::db::{Db, Tx};
use chrono::{DateTime, Utc};
use common::{
    events::{ContactState, PledgeEvent, PledgeKind},
    idempotency::{self, Claim, Reply},
    ids::{PledgeId, UserId},
    money::{Currency, Extras, Money},
    outbox,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Giver, Pledge};

/// One request, ready to be written.
pub struct Gift {
    /// Its key.
    pub claim: Claim,
    /// What it promises.
    pub pledge: Pledge,
    /// Name and address, where the donor left them with this pledge.
    pub contact: Option<ContactState>,
    /// What it is answered.
    pub reply: Reply,
    /// The pledge whose guest token came with it.
    pub after: Option<PledgeId>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    pledge_id: Uuid,
    campaign_id: Uuid,
    donor_id: Option<Uuid>,
    donor_ref: String,
    contact_id: Uuid,
    amount_minor: i64,
    tip_minor: i64,
    covered_fee_minor: i64,
    refunded_minor: i64,
    currency: String,
    capture: String,
    visibility: String,
    public_name: Option<String>,
    message: Option<String>,
    status: String,
    cancel_requested_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    version: i64,
}

impl TryFrom<Row> for Pledge {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let currency =
            Currency::parse(&row.currency).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            id: row.pledge_id.into(),
            campaign_id: row.campaign_id.into(),
            giver: Giver {
                donor_id: row.donor_id.map(UserId::from),
                donor_ref: row.donor_ref,
                contact_id: row.contact_id.into(),
                name: row.public_name,
            },
            amount: Money::new(row.amount_minor, currency),
            extras: Extras {
                tip: row.tip_minor,
                covered_fee: row.covered_fee_minor,
            },
            refunded: row.refunded_minor,
            capture: parsed(&row.capture)?,
            visibility: parsed(&row.visibility)?,
            message: row.message,
            status: parsed(&row.status)?,
            cancel_requested_at: row.cancel_requested_at,
            expires_at: row.expires_at,
            created_at: row.created_at,
            version: row.version,
        })
    }
}

/// Reads a name that one of our enums wrote.
pub(in crate::db) fn parsed<T>(text: &str) -> Result<T, sqlx::Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    text.parse()
        .map_err(|error: T::Err| sqlx::Error::Decode(error.into()))
}

/// Writes key, pledge and events of each gift whose key is new, all in one statement, and gives the scopes of those
/// keys. `gifts` holds each key at most once, in key order.
pub async fn insert_new(
    connection: &mut PgConnection,
    gifts: &[&Gift],
) -> Result<HashSet<[u8; 32]>, sqlx::Error> {
    let (scopes, fingerprints, statuses, headers, bodies) =
        idempotency::insert_columns(gifts.iter().map(|gift| (&gift.claim, &gift.reply)));
    let pledges: Vec<&Pledge> = gifts.iter().map(|gift| &gift.pledge).collect();
    let events: Vec<outbox::Row> = gifts
        .iter()
        .map(|gift| {
            let pledge = &gift.pledge;
            let created = PledgeEvent {
                claim: Some(gift.claim.to_text()),
                ..pledge.event(PledgeKind::Created, pledge.created_at)
            };
            outbox::Row::of(&created, gift.traceparent.clone())
        })
        .collect();
    let contacts: Vec<Option<outbox::Row>> = gifts
        .iter()
        .map(|gift| {
            gift.contact
                .as_ref()
                .map(|contact| outbox::Row::of(contact, gift.traceparent.clone()))
        })
        .collect();
    let written: Vec<Vec<u8>> = sqlx::query_scalar(
        "with gifts as (
             select * from unnest(
                 $1::bytea[], $2::bytea[], $3::smallint[], $4::text[], $5::bytea[],
                 $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[], $10::text[], $11::uuid[], $12::bigint[], $13::text[], $14::text[],
                 $15::text[], $16::text[], $17::text[], $18::timestamptz[], $19::timestamptz[],
                 $20::uuid[], $21::bytea[], $22::uuid[], $23::bytea[], $24::text[], $25::bigint[], $26::bigint[], $27::uuid[]
             ) as g (
                 scope, fingerprint, reply_status, headers, body,
                 pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency, capture,
                 visibility, public_name, message, expires_at, created_at,
                 event_id, event, contact_event_id, contact_event, traceparent, tip_minor, covered_fee_minor, given_after
             )
         ), claimed as (
             insert into idempotency (scope, fingerprint, status, headers, body)
             select scope, fingerprint, reply_status, headers::json, body from gifts
             on conflict do nothing
             returning scope
         ), fresh as (
             select gifts.* from gifts join claimed using (scope)
         ), pledged as (
             insert into pledges (pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency, capture,
                                  visibility, public_name, message, status, expires_at, version, created_at, updated_at,
                                  tip_minor, covered_fee_minor, given_after, trace_id)
             select pledge_id, campaign_id, payment_id, donor_id, donor_ref, contact_id, amount_minor, currency, capture,
                    visibility, public_name, message, 'PENDING', expires_at, 1, created_at, created_at,
                    tip_minor, covered_fee_minor, given_after, substr(traceparent, 4, 32)
             from fresh
         ), told as (
             insert into outbox (event_id, topic, key, kind, payload, traceparent)
             select event_id, 'cfa.pledge.events.v1', pledge_id::text, 'pledge.created', event, traceparent from fresh
             union all
             select contact_event_id, 'cfa.contact.state.v1', contact_id::text, 'contact.changed', contact_event, traceparent
             from fresh where contact_event is not null
         )
         select scope from claimed",
    )
    .bind(scopes)
    .bind(fingerprints)
    .bind(statuses)
    .bind(headers)
    .bind(bodies)
    .bind(pledges.iter().map(|pledge| pledge.id.get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.campaign_id.get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.payment_id().get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.giver.donor_id.map(UserId::get)).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.giver.donor_ref.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.giver.contact_id.get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.amount.minor).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.capture.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.visibility.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.giver.name.as_deref()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.message.as_deref()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.expires_at).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.created_at).collect::<Vec<_>>())
    .bind(events.iter().map(|row| row.event_id).collect::<Vec<_>>())
    .bind(events.iter().map(|row| row.payload.as_slice()).collect::<Vec<_>>())
    .bind(contacts.iter().map(|row| row.as_ref().map(|row| row.event_id)).collect::<Vec<_>>())
    .bind(contacts.iter().map(|row| row.as_ref().map(|row| row.payload.as_slice())).collect::<Vec<_>>())
    .bind(events.iter().map(|row| row.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.extras.tip).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.extras.covered_fee).collect::<Vec<_>>())
    .bind(gifts.iter().map(|gift| gift.after.map(PledgeId::get)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(written
        .into_iter()
        .filter_map(|scope| scope.try_into().ok())
        .collect())
}

/// Finds a pledge.
pub async fn find(db: &Db, id: PledgeId) -> Result<Option<Pledge>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select pledge_id, campaign_id, donor_id, donor_ref, contact_id, amount_minor, tip_minor, covered_fee_minor, refunded_minor,
                currency, capture, visibility, public_name, message, status, cancel_requested_at, expires_at, created_at, version
         from pledges where pledge_id = $1",
    )
    .bind(id.get())
    .fetch_optional(db.pool())
    .await?;
    row.map(Pledge::try_from).transpose()
}

/// Locks a pledge until the transaction ends.
pub async fn lock(tx: &mut Tx, id: PledgeId) -> Result<Option<Pledge>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select pledge_id, campaign_id, donor_id, donor_ref, contact_id, amount_minor, tip_minor, covered_fee_minor, refunded_minor,
                currency, capture, visibility, public_name, message, status, cancel_requested_at, expires_at, created_at, version
         from pledges where pledge_id = $1 for update",
    )
    .bind(id.get())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Pledge::try_from).transpose()
}

/// Notes that the donor asked to call a pledge off, as its newest version has it. The caller holds its lock.
pub async fn request_cancel(
    tx: &mut Tx,
    asked: &Pledge,
    trace_id: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update pledges set cancel_requested_at = $2, updated_at = $2, version = $3, cancel_trace_id = $4 where pledge_id = $1",
    )
    .bind(asked.id.get())
    .bind(asked.cancel_requested_at)
    .bind(asked.version)
    .bind(trace_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a pledge's story begins with.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Opening {
    /// The trace of the request that made it.
    pub trace_id: Option<String>,
    /// The trace of the request that asked to call it off.
    pub cancel_trace_id: Option<String>,
    /// The attempt that it shows; 0 before anything was told of one.
    pub payment_attempt: i32,
}

/// What the story of a pledge begins with.
pub async fn opening(db: &Db, id: PledgeId) -> Result<Opening, sqlx::Error> {
    sqlx::query_as(
        "select trace_id, cancel_trace_id, payment_attempt from pledges where pledge_id = $1",
    )
    .bind(id.get())
    .fetch_one(db.pool())
    .await
}

/// An account's pledges, newest first, those before `before`.
pub async fn of_donor(
    db: &Db,
    donor: UserId,
    before: Option<PledgeId>,
    limit: i64,
) -> Result<Vec<Pledge>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select pledge_id, campaign_id, donor_id, donor_ref, contact_id, amount_minor, tip_minor, covered_fee_minor, refunded_minor,
                currency, capture, visibility, public_name, message, status, cancel_requested_at, expires_at, created_at, version
         from pledges
         where donor_id = $1 and ($2::uuid is null or pledge_id < $2)
         order by pledge_id desc limit $3",
    )
    .bind(donor.get())
    .bind(before.map(PledgeId::get))
    .bind(limit)
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(Pledge::try_from).collect()
}
