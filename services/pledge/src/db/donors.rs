//! The projection of accounts.

use chassis::db::Db;
use common::{
    events::UserEvent,
    ids::{ContactId, UserId},
};
use uuid::Uuid;

/// Contact and pseudonym of an account.
pub async fn find(db: &Db, user: UserId) -> Result<Option<(ContactId, String)>, sqlx::Error> {
    let row: Option<(Uuid, String)> =
        sqlx::query_as("select contact_id, donor_ref from donors where user_id = $1")
            .bind(user.get())
            .fetch_optional(db.pool())
            .await?;
    Ok(row.map(|(contact, donor_ref)| (contact.into(), donor_ref)))
}

/// Keeps the newest snapshot of each account; `events` holds each account at most once.
pub async fn project(db: &Db, events: &[UserEvent]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into donors (user_id, contact_id, donor_ref, version)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) as e (user_id, contact_id, donor_ref, version)
         order by user_id
         on conflict (user_id) do update
         set contact_id = excluded.contact_id, donor_ref = excluded.donor_ref, version = excluded.version
         where donors.version < excluded.version",
    )
    .bind(events.iter().map(|event| event.user_id.get()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.contact_id.get()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.donor_ref.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.version).collect::<Vec<_>>())
    .execute(db.pool())
    .await?;
    Ok(())
}
