use chrono::Duration;
use notification::FeedLimits;

use crate::{
    helpers::{TestApp, usd},
    mailbox::{Mailbox, Refusing},
};

#[tokio::test]
async fn a_mail_outlives_a_mail_server_that_is_down() {
    let app = TestApp::with(Mailbox::down(), FeedLimits::default()).await;
    let gift = app.gift(usd(2500)).await;
    for attempt in 1..=3 {
        let tried = app
            .delivery(&gift, |found| {
                found["attempts"] == attempt && found["last_result"] == "connection failed"
            })
            .await;
        assert_eq!(tried["status"], "QUEUED");
        app.clock.advance(notification::backoff(attempt));
    }
    app.delivery(&gift, |found| found["attempts"] == 4).await;
    app.mailbox.start().await;
    app.clock.advance(Duration::hours(1));
    let sent = app.delivery(&gift, |found| found["status"] == "SENT").await;
    assert!(sent["next_attempt_at"].is_null());
    assert_eq!(app.mailbox.wait_for(1).await.len(), 1);
}

#[tokio::test]
async fn a_refusal_for_good_is_kept_visible_and_not_repeated() {
    let server = Refusing::with(550).await;
    let app = TestApp::at(Mailbox::down(), &server.url(), FeedLimits::default()).await;
    let gift = app.gift(usd(2500)).await;
    let failed = app
        .delivery(&gift, |found| found["status"] == "FAILED")
        .await;
    assert_eq!(failed["attempts"], 1);
    assert_eq!(
        failed["last_result"], "smtp 550",
        "the server's words hold the address"
    );
    assert!(failed["next_attempt_at"].is_null() && failed["sent_at"].is_null());
    let page = app.deliveries("?status=FAILED").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_for_now_or_of_ourselves_is_tried_again() {
    for code in [451, 530] {
        let server = Refusing::with(code).await;
        let app = TestApp::at(Mailbox::down(), &server.url(), FeedLimits::default()).await;
        let gift = app.gift(usd(2500)).await;
        let said = format!("smtp {code}");
        app.delivery(&gift, |found| {
            found["status"] == "QUEUED" && found["last_result"] == said
        })
        .await;
        app.clock.advance(Duration::seconds(1));
        app.delivery(&gift, |found| {
            found["attempts"] == 2 && found["last_result"] == said
        })
        .await;
    }
}

#[tokio::test]
async fn a_mail_whose_sender_died_is_sent_by_the_next_when_its_lease_ends() {
    let app = TestApp::with(Mailbox::down(), FeedLimits::default()).await;
    let gift = app.gift(usd(2500)).await;
    app.delivery(&gift, |found| {
        found["attempts"] == 1 && found["last_result"] == "connection failed"
    })
    .await;
    // What a process leaves behind that was killed while it sent.
    sqlx::query("update deliveries set attempts = 2, last_result = null, next_attempt_at = $1")
        .bind(app.clock.now() + Duration::seconds(20))
        .execute(&app.database.pool())
        .await
        .unwrap();
    app.mailbox.start().await;
    let other = app.gift(usd(100)).await;
    app.delivery(&other, |found| found["status"] == "SENT")
        .await;
    app.delivery(&gift, |found| {
        found["status"] == "QUEUED" && found["attempts"] == 2
    })
    .await;
    app.clock.advance(Duration::seconds(20));
    app.delivery(&gift, |found| {
        found["status"] == "SENT" && found["attempts"] == 3
    })
    .await;
}

#[tokio::test]
async fn a_contact_that_could_write_headers_reaches_no_mail() {
    let app = TestApp::start().await;
    let gift = app.gift(usd(2500)).await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    // Past every other check, as only a mistake of our own could bring it there.
    for (name, email, why) in [
        (
            "Ada\r\nBcc: eve@example.org",
            "ada@example.org",
            "name refused",
        ),
        (
            "Ada",
            "ada@example.org\r\nBcc: eve@example.org",
            "address refused",
        ),
        ("Ada", "ada@example.org, eve@example.org", "address refused"),
        ("Ada", "", "address refused"),
    ] {
        let pool = app.database.pool();
        sqlx::query("update contacts set name = $1, email = $2")
            .bind(name)
            .bind(email)
            .execute(&pool)
            .await
            .unwrap();
        sqlx::query(
            "update deliveries set status = 'QUEUED', sent_at = null, next_attempt_at = created_at",
        )
        .execute(&pool)
        .await
        .unwrap();
        let failed = app
            .delivery(&gift, |found| found["status"] == "FAILED")
            .await;
        assert_eq!(failed["last_result"], why);
    }
    assert_eq!(app.mailbox.mails().len(), 1);
}
