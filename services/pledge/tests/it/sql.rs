//! Every SQL text fits the schema.

use std::path::Path;

use testkit::Database;

#[tokio::test]
async fn every_statement_prepares_in_the_migrated_schema() {
    let database = Database::create("pledge", &pledge::MIGRATOR).await;
    let count = testkit::sql::prepare_all(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &database,
    )
    .await;
    assert!(count >= 8, "only {count} statements were found");
}
