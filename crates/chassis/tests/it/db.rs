//! Transactions that nobody leaves open, and a database that goes away.

use std::{
    future::Future,
    iter::repeat,
    net::Ipv4Addr,
    task::{Context, Waker},
};

use chassis::{
    db::{self, Db},
    lifecycle::Lifecycle,
};
use secrecy::ExposeSecret;
use sqlx::migrate::Migrator;
use testkit::Database;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

static MIGRATOR: Migrator = sqlx::migrate!("./tests/migrations");

async fn open(database: &Database, pool: u32) -> Db {
    let config = db::Config {
        pool,
        ..database.config()
    };
    Db::connect(&config, &MIGRATOR, &Lifecycle::new())
        .await
        .expect("the database is there")
}

#[tokio::test]
async fn a_transaction_that_idles_for_five_seconds_is_ended_by_the_server_and_pins_nothing() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let db = open(&database, 2).await;
    let mut forgotten = db.begin().await.expect("a transaction");
    let pid: i32 =
        sqlx::query_scalar("select pg_backend_pid() from (select txid_current()) as pinned")
            .fetch_one(&mut *forgotten)
            .await
            .expect("it pins what it sees");
    testkit::eventually("the server has ended it", async || {
        let open = sqlx::query_scalar("select count(*) from pg_stat_activity where pid = $1");
        let open: i64 = open
            .bind(pid)
            .fetch_one(db.pool())
            .await
            .expect("an answer");
        (open == 0).then_some(())
    })
    .await;
    let late = sqlx::query("insert into rows values (1)")
        .execute(&mut *forgotten)
        .await;
    assert!(late.is_err_and(|error| db::is_unavailable(&error)));
    let rows: i64 = sqlx::query_scalar("select count(*) from rows")
        .fetch_one(db.pool())
        .await
        .expect("the pool goes on");
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_dropped_begins_lose_no_row_and_leave_the_pool_healthy() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let db = open(&database, 2).await;
    for n in 0..10_000_i64 {
        let mut dropped = Box::pin(db.begin());
        // Dropped after no, one or two polls, at whatever the connection was doing then.
        for _ in 0..n % 3 {
            let polled = dropped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            // A transaction that was opened that fast is dropped as well, and must be rolled back.
            if polled.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        if n % 10 == 0 {
            sqlx::query("insert into rows values ($1)")
                .bind(n)
                .execute(db.pool())
                .await
                .expect("the pool serves");
        }
    }
    // Seen from another session: a row inside a leaked transaction would not be.
    let seen: i64 = sqlx::query_scalar("select count(*) from rows")
        .fetch_one(&database.pool())
        .await
        .expect("rows can be counted");
    assert_eq!(seen, 1000);
    let mut tx = db.begin().await.expect("a transaction can be opened");
    sqlx::query("insert into rows values (-1)")
        .execute(&mut *tx)
        .await
        .expect("it writes");
    tx.commit().await.expect("it commits");
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_a_committed_one_wakes_the_relay() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let db = open(&database, 1).await;
    let mut tx = db.begin().await.expect("a transaction can be opened");
    sqlx::query("insert into rows values (1)")
        .execute(&mut *tx)
        .await
        .expect("it writes");
    drop(tx);
    let mut tx = db.begin().await.expect("the connection came back");
    let rows: i64 = sqlx::query_scalar("select count(*) from rows")
        .fetch_one(&mut *tx)
        .await
        .expect("it reads");
    assert_eq!(rows, 0);
    sqlx::query("insert into rows values (2)")
        .execute(&mut *tx)
        .await
        .expect("it writes");
    tx.commit().await.expect("it commits");
    db.committed().await;
}

#[tokio::test]
async fn a_connection_that_comes_back_inside_a_transaction_is_closed() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let db = open(&database, 1).await;
    let mut connection = db.pool().acquire().await.expect("a connection is free");
    let leaky: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *connection)
        .await
        .expect("it reads");
    sqlx::raw_sql("begin")
        .execute(&mut *connection)
        .await
        .expect("it begins behind everybody's back");
    drop(connection);
    let next: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(db.pool())
        .await
        .expect("the pool serves");
    assert_ne!(leaky, next);
}

#[tokio::test]
async fn an_error_tells_whether_the_database_is_away_and_which_constraint_was_violated() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let db = open(&database, 1).await;
    let insert = || sqlx::query("insert into rows values (1)").execute(db.pool());
    insert().await.expect("the first fits");
    let twice = insert().await.expect_err("the second does not");
    assert_eq!(db::violated(&twice), Some("rows_pkey"));
    assert!(!db::is_unavailable(&twice));
    let ended = sqlx::query("select pg_terminate_backend(pg_backend_pid())")
        .execute(db.pool())
        .await;
    assert!(db::is_unavailable(
        &ended.expect_err("the session ended itself")
    ));
    assert!(db.ready().await, "the pool replaces what broke");
}

#[tokio::test]
async fn a_start_whose_connection_breaks_during_the_migration_goes_on() {
    let database = Database::create("chassis", &MIGRATOR).await;
    let config = database.config();
    let url: reqwest::Url = config.url.expose_secret().parse().expect("a URL");
    let server = (Ipv4Addr::LOCALHOST, url.port().unwrap_or(5432));
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let gate = gate.expect("a port is free");
    let mut through = url.clone();
    let port = gate.local_addr().expect("it is bound").port();
    through.set_port(Some(port)).expect("a URL with a host");
    // The first answers break off ever later: while it logs in, asks what is migrated, and locks.
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        for bytes in [1, 300, 450, 550, 650].into_iter().chain(repeat(u64::MAX)) {
            let (client, _) = gate.accept().await.expect("somebody connects");
            let server = TcpStream::connect(server)
                .await
                .expect("PostgreSQL is there");
            connections.spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                let mut answers = from_server.take(bytes);
                // Whichever side ends first ends the other.
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = tokio::io::copy(&mut answers, &mut to_client) => {}
                }
            });
        }
    });
    let config = db::Config {
        url: through.to_string().into(),
        ..config
    };
    let db = Db::connect(&config, &MIGRATOR, &Lifecycle::new()).await;
    assert!(db.expect("it starts at last").ready().await);
}
