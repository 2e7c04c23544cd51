//! Many items, one commit, and one bad item that fails alone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::group_commit::{Batch, Error, Writer};
use futures::future::join_all;
use sqlx::PgConnection;

use crate::backends::{count, open};

struct Gifts {
    writes: Arc<AtomicUsize>,
}

impl Batch for Gifts {
    type Item = i64;
    type Outcome = i64;
    const TRANSACTION: bool = false;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[i64],
    ) -> Result<Vec<i64>, sqlx::Error> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        sqlx::query("insert into gifts select unnest($1::bigint[]) on conflict do nothing")
            .bind(items)
            .execute(connection)
            .await?;
        Ok(items.iter().map(|n| n * 10).collect())
    }
}

/// Two statements that must stand or fall together.
struct Pairs;

impl Batch for Pairs {
    type Item = i64;
    type Outcome = ();
    const TRANSACTION: bool = true;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[i64],
    ) -> Result<Vec<()>, sqlx::Error> {
        for item in items {
            for n in [1000 + item, *item] {
                sqlx::query("insert into gifts values ($1)")
                    .bind(n)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        Ok(items.iter().map(|_| ()).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_items_share_commits_and_each_gets_its_own_outcome() {
    let (database, db, life) = open().await;
    let writes = Arc::new(AtomicUsize::new(0));
    let writer = Writer::spawn(
        "gifts",
        Gifts {
            writes: writes.clone(),
        },
        &db,
        &life,
    );
    let outcomes = join_all((1..=1000).map(|n| writer.commit(n))).await;
    for (n, outcome) in (1..=1000).zip(outcomes) {
        assert_eq!(outcome.expect("it is written"), n * 10);
    }
    assert_eq!(count(&database, "select count(*) from gifts").await, 1000);
    assert!(
        writes.load(Ordering::SeqCst) < 500,
        "a thousand waiting items took {} writes",
        writes.load(Ordering::SeqCst)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_fails_alone() {
    let (database, db, life) = open().await;
    let writer = Writer::spawn(
        "gifts",
        Gifts {
            writes: Arc::default(),
        },
        &db,
        &life,
    );
    let outcomes = join_all((-5..=100).map(|n| writer.commit(n))).await;
    for (n, outcome) in (-5..=100).zip(outcomes) {
        assert_eq!(
            matches!(outcome, Err(Error::Row(_))),
            n <= 0,
            "{n}: {outcome:?}"
        );
    }
    assert_eq!(count(&database, "select count(*) from gifts").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_leaves_nothing_of_its_item() {
    let (database, db, life) = open().await;
    let writer = Writer::spawn("pairs", Pairs, &db, &life);
    let outcomes = join_all((0..=50).map(|n| writer.commit(n))).await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_err()).count(),
        1,
        "zero is not positive"
    );
    assert_eq!(count(&database, "select count(*) from gifts").await, 100);
    assert_eq!(
        count(&database, "select count(*) from gifts where n = 1000").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_replaced_within_the_same_request() {
    let (database, db, life) = open().await;
    let writer = Writer::spawn(
        "gifts",
        Gifts {
            writes: Arc::default(),
        },
        &db,
        &life,
    );
    writer.commit(1).await.expect("it is written");
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()")
        .bind(database.name())
        .execute(&database.pool())
        .await
        .expect("a superuser may end sessions");
    assert_eq!(
        writer
            .commit(2)
            .await
            .expect("it is written on a new connection"),
        20
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_process_holds_is_in_progress_and_its_neighbours_are_not() {
    let (database, db, life) = open().await;
    let writer = Writer::spawn(
        "gifts",
        Gifts {
            writes: Arc::default(),
        },
        &db,
        &life,
    );
    let mut other = db.begin().await.expect("a transaction");
    sqlx::query("insert into gifts values (7)")
        .execute(&mut *other)
        .await
        .expect("it is free");
    let outcomes = join_all((1..=10).map(|n| writer.commit(n))).await;
    for (n, outcome) in (1..=10).zip(outcomes) {
        assert_eq!(
            matches!(outcome, Err(Error::InProgress)),
            n == 7,
            "{n}: {outcome:?}"
        );
    }
    other.commit().await.expect("it commits");
    assert_eq!(writer.commit(7).await.expect("its twin has committed"), 70);
    assert_eq!(count(&database, "select count(*) from gifts").await, 10);
}

/// Takes longer for each batch than an item waits.
struct Slow;

impl Batch for Slow {
    type Item = i64;
    type Outcome = ();
    const TRANSACTION: bool = false;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[i64],
    ) -> Result<Vec<()>, sqlx::Error> {
        sqlx::query("insert into gifts select unnest($1::bigint[]) from pg_sleep(0.8)")
            .bind(items)
            .execute(connection)
            .await?;
        Ok(items.iter().map(|_| ()).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_too_long_is_refused_unwritten_and_what_is_acknowledged_is_there() {
    let (database, db, life) = open().await;
    let writer = Writer::spawn("slow", Slow, &db, &life);
    // Eight batches, of which no more than four begin in time.
    let outcomes = join_all((1..=1000).map(|n| writer.commit(n))).await;
    let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let busy = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Error::Busy)));
    assert_eq!(written + busy.count(), 1000, "{outcomes:?}");
    assert!((1..1000).contains(&written), "{written} were written");
    let rows = count(&database, "select count(*) from gifts").await;
    assert_eq!(rows, i64::try_from(written).expect("few"));
    // The next one finds nobody before it.
    writer.commit(2000).await.expect("it is written");
}
