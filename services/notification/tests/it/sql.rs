use std::path::Path;

use testkit::{Database, sql};

#[tokio::test]
async fn every_query_fits_the_migrated_schema() {
    let database = Database::create("notification", &notification::MIGRATOR).await;
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    assert!(sql::prepare_all(source, &database).await > 0);
}
