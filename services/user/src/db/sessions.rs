//! Refresh tokens and the families they belong to.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::accounts::Account;

/// A refresh token as it is stored.
pub struct StoredToken {
    /// SHA-256 of what the client holds.
    pub hash: [u8; 32],
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

/// Opens a family with its first token, in one statement.
pub async fn open(
    pool: &PgPool,
    family_id: Uuid,
    user_id: Uuid,
    token: &StoredToken,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with family as (
             insert into refresh_families (family_id, user_id, created_at) values ($1, $2, $4) returning family_id
         )
         insert into refresh_tokens (token_hash, family_id, issued_at, expires_at)
         select $3, family_id, $4, $5 from family",
    )
    .bind(family_id)
    .bind(user_id)
    .bind(token.hash.as_slice())
    .bind(token.issued_at)
    .bind(token.expires_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Uses a token up and stores its successor, in one statement; gives the account, or nothing when the token is
/// unknown, used, expired, of an ended family or of an account that is not active.
///
/// Of two uses at once, the second waits for the first on the row's lock and then finds the token used.
pub async fn rotate(
    pool: &PgPool,
    used: &[u8; 32],
    next: &StoredToken,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(
        "with used as (
             update refresh_tokens t set used_at = $3
             from refresh_families f, accounts a
             where t.token_hash = $1 and t.used_at is null and t.expires_at > $3
               and f.family_id = t.family_id and f.ended_at is null
               and a.user_id = f.user_id and a.status = 'ACTIVE'
             returning t.family_id, a.user_id, a.email, a.name, a.role
         ), issued as (
             insert into refresh_tokens (token_hash, family_id, issued_at, expires_at)
             select $2, family_id, $3, $4 from used
         )
         select user_id, email, name, role from used",
    )
    .bind(used.as_slice())
    .bind(next.hash.as_slice())
    .bind(next.issued_at)
    .bind(next.expires_at)
    .fetch_optional(pool)
    .await
}

/// Ends the family of a token, used or not; an unknown token ends nothing.
pub async fn end(pool: &PgPool, token: &[u8; 32], at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update refresh_families f set ended_at = $2
         from refresh_tokens t
         where t.token_hash = $1 and f.family_id = t.family_id and f.ended_at is null",
    )
    .bind(token.as_slice())
    .bind(at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends families that are open, at most `limit` of them, and gives how many.
pub async fn end_some(pool: &PgPool, at: DateTime<Utc>, limit: i64) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query(
        "update refresh_families f set ended_at = $1
         from (select family_id from refresh_families where ended_at is null limit $2) open
         where f.family_id = open.family_id",
    )
    .bind(at)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(ended.rows_affected())
}
