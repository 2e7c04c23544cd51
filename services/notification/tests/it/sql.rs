use std::path::Path;

use testkit::{Database, sql};

#[tokio::test]
async fn every_statement_fits_the_schema_and_reads_no_whole_table() {
    let database = Database::create("notification", &notification::MIGRATOR).await;
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    assert!(sql::prepare_all(source, &database).await > 0);
}
