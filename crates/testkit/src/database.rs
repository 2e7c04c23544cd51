//! A database per test, copied from a template that holds a service's migrated schema.

#![expect(
    clippy::disallowed_types,
    reason = "names of databases cannot be bound as parameters, and these are made here"
)]

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::mpsc,
    time::Duration,
};

use chassis::db;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{Backends, deadline};

/// Key of the advisory lock under which templates are made.
const TEMPLATES: i64 = 0x7465_7374;

/// How long a test waits for its database to be dropped. The server has every backend agree to it, and one that waits
/// for its client to say who it is does not for a minute: that client may be in the very runtime that waits here.
const DROP: Duration = Duration::from_secs(5);

/// A database of its own, dropped with this value.
pub struct Database {
    name: String,
    schema: String,
    server: PgConnectOptions,
    url: String,
}

impl Database {
    /// Copies the template of `schema`, which is made from `migrations` by whoever needs it first.
    pub async fn create(schema: &str, migrations: &Migrator) -> Self {
        deadline::arm();
        let url = Backends::from_env().database_url;
        let server = PgConnectOptions::from_str(&url).expect("DATABASE_URL is a PostgreSQL URL");
        let mut admin = PgConnection::connect_with(&server)
            .await
            .expect("PostgreSQL answers");
        let template = template(&mut admin, &server, schema, migrations).await;
        let name = format!("test_{}", Uuid::new_v4().simple());
        run(
            &mut admin,
            format!("create database {name} template {template}"),
        )
        .await;
        Self {
            name,
            schema: schema.to_owned(),
            server,
            url,
        }
    }

    /// The configuration that a service under test takes.
    pub fn config(&self) -> db::Config {
        let (head, _) = self
            .url
            .rsplit_once('/')
            .expect("DATABASE_URL names a database");
        db::Config {
            url: format!("{head}/{}", self.name).into(),
            schema: self.schema.clone(),
            pool: 5,
        }
    }

    /// A pool beside the service's own, to look at and to disturb its tables.
    pub fn pool(&self) -> PgPool {
        let options = self
            .server
            .clone()
            .database(&self.name)
            .options([("search_path", self.schema.as_str())]);
        PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy_with(options)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let (done, dropped) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                // A test may have stopped the server; then the database goes with the server's directory.
                if let Ok(mut admin) = PgConnection::connect_with(&server).await {
                    let _ = admin
                        .execute(AssertSqlSafe(format!(
                            "drop database if exists {name} with (force)"
                        )))
                        .await;
                }
            });
            let _ = done.send(());
        });
        let _ = dropped.recv_timeout(DROP);
    }
}

/// The name of the template for these migrations; its name carries their checksums, so that a changed migration
/// makes a new one.
async fn template(
    admin: &mut PgConnection,
    server: &PgConnectOptions,
    schema: &str,
    migrations: &Migrator,
) -> String {
    let mut hasher = DefaultHasher::new();
    for migration in migrations.iter() {
        migration.checksum.hash(&mut hasher);
    }
    let name = format!("template_{schema}_{:016x}", hasher.finish());
    sqlx::query("select pg_advisory_lock($1)")
        .bind(TEMPLATES)
        .execute(&mut *admin)
        .await
        .expect("the lock is free in the end");
    let known: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut *admin)
            .await
            .expect("the catalogue can be read");
    if !known {
        // Migrated under another name, and renamed when whole: a test that was killed here leaves no half template.
        let draft = format!("draft_{}", Uuid::new_v4().simple());
        run(admin, format!("create database {draft}")).await;
        let options = server
            .clone()
            .database(&draft)
            .options([("search_path", schema)]);
        let mut connection = PgConnection::connect_with(&options)
            .await
            .expect("the new database answers");
        run(&mut connection, format!("create schema {schema}")).await;
        migrations
            .run_direct(None, &mut connection, false)
            .await
            .expect("the migrations apply");
        connection.close().await.expect("the connection closes");
        run(admin, format!("alter database {draft} rename to {name}")).await;
    }
    sqlx::query("select pg_advisory_unlock($1)")
        .bind(TEMPLATES)
        .execute(&mut *admin)
        .await
        .expect("the lock is ours");
    name
}

async fn run(connection: &mut PgConnection, sql: String) {
    connection
        .execute(AssertSqlSafe(sql.clone()))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
