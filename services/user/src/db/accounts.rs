//! Accounts.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An account about to be opened.
pub struct NewAccount<'a> {
    /// Its id.
    pub user_id: Uuid,
    /// The id under which its name and address are told.
    pub contact_id: Uuid,
    /// The address as entered.
    pub email: &'a str,
    /// The normalised address.
    pub email_key: &'a str,
    /// The holder's name.
    pub name: &'a str,
    /// PHC string.
    pub password_hash: &'a str,
    /// DONOR or ADMIN.
    pub role: &'a str,
    /// When it is opened.
    pub at: DateTime<Utc>,
}

/// An account as login needs it.
#[derive(sqlx::FromRow)]
pub struct Credentials {
    /// PHC string.
    pub password_hash: String,
    /// The account itself.
    #[sqlx(flatten)]
    pub account: Account,
}

/// An account as its holder sees it.
#[derive(sqlx::FromRow)]
pub struct Account {
    /// Its id.
    pub user_id: Uuid,
    /// The address as entered.
    pub email: String,
    /// The holder's name.
    pub name: String,
    /// DONOR or ADMIN.
    pub role: String,
}

/// Opens an active account at version 1; false when the address has one already.
///
/// Of several at once for one address, one opens it and the others wait for its outcome.
pub async fn insert(
    connection: &mut PgConnection,
    account: &NewAccount<'_>,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "insert into accounts (user_id, contact_id, email, email_key, name, password_hash, role, status, version, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, 'ACTIVE', 1, $8)
         on conflict on constraint accounts_email_key_unique do nothing",
    )
    .bind(account.user_id)
    .bind(account.contact_id)
    .bind(account.email)
    .bind(account.email_key)
    .bind(account.name)
    .bind(account.password_hash)
    .bind(account.role)
    .bind(account.at)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The role of the account with this normalised address.
pub async fn role_of(pool: &PgPool, email_key: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("select role from accounts where email_key = $1")
        .bind(email_key)
        .fetch_optional(pool)
        .await
}

/// The active account with this normalised address.
pub async fn credentials(
    pool: &PgPool,
    email_key: &str,
) -> Result<Option<Credentials>, sqlx::Error> {
    sqlx::query_as(
        "select user_id, email, name, role, password_hash from accounts
         where email_key = $1 and status = 'ACTIVE'",
    )
    .bind(email_key)
    .fetch_optional(pool)
    .await
}

/// The active account with this id.
pub async fn active(pool: &PgPool, user_id: Uuid) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as(
        "select user_id, email, name, role from accounts where user_id = $1 and status = 'ACTIVE'",
    )
    .bind(user_id)
    .fetch_optional(pool)
    .await
}
