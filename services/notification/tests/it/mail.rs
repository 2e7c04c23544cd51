use chrono::Duration;
use common::{
    events::{PaymentEvent, PaymentKind},
    money::{Currency, Money},
    payment::State,
};
use notification::FeedLimits;
use serde_json::Value;

use crate::helpers::{Gift, TestApp, replica, usd};

#[tokio::test]
async fn a_captured_gift_is_thanked_for_by_mail() {
    let app = TestApp::start().await;
    let gift = app.gift(usd(2500)).await;
    let mails = app.mailbox.wait_for(1).await;
    let mail = &mails[0];
    assert_eq!(
        (mail.to.as_str(), mail.name.as_str()),
        (gift.contact.email.as_str(), "Ada")
    );
    assert_eq!(
        mail.subject,
        "Thank you for your gift to Clean water for Koyra"
    );
    assert!(
        mail.text.contains("Dear Ada,") && mail.text.contains("25.00 USD"),
        "{}",
        mail.text
    );
    assert!(
        mail.raw
            .contains(&format!("Message-ID: <{}@careforall>", gift.payment_id)),
        "{}",
        mail.raw
    );
    let sent = app.delivery(&gift, |found| found["status"] == "SENT").await;
    assert_eq!(
        (sent["attempts"].as_i64(), sent["last_result"].as_str()),
        (Some(1), Some("accepted"))
    );
}

#[tokio::test]
async fn amounts_and_names_arrive_as_they_were_given() {
    let app = TestApp::start().await;
    let mut gift = Gift::new(Money::new(1500, Currency::JPY));
    gift.contact.name = "আনিকা \"Ana\", O'Neil".into();
    gift.campaign.title = "Ödön's \"well\": <1 & done>".into();
    app.publish(&gift.campaign).await;
    app.publish(&gift.contact).await;
    app.publish(&gift.captured()).await;
    let mail = app.mailbox.wait_for(1).await.remove(0);
    assert_eq!(mail.name, gift.contact.name);
    assert_eq!(
        mail.subject,
        format!("Thank you for your gift to {}", gift.campaign.title)
    );
    assert!(
        mail.text.contains("1500 JPY") && mail.text.contains(&gift.contact.name),
        "{}",
        mail.text
    );
}

#[tokio::test]
async fn a_payment_is_thanked_for_once_however_often_its_events_come() {
    let app = TestApp::start().await;
    let gift = app.gift(usd(2500)).await;
    app.publish(&gift.captured()).await;
    app.publish(&gift.at(PaymentKind::Completed, State::Completed, 2500))
        .await;
    app.publish(&gift.captured()).await;
    // Its events come after those, so once it is thanked for they have all been handled.
    let last = app.gift(usd(100)).await;
    app.delivery(&last, |found| found["status"] == "SENT").await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    let mut to: Vec<_> = app
        .mailbox
        .wait_for(2)
        .await
        .into_iter()
        .map(|mail| mail.to)
        .collect();
    to.sort();
    let mut expected = [gift.contact.email, last.contact.email];
    expected.sort();
    assert_eq!(to, expected);
}

