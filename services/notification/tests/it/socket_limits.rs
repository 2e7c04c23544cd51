use std::time::Duration;

use common::ids::CampaignId;
use futures::StreamExt;
use notification::FeedLimits;
use testkit::problem_code;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, protocol::frame::coding::CloseCode},
};

use crate::{
    helpers::TestApp,
    mailbox::Mailbox,
    socket::{url, watch},
};

async fn with(feed: FeedLimits) -> TestApp {
    TestApp::with(Mailbox::down(), feed).await
}

#[tokio::test]
async fn a_channel_that_does_not_exist_is_refused_before_the_handshake() {
    let app = with(FeedLimits::default()).await;
    let id = CampaignId::new().to_string();
    for channel in [
        "",
        "campaign",
        "campaign:",
        "campaign:x",
        "user:me",
        &id,
        &format!("campaign:{}", id.replace('-', "")),
    ] {
        let reply = app
            .service
            .client
            .get(app.service.at(&format!("/api/ws?channel={channel}")))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (reply.status().as_u16(), problem_code(reply).await),
            (400, "invalid_channel".into()),
            "{channel}"
        );
        match connect_async(url(&app, channel)).await {
            Err(Error::Http(reply)) => assert_eq!(reply.status().as_u16(), 400),
            other => panic!("{channel}: {other:?}"),
        }
    }
    let reply = app
        .service
        .client
        .get(app.service.at("/api/ws"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (reply.status().as_u16(), problem_code(reply).await),
        (400, "invalid_query".into())
    );
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let app = with(FeedLimits::default()).await;
    let path = format!("/api/ws?channel=campaign:{}", CampaignId::new());
    let reply = app
        .service
        .client
        .get(app.service.at(&path))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["upgrade"], "websocket");
    assert_eq!(
        (reply.status().as_u16(), problem_code(reply).await),
        (426, "upgrade_required".into())
    );
}

#[tokio::test]
async fn there_are_only_so_many_sockets_and_a_seat_is_free_again_when_its_watcher_leaves() {
    let app = with(FeedLimits {
        sockets: 1,
        ..FeedLimits::default()
    })
    .await;
    let campaign = CampaignId::new();
    let first = watch(&app, campaign).await;
    match connect_async(url(&app, &format!("campaign:{campaign}"))).await {
        Err(Error::Http(reply)) => {
            assert_eq!(reply.status().as_u16(), 503);
            assert_eq!(reply.headers()["retry-after"], "5");
            assert!(
                String::from_utf8_lossy(reply.body().as_deref().unwrap_or_default())
                    .contains("too_many_sockets")
            );
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    testkit::eventually("the seat is free", async || {
        connect_async(url(&app, &format!("campaign:{campaign}")))
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn a_watcher_that_answers_pings_stays() {
    let ping = Duration::from_secs(1);
    let app = with(FeedLimits {
        ping,
        ..FeedLimits::default()
    })
    .await;
    let mut alive = watch(&app, CampaignId::new()).await;
    // Reading answers them, and a ping comes only to a watcher that has answered the one before.
    for _ in 0..3 {
        let next = tokio::time::timeout(Duration::from_secs(30), alive.next()).await;
        assert!(matches!(next, Ok(Some(Ok(Message::Ping(_))))), "{next:?}");
    }
}

#[tokio::test]
async fn a_watcher_that_does_not_answer_loses_its_seat() {
    let ping = Duration::from_millis(50);
    let app = with(FeedLimits { sockets: 1, ping }).await;
    let campaign = CampaignId::new();
    // Its connection stays open, and nobody reads from it.
    let silent = watch(&app, campaign).await;
    let seat = testkit::eventually("the seat is free", async || {
        connect_async(url(&app, &format!("campaign:{campaign}")))
            .await
            .ok()
    })
    .await;
    drop((silent, seat));
}

#[tokio::test]
async fn a_shutdown_sends_watchers_away_with_1001() {
    let app = with(FeedLimits::default()).await;
    let mut socket = watch(&app, CampaignId::new()).await;
    app.service.stop().await;
    let closed = tokio::time::timeout(Duration::from_secs(30), socket.next()).await;
    let Ok(Some(Ok(Message::Close(Some(frame))))) = closed else {
        panic!("{closed:?}")
    };
    assert_eq!(frame.code, CloseCode::Away);
}
