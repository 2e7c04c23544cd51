use common::events::{ContactState, Event, topics};

use crate::helpers::{Gift, TestApp, usd};

async fn contacts(app: &TestApp) -> Vec<(String, i64)> {
    sqlx::query_as("select name, version from contacts order by updated_at")
        .fetch_all(&app.database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_newest_contact_counts_in_whatever_order_they_come() {
    let app = TestApp::start().await;
    let mut gift = Gift::new(usd(2500));
    app.publish(&gift.campaign).await;
    for (name, version) in [("second", 2), ("first", 1), ("third", 3), ("second", 2)] {
        gift.contact = ContactState {
            name: name.into(),
            version,
            ..gift.contact
        };
        app.publish(&gift.contact).await;
    }
    app.publish(&gift.captured()).await;
    assert_eq!(app.mailbox.wait_for(1).await[0].name, "third");
    assert_eq!(contacts(&app).await, [("third".to_owned(), 3)]);
}

#[tokio::test]
async fn a_deleted_contact_is_forgotten() {
    let app = TestApp::start().await;
    let gift = app.gift(usd(2500)).await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    let key = gift.contact.contact_id.to_string();
    app.send(topics::CONTACT.name, key, vec![], vec![]).await;
    testkit::eventually("the contact is gone", async || {
        contacts(&app).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_contact_with_line_breaks_is_set_aside_and_the_others_go_on() {
    let app = TestApp::start().await;
    let mut bad = Gift::new(usd(2500));
    bad.contact.name = "Ada\r\nBcc: eve@example.org".into();
    app.publish(&bad.campaign).await;
    app.publish(&bad.contact).await;
    app.publish(&bad.captured()).await;
    let good = app.gift(usd(100)).await;
    app.delivery(&good, |found| found["status"] == "SENT").await;
    app.delivery(&bad, |found| found["status"] == "HELD").await;
    assert_eq!(contacts(&app).await.len(), 1);
    assert_eq!(app.mailbox.mails().len(), 1);
}

#[tokio::test]
async fn a_delivery_keeps_the_trace_of_the_event_that_called_for_it() {
    let app = TestApp::start().await;
    let gift = Gift::new(usd(2500));
    let event = gift.captured();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = vec![("traceparent".to_owned(), traceparent.to_owned())];
    let payload = serde_json::to_vec(&event).unwrap();
    app.send(topics::PAYMENT.name, event.key(), payload, headers)
        .await;
    app.delivery(&gift, |found| found["status"] == "HELD").await;
    let stored: String = sqlx::query_scalar("select traceparent from deliveries")
        .fetch_one(&app.database.pool())
        .await
        .unwrap();
    assert_eq!(stored, traceparent);
}

#[tokio::test]
async fn names_and_addresses_lie_in_one_table_alone() {
    let app = TestApp::start().await;
    let gift = app.gift(usd(2500)).await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    let rows: Vec<String> = sqlx::query_scalar(
        "select d::text from deliveries d union all select c::text from campaigns c",
    )
    .fetch_all(&app.database.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| !row.contains("example.org") && !row.contains("Ada")),
        "{rows:?}"
    );
}
