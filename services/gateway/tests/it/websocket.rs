//! WebSockets through the gateway.

use axum::{
    Router,
    extract::{
        WebSocketUpgrade,
        ws::{Message as Inner, WebSocket},
    },
    routing::{any, get},
};
use chassis::lifecycle::Lifecycle;
use common::{auth::Role, ids::UserId};
use futures::{SinkExt, StreamExt};
use gateway::{Config, routes::Service};
use http::HeaderMap;
use testkit::{eventually, problem_code};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::helpers::{Fleet, serve};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A feed that first tells which query and client it was opened with and then echoes.
async fn feed(configure: impl FnOnce(&mut Config)) -> (Fleet, Lifecycle) {
    let life = Lifecycle::new();
    let open = async |uri: http::Uri, headers: HeaderMap, upgrade: WebSocketUpgrade| {
        let greeting = format!("{uri} {}", headers["x-forwarded-for"].to_str().unwrap());
        upgrade.on_upgrade(async move |mut socket: WebSocket| {
            let _ = socket.send(Inner::Text(greeting.into())).await;
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let router = Router::new()
        .route("/readyz", get(async || "ready"))
        .route("/api/ws", any(open))
        .route("/api/notifications", any(open));
    let url = serve(router, &life).await;
    (
        Fleet::with(&[(Service::Notification, url)], configure).await,
        life,
    )
}

async fn connect(fleet: &Fleet, path: &str) -> Result<Socket, Box<Error>> {
    let url = format!("ws://{}{path}", fleet.address);
    connect_async(url)
        .await
        .map(|(socket, _)| socket)
        .map_err(Box::new)
}

fn status(outcome: Result<Socket, Box<Error>>) -> u16 {
    match outcome.map(drop).map_err(|error| *error) {
        Err(Error::Http(reply)) => reply.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_go_both_ways() {
    let (fleet, life) = feed(|_| {}).await;
    let mut socket = connect(&fleet, "/api/v1/ws?channel=campaign:1")
        .await
        .unwrap();
    let greeting = socket.next().await.unwrap().unwrap();
    assert_eq!(
        greeting.to_text().unwrap(),
        "/api/ws?channel=campaign:1 127.0.0.1"
    );
    for size in [1, 1000, 100_000] {
        let message = Message::Text("x".repeat(size).into());
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    life.stop();
}

#[tokio::test]
async fn only_the_feed_may_switch_protocols() {
    let (fleet, life) = feed(|_| {}).await;
    assert_eq!(
        status(connect(&fleet, "/api/notifications").await),
        400,
        "the upstream sees a plain request"
    );
    let reply = fleet.get("/api/ws").await;
    assert_eq!(
        reply.status(),
        400,
        "and a plain request to the feed is the upstream's to refuse"
    );
    let mut request = format!("ws://{}/api/ws", fleet.address)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("authorization", "Bearer no".parse().unwrap());
    assert_eq!(
        status(
            connect_async(request)
                .await
                .map(|(socket, _)| socket)
                .map_err(Box::new)
        ),
        401
    );
    let mut request = format!("ws://{}/api/ws", fleet.address)
        .into_client_request()
        .unwrap();
    let token = testkit::user_token(UserId::new(), Role::Donor);
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    assert!(connect_async(request).await.is_ok());
    life.stop();
}

#[tokio::test]
async fn sockets_are_counted_and_a_closed_one_makes_room() {
    let (fleet, life) = feed(|config| config.sockets_per_client = 2).await;
    let first = connect(&fleet, "/api/ws").await.unwrap();
    let second = connect(&fleet, "/api/ws").await.unwrap();
    assert_eq!(status(connect(&fleet, "/api/ws").await), 429);
    drop(first);
    let _third = eventually("there is room again", async || {
        connect(&fleet, "/api/ws").await.ok()
    })
    .await;
    drop(second);
    life.stop();

    let (fleet, life) = feed(|config| config.sockets = 1).await;
    let _first = connect(&fleet, "/api/ws").await.unwrap();
    assert_eq!(status(connect(&fleet, "/api/ws").await), 503);
    let request = fleet
        .request(http::Method::GET, "/api/ws")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    assert_eq!(
        problem_code(request.send().await.unwrap()).await,
        "too_many_sockets"
    );
    life.stop();
}

#[tokio::test]
async fn a_stopping_gateway_closes_its_sockets() {
    let (fleet, life) = feed(|_| {}).await;
    let mut socket = connect(&fleet, "/api/ws").await.unwrap();
    socket.next().await.unwrap().unwrap();
    fleet.gateway.life().stop();
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    fleet.gateway.life().finish().await;
    life.stop();
}

#[tokio::test]
async fn a_dead_feed_is_a_problem_like_any_other() {
    let (_port, url) = crate::helpers::closed_port();
    let fleet = Fleet::with(&[(Service::Notification, url)], |_| {}).await;
    assert_eq!(status(connect(&fleet, "/api/ws").await), 503);
}
