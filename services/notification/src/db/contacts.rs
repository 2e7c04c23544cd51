//! Contacts: the one table that knows names and addresses.

use common::events::ContactState;
use sqlx::PgPool;
use uuid::Uuid;

/// Keeps contacts that are newer than what is known. They must be in id order and each come once.
pub async fn upsert(pool: &PgPool, contacts: &[ContactState]) -> Result<(), sqlx::Error> {
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into contacts (contact_id, name, email, version, updated_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
         on conflict (contact_id) do update
         set name = excluded.name, email = excluded.email, version = excluded.version, updated_at = excluded.updated_at
         where contacts.version < excluded.version",
    )
    .bind(contacts.iter().map(|contact| contact.contact_id.get()).collect::<Vec<_>>())
    .bind(contacts.iter().map(|contact| contact.name.as_str()).collect::<Vec<_>>())
    .bind(contacts.iter().map(|contact| contact.email.as_str()).collect::<Vec<_>>())
    .bind(contacts.iter().map(|contact| contact.version).collect::<Vec<_>>())
    .bind(contacts.iter().map(|contact| contact.occurred_at).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets contacts.
pub async fn delete(pool: &PgPool, contacts: &[Uuid]) -> Result<(), sqlx::Error> {
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from contacts where contact_id = any($1)")
        .bind(contacts)
        .execute(pool)
        .await?;
    Ok(())
}
