//! Bodies pass while they are being made, in both directions.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{get, post},
};
use bytes::Bytes;
use chassis::lifecycle::Lifecycle;
use futures::{StreamExt, TryStreamExt};
use gateway::routes::Service;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::helpers::{Fleet, serve};

fn stream(
    receiver: mpsc::Receiver<&'static str>,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::unfold(receiver, |mut receiver| async {
        Some((Ok(Bytes::from(receiver.recv().await?)), receiver))
    })
}

#[tokio::test]
async fn a_reply_arrives_piece_by_piece() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let life = Lifecycle::new();
    let router = Router::new().route(
        "/api/totals/stream",
        get(async move || Body::from_stream(stream(receiver.lock().unwrap().take().unwrap()))),
    );
    let url = serve(router, &life).await;
    let fleet = Fleet::with(&[(Service::Totals, url)], |_| {}).await;

    let mut reply = fleet.get("/api/totals/stream").await;
    // Each piece is made only after the one before has come out at the other end.
    for piece in ["one", "two", "three"] {
        sender.send(piece).await.unwrap();
        assert_eq!(reply.chunk().await.unwrap().unwrap(), piece);
    }
    drop(sender);
    assert_eq!(reply.chunk().await.unwrap(), None);
    life.stop();
}

#[tokio::test]
async fn a_request_arrives_piece_by_piece() {
    let (sender, receiver) = mpsc::channel(1);
    let (noticed, mut notices) = mpsc::unbounded_channel();
    let life = Lifecycle::new();
    let upload = async move |request: Request| {
        let mut body = request.into_body().into_data_stream();
        while let Some(piece) = body.next().await {
            noticed.send(piece.unwrap()).unwrap();
        }
        "taken"
    };
    let url = serve(Router::new().route("/api/payments", post(upload)), &life).await;
    let fleet = Fleet::with(&[(Service::Payment, url)], |_| {}).await;

    let request = fleet
        .request(Method::POST, "/api/payments")
        .body(reqwest::Body::wrap(StreamBody::new(
            stream(receiver).map_ok(Frame::data),
        )));
    let reply = life.track(request.send());
    for piece in ["one", "two", "three"] {
        sender.send(piece).await.unwrap();
        assert_eq!(notices.recv().await.unwrap(), piece);
    }
    drop(sender);
    assert_eq!(reply.await.unwrap().unwrap().text().await.unwrap(), "taken");
    life.stop();
}
