//! Every SQL text fits the schema.

use std::path::Path;

use testkit::Database;

#[tokio::test]
async fn every_statement_fits_the_schema_and_reads_no_whole_table() {
    let database = Database::create("pledge", &pledge::MIGRATOR).await;
    let count = testkit::sql::prepare_all(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &database,
    )
    .await;
    assert!(count >= 8, "only {count} statements were found");
}
