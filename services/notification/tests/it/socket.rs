use std::time::Duration;

use chassis::clock::Clock;
use common::{
    events::{TotalsKind, TotalsUpdated},
    ids::CampaignId,
};
use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::helpers::{TestApp, usd};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The WebSocket URL of a channel.
pub fn url(app: &TestApp, channel: &str) -> String {
    format!(
        "{}/api/ws?channel={channel}",
        app.service.url.replacen("http", "ws", 1)
    )
}

pub async fn watch(app: &TestApp, campaign: CampaignId) -> Socket {
    connect_async(url(app, &format!("campaign:{campaign}")))
        .await
        .expect("the channel opens")
        .0
}

pub fn totals(campaign_id: CampaignId, version: i64) -> TotalsUpdated {
    TotalsUpdated {
        kind: TotalsKind::Updated,
        campaign_id,
        raised: usd(2500 * version),
        pledged: usd(0),
        authorized: usd(0),
        captured: usd(2500 * version),
        refunded: usd(0),
        disputed: Some(usd(0)),
        donors: version,
        goal: Some(usd(1_000_000)),
        as_of: Clock::system().now(),
        version,
    }
}

/// The next totals that a socket is sent, if they come soon.
async fn soon(socket: &mut Socket) -> Option<Value> {
    loop {
        let received = tokio::time::timeout(Duration::from_millis(200), socket.next())
            .await
            .ok()?;
        if let Message::Text(text) = received?.ok()? {
            return serde_json::from_str(&text).ok();
        }
    }
}

/// Publishes ever newer totals until one reaches the socket: the feed begins with what comes after its start.
async fn pushed(app: &TestApp, campaign: CampaignId, socket: &mut Socket) -> Value {
    let mut version = 0;
    testkit::eventually("totals are pushed", async || {
        version += 1;
        app.publish(&totals(campaign, version)).await;
        soon(socket).await
    })
    .await
}

#[tokio::test]
async fn new_totals_are_pushed_to_whoever_watches() {
    let app = TestApp::start().await;
    let campaign = CampaignId::new();
    let mut socket = watch(&app, campaign).await;
    let got = pushed(&app, campaign, &mut socket).await;
    assert_eq!(got["type"], "totals");
    assert_eq!(got["campaign_id"], campaign.to_string());
    let version = got["version"].as_i64().unwrap();
    assert_eq!(
        got["raised"],
        serde_json::json!({"amount": 2500 * version, "currency": "USD"})
    );
    assert_eq!(got["donors"], version);
}

#[tokio::test]
async fn a_new_watcher_gets_the_latest_totals_at_once() {
    let app = TestApp::start().await;
    let campaign = CampaignId::new();
    let mut first = watch(&app, campaign).await;
    let mut latest = pushed(&app, campaign, &mut first).await;
    app.publish(&totals(campaign, 1000)).await;
    while latest["version"] != 1000 {
        latest = testkit::eventually("further totals come", async || soon(&mut first).await).await;
    }
    let mut second = watch(&app, campaign).await;
    let got = testkit::eventually("the latest totals come", async || soon(&mut second).await).await;
    assert_eq!(got, latest);
}

#[tokio::test]
async fn watchers_of_two_campaigns_get_each_their_own() {
    let app = TestApp::start().await;
    let campaigns = [CampaignId::new(), CampaignId::new()];
    let mut sockets = [
        watch(&app, campaigns[0]).await,
        watch(&app, campaigns[1]).await,
    ];
    let mut version = 0;
    for (campaign, socket) in campaigns.iter().zip(&mut sockets) {
        let got = testkit::eventually("totals are pushed", async || {
            version += 1;
            for campaign in campaigns {
                app.publish(&totals(campaign, version)).await;
            }
            soon(socket).await
        })
        .await;
        assert_eq!(got["campaign_id"], campaign.to_string());
        while let Some(more) = soon(socket).await {
            assert_eq!(more["campaign_id"], campaign.to_string());
        }
    }
}

#[tokio::test]
async fn older_totals_never_replace_newer_ones() {
    let app = TestApp::start().await;
    let campaign = CampaignId::new();
    let mut socket = watch(&app, campaign).await;
    pushed(&app, campaign, &mut socket).await;
    for version in [1000, 1, 999, 1000, 1001] {
        app.publish(&totals(campaign, version)).await;
    }
    let mut seen = 0;
    while seen < 1001 {
        let got =
            testkit::eventually("further totals come", async || soon(&mut socket).await).await;
        let version = got["version"].as_i64().unwrap();
        assert!(version > seen, "{version} after {seen}");
        seen = version;
    }
}