#[tokio::test]
async fn a_capture_is_thanked_for_even_when_only_a_later_snapshot_came() {
    let app = TestApp::start().await;
    for (kind, state) in [
        (PaymentKind::Completed, State::Completed),
        (PaymentKind::LateCaptured, State::Captured),
    ] {
        let gift = Gift::new(usd(2500));
        app.publish(&gift.campaign).await;
        app.publish(&gift.contact).await;
        app.publish(&gift.at(kind, state, 2400)).await;
        app.delivery(&gift, |found| {
            found["status"] == "SENT" && found["amount"]["amount"] == 2400
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_is_thanked_for_money_that_was_not_taken_or_went_back() {
    let app = TestApp::start().await;
    let gift = Gift::new(usd(2500));
    app.publish(&gift.contact).await;
    app.publish(&gift.campaign).await;
    for (kind, state, captured, refunded) in [
        (PaymentKind::Created, State::Pending, 0, 0),
        (PaymentKind::AttemptFailed, State::Pending, 0, 0),
        (PaymentKind::Authorized, State::Authorized, 0, 0),
        (PaymentKind::Failed, State::Failed, 0, 0),
        (PaymentKind::Expired, State::Expired, 0, 0),
        (PaymentKind::Cancelled, State::Cancelled, 0, 0),
        (PaymentKind::Refunded, State::Refunded, 2500, 2500),
        (PaymentKind::LateCaptured, State::Captured, 2500, 2500),
    ] {
        app.publish(&PaymentEvent {
            refunded,
            ..gift.at(kind, state, captured)
        })
        .await;
    }
    let last = app.gift(usd(100)).await;
    app.delivery(&last, |found| found["status"] == "SENT").await;
    assert_eq!(
        app.deliveries("").await["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_mail_that_waited_until_its_money_went_back_is_sent_only_if_that_comes_again() {
    let app = TestApp::start().await;
    let gift = Gift::new(usd(2500));
    app.publish(&gift.campaign).await;
    app.publish(&gift.captured()).await;
    app.delivery(&gift, |found| found["status"] == "HELD").await;
    let after = |versions: i64, refunded: i64, disputed: i64| {
        let captured = gift.captured();
        PaymentEvent {
            version: captured.version + versions,
            refunded,
            disputed,
            ..captured
        }
    };
    app.publish(&after(1, 1500, 1000)).await;
    let withdrawn = |found: &Value| found["status"] == "WITHDRAWN";
    app.delivery(&gift, withdrawn).await;
    // What comes again calls for no other, and the contact that it waited for changes nothing.
    app.publish(&gift.captured()).await;
    app.publish(&gift.contact).await;
    let next = app.gift(usd(100)).await;
    app.delivery(&next, |found| found["status"] == "SENT").await;
    let found = app.delivery(&gift, withdrawn).await;
    assert_eq!(found["attempts"], 0);
    assert_eq!(app.mailbox.wait_for(1).await[0].to, next.contact.email);
    // The refund fails weeks later: it has arrived after all. That it once went back is heard again, and is old.
    app.publish(&after(2, 0, 1000)).await;
    app.publish(&after(1, 1500, 1000)).await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    assert_eq!(app.mailbox.wait_for(2).await[1].to, gift.contact.email);
}

#[tokio::test]
async fn a_mail_waits_for_its_contact() {
    let app = TestApp::start().await;
    let gift = Gift::new(usd(2500));
    app.publish(&gift.campaign).await;
    app.publish(&gift.captured()).await;
    let held = app.delivery(&gift, |found| found["status"] == "HELD").await;
    assert_eq!(held["attempts"], 0);
    // The worker has had its chance: another gift that became due later is thanked for.
    let other = app.gift(usd(100)).await;
    app.delivery(&other, |found| found["status"] == "SENT")
        .await;
    app.delivery(&gift, |found| {
        found["status"] == "HELD" && found["attempts"] == 0
    })
    .await;
    app.publish(&gift.contact).await;
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    assert_eq!(app.mailbox.wait_for(2).await[1].to, gift.contact.email);
}

#[tokio::test]
async fn a_mail_waits_a_minute_for_its_campaigns_title_and_then_goes_without() {
    let app = TestApp::start().await;
    let gift = Gift::new(usd(2500));
    app.publish(&gift.contact).await;
    app.publish(&gift.captured()).await;
    let other = app.gift(usd(100)).await;
    app.delivery(&other, |found| found["status"] == "SENT")
        .await;
    app.delivery(&gift, |found| {
        found["status"] == "QUEUED" && found["attempts"] == 0
    })
    .await;
    app.clock.advance(Duration::seconds(60));
    app.delivery(&gift, |found| found["status"] == "SENT").await;
    assert_eq!(
        app.mailbox.wait_for(2).await[1].subject,
        "Thank you for your gift to the campaign of your choice"
    );
}

#[tokio::test]
async fn replicas_share_the_mails_and_send_each_once() {
    let app = TestApp::start().await;
    let other = replica(
        &app.database,
        &app.kafka,
        &app.clock,
        &app.mailbox.url(),
        FeedLimits::default(),
    )
    .await;
    let first = app.gift(usd(100)).await;
    for _ in 1..60 {
        let mut gift = Gift::new(usd(100));
        gift.campaign = first.campaign.clone();
        gift.payment.campaign_id = first.campaign.campaign_id;
        app.publish(&gift.contact).await;
        app.publish(&gift.captured()).await;
    }
    app.mailbox.wait_for(60).await;
    testkit::eventually("every delivery is noted as sent", async || {
        let open: i64 =
            sqlx::query_scalar("select count(*) from deliveries where status <> 'SENT'")
                .fetch_one(&app.database.pool())
                .await
                .unwrap();
        (open == 0).then_some(())
    })
    .await;
    let mut to: Vec<_> = app
        .mailbox
        .mails()
        .into_iter()
        .map(|mail| mail.to)
        .collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), app.mailbox.mails().len()), (60, 60));
    other.stop().await;
}
