//! An event acts once for each consumer.

use common::inbox;
use uuid::Uuid;

use crate::backends::{count, open};

#[tokio::test]
async fn an_event_is_new_once_per_consumer_and_only_if_its_effect_commits() {
    let (database, db, _life) = open().await;
    let event = Uuid::now_v7();
    for (consumer, commit, first) in [
        ("a", false, true),
        ("a", true, true),
        ("a", true, false),
        ("b", true, true),
    ] {
        let mut tx = db.begin().await.expect("a transaction");
        assert_eq!(
            inbox::first_time(&mut tx, consumer, event)
                .await
                .expect("it is noted"),
            first
        );
        if commit {
            tx.commit().await.expect("it commits");
        }
    }
    assert_eq!(count(&database, "select count(*) from inbox").await, 2);
}

#[tokio::test]
async fn a_batch_gives_each_new_event_once() {
    let (_database, db, _life) = open().await;
    let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
    let mut tx = db.begin().await.expect("a transaction");
    inbox::first_time(&mut tx, "a", old)
        .await
        .expect("it is noted");
    let fresh = inbox::fresh(&mut tx, "a", &[new, old, new])
        .await
        .expect("they are noted");
    assert_eq!(fresh.into_iter().collect::<Vec<_>>(), [new]);
}
