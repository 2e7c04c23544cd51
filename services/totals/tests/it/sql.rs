use std::path::Path;

use sqlx::Executor;
use testkit::{Database, sql};

#[tokio::test]
async fn every_statement_fits_the_schema_and_reads_no_whole_table() {
    let database = Database::create("totals", &totals::MIGRATOR).await;
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    assert!(sql::prepare_all(source, &database).await > 0);
}

#[tokio::test]
async fn gifts_to_a_campaign_that_is_to_be_announced_anyhow_write_into_no_index() {
    let database = Database::create("totals", &totals::MIGRATOR).await;
    let mut connection = database.pool().acquire().await.unwrap();
    // What a transaction has done, PostgreSQL tells the transaction at once.
    connection.execute("begin").await.unwrap();
    connection
        .execute(
            "insert into campaign_totals (campaign_id, currency, version, as_of)
             values (gen_random_uuid(), 'USD', 1, now())",
        )
        .await
        .unwrap();
    for _ in 0..10 {
        connection
            .execute("update campaign_totals set captured = captured + 100, version = version + 1")
            .await
            .unwrap();
    }
    let heap_only: i64 = sqlx::query_scalar(
        "select pg_stat_get_xact_tuples_hot_updated('campaign_totals'::regclass)",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    assert_eq!(heap_only, 10);
}
