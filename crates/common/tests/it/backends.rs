//! What the tests with I/O stand on.

use chassis::{db::Db, lifecycle::Lifecycle};
use sqlx::migrate::Migrator;
use testkit::Database;

/// The shared tables are the same in every schema; this one has all of them.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/pledge");

/// A database with the shared tables and `gifts`.
pub async fn open() -> (Database, Db, Lifecycle) {
    let database = Database::create("common", &MIGRATOR).await;
    let life = Lifecycle::new();
    let db = Db::connect(&database.config(), &MIGRATOR, &life)
        .await
        .expect("the database is there");
    let gifts = "create table gifts (n bigint not null, constraint gifts_pkey primary key (n), constraint gifts_positive check (n > 0))";
    sqlx::query(gifts)
        .execute(db.pool())
        .await
        .expect("a table can be made");
    (database, db, life)
}

/// How many rows the query counts.
pub async fn count(database: &Database, what: &'static str) -> i64 {
    sqlx::query_scalar(what)
        .fetch_one(&database.pool())
        .await
        .expect("rows can be counted")
}
