//! Upstreams that are slow, gone, or break off.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::Request, routing::get};
use chassis::lifecycle::Lifecycle;
use gateway::routes::Service;
use http::{Method, StatusCode};
use testkit::{eventually, problem_code};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

use crate::helpers::{Fleet, closed_port, echo, json_of, serve, serve_on};

#[tokio::test]
async fn a_slow_upstream_is_given_up_after_the_timeout() {
    let life = Lifecycle::new();
    let slow = Router::new()
        .route("/readyz", get(async || "ready"))
        .fallback(async || std::future::pending::<&str>().await);
    let url = serve(slow, &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |config| {
        config.timeout = Duration::from_millis(500);
    })
    .await;
    for _ in 0..5 {
        let reply = fleet.get("/api/pledges/me").await;
        assert_eq!(reply.status(), 504);
        assert_eq!(problem_code(reply).await, "upstream_timeout");
    }
    // Five timeouts in a row: nobody waits a sixth time, and the health check does not talk us into it.
    let reply = fleet.get("/api/pledges/me").await;
    assert_eq!(reply.status(), 503);
    assert_eq!(problem_code(reply).await, "upstream_unavailable");
    assert_eq!(
        fleet.get("/api/campaigns").await.status(),
        200,
        "the others are not touched"
    );
    life.stop();
}

#[tokio::test]
async fn a_dead_upstream_is_reported_at_once_and_found_again_when_it_is_back() {
    let (port, url) = closed_port();
    let fleet = Fleet::with(&[(Service::Pledge, url)], |_| {}).await;
    let started = Instant::now();
    for _ in 0..20 {
        let reply = fleet
            .request(Method::POST, "/api/pledges")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.headers()["retry-after"], "1");
        assert_eq!(problem_code(reply).await, "upstream_unavailable");
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );

    let (life, seen) = (Lifecycle::new(), Arc::default());
    serve_on(port.listen(16).unwrap(), echo("pledge", &seen), &life);
    eventually("the upstream is used again", async || {
        (fleet.get("/api/pledges/me").await.status() == 200).then_some(())
    })
    .await;
    life.stop();
}

#[tokio::test]
async fn another_upstream_takes_over_and_no_request_is_lost() {
    let (life, seen) = (Lifecycle::new(), Arc::<Mutex<Vec<_>>>::default());
    let (port, dead) = closed_port();
    let alive = serve(echo("first", &seen), &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, format!("{dead}, {alive}"))], |_| {}).await;
    for round in 0..20 {
        // Without a key: a request that never left may go elsewhere whatever it does.
        let body = format!("body {round}");
        let reply = fleet
            .request(Method::POST, "/api/pledges")
            .body(body.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200, "{round}");
        assert_eq!(seen.lock().unwrap().last().unwrap().body, body);
    }

    serve_on(port.listen(16).unwrap(), echo("second", &seen), &life);
    eventually("both take turns", async || {
        let turns = [
            json_of(fleet.get("/api/pledges/me").await).await,
            json_of(fleet.get("/api/pledges/me").await).await,
        ];
        (turns[0]["by"] != turns[1]["by"]).then_some(())
    })
    .await;
    life.stop();
}

#[tokio::test]
async fn an_upstream_that_is_not_ready_is_spared_but_still_asked_where_it_is_the_only_one() {
    let (life, seen) = (Lifecycle::new(), Arc::<Mutex<Vec<_>>>::default());
    let tired = || {
        Router::new()
            .route("/readyz", get(async || StatusCode::SERVICE_UNAVAILABLE))
            .fallback(async || (StatusCode::SERVICE_UNAVAILABLE, "its own words"))
    };
    let ready = serve(echo("ready", &seen), &life).await;
    let both = format!("{},{ready}", serve(tired(), &life).await);
    let alone = serve(tired(), &life).await;
    let fleet = Fleet::with(
        &[(Service::Pledge, both), (Service::Campaign, alone)],
        |_| {},
    )
    .await;
    eventually("the tired one gets nothing more", async || {
        for _ in 0..6 {
            if fleet.get("/api/pledges/me").await.status() != 200 {
                return None;
            }
        }
        Some(())
    })
    .await;
    // Its 503s do not count as failures: the sixth is its own as well.
    for _ in 0..12 {
        let reply = fleet.get("/api/campaigns").await;
        assert_eq!(
            (reply.status(), reply.text().await.unwrap().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "its own words")
        );
    }
    life.stop();
}

#[tokio::test]
async fn an_upstream_gets_no_more_than_it_can_take_at_once() {
    let (life, (entered, mut entries)) = (Lifecycle::new(), mpsc::unbounded_channel());
    let release = Arc::new(Notify::new());
    let gate = release.clone();
    let busy = Router::new()
        .route("/readyz", get(async || "ready"))
        .fallback(async move || {
            entered.send(()).unwrap();
            gate.notified().await;
            "done"
        });
    let url = serve(busy, &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |config| config.in_flight = 1).await;
    let first = life.track(fleet.request(Method::GET, "/api/pledges/me").send());
    entries.recv().await.unwrap();
    let second = fleet.get("/api/pledges/me").await;
    assert_eq!(
        (second.status(), &second.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    assert_eq!(problem_code(second).await, "upstream_overloaded");
    // One that comes while the upstream is about to be free waits for it.
    let third = life.track(fleet.request(Method::GET, "/api/pledges/me").send());
    release.notify_one();
    assert_eq!(first.await.unwrap().unwrap().text().await.unwrap(), "done");
    entries.recv().await.unwrap();
    release.notify_one();
    assert_eq!(third.await.unwrap().unwrap().text().await.unwrap(), "done");
    life.stop();
}

/// A server that reads a request to its end and hangs up, `failures` times, and then answers with the request's body.
/// It counts the requests.
async fn breaking_off(failures: usize, life: &Lifecycle) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (counter, serving) = (asked.clone(), life.clone());
    life.spawn("server that breaks off", async move {
        loop {
            let mut stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                () = serving.stopping() => return Ok(()),
            };
            let asked = counter.clone();
            let answer = async move { break_off(&mut stream, failures, &asked).await };
            let _answering = serving.track(answer);
        }
    });
    (url, asked)
}

/// A server that dies of the first request.
async fn dying(life: &Lifecycle) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    life.spawn("server that dies", async move {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut last = None;
        while asked.load(SeqCst) == 0 {
            let mut stream = listener.accept().await?.0;
            break_off(&mut stream, 1, &asked).await;
            last = Some(stream);
        }
        // The port is closed before the client learns that the connection is.
        drop(listener);
        drop(last);
        Ok(())
    });
    url
}

#[tokio::test]
async fn a_request_that_may_have_done_its_work_is_not_called_undone() {
    let life = Lifecycle::new();
    let url = dying(&life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |_| {}).await;
    let request = fleet
        .request(Method::POST, "/api/pledges")
        .header("idempotency-key", "k");
    let reply = request.body("{}").send().await.unwrap();
    assert_eq!(
        reply.status(),
        502,
        "the retry found nobody, and the first one read all of it"
    );
    assert_eq!(problem_code(reply).await, "upstream_closed");
}

async fn break_off(stream: &mut TcpStream, failures: usize, asked: &AtomicUsize) {
    let mut request = String::new();
    let is_whole = |request: &str| {
        request.ends_with("{}") || request.starts_with("GET") && request.ends_with("\r\n\r\n")
    };
    while !is_whole(&request) {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request += std::str::from_utf8(&bytes[..count]).unwrap(),
        }
    }
    if request.starts_with("GET /readyz") || asked.fetch_add(1, SeqCst) >= failures {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn what_can_be_done_twice_is_asked_once_more_when_an_upstream_breaks_off() {
    let life = Lifecycle::new();
    let (url, asked) = breaking_off(1, &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |_| {}).await;
    let reply = fleet
        .request(Method::POST, "/api/pledges")
        .header("idempotency-key", "k")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(
        reply.text().await.unwrap(),
        "{}",
        "the body was sent again, whole"
    );
    assert_eq!(asked.load(SeqCst), 2);
    life.stop();
}

/// A process that ends closes all its kept connections, so whoever asks it again may be broken off again.
#[tokio::test]
async fn another_process_is_asked_before_the_one_that_broke_off() {
    let life = Lifecycle::new();
    let (ending, first) = breaking_off(usize::MAX, &life).await;
    let (sound, second) = breaking_off(0, &life).await;
    let both = format!("{ending},{sound}");
    let fleet = Fleet::with(&[(Service::Pledge, both)], |_| {}).await;
    // At once, so that it is not simply the other one's turn.
    let asked = (0..64).map(|n| {
        let request = fleet.request(Method::POST, "/api/pledges");
        let request = request.header("idempotency-key", format!("k{n}"));
        request.body("{}").send()
    });
    for reply in futures::future::join_all(asked).await {
        assert_eq!(reply.unwrap().status(), 200);
    }
    assert_eq!(second.load(SeqCst), 64);
    assert!(first.load(SeqCst) > 0, "it was asked first by some");
    life.stop();
}

#[tokio::test]
async fn reads_are_asked_once_more_but_not_for_ever() {
    let life = Lifecycle::new();
    let (url, asked) = breaking_off(3, &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |_| {}).await;
    let reply = fleet.get("/api/pledges/me").await;
    assert_eq!(reply.status(), 502);
    assert_eq!(problem_code(reply).await, "upstream_closed");
    assert_eq!(asked.load(SeqCst), 2);
    assert_eq!(fleet.get("/api/pledges/me").await.status(), 200);
    life.stop();
}

#[tokio::test]
async fn what_cannot_be_done_twice_is_sent_once() {
    let life = Lifecycle::new();
    let (url, asked) = breaking_off(1, &life).await;
    let fleet = Fleet::with(&[(Service::Payment, url)], |_| {}).await;
    let reply = fleet
        .request(Method::POST, "/api/payments")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 502);
    assert_eq!(reply.headers()["retry-after"], "1");
    assert_eq!(problem_code(reply).await, "upstream_closed");
    assert_eq!(asked.load(SeqCst), 1);
    life.stop();
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_is_not_held_against_the_upstream() {
    let life = Lifecycle::new();
    let patient = Router::new()
        .route("/readyz", get(async || "ready"))
        .fallback(async |request: Request| {
            axum::body::to_bytes(request.into_body(), usize::MAX)
                .await
                .map(|_| "taken")
                .map_err(|_| StatusCode::BAD_REQUEST)
        });
    let url = serve(patient, &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, url)], |config| {
        config.timeout = Duration::from_millis(500);
    })
    .await;
    for _ in 0..6 {
        let reply = crate::raw::first_reply(
            &fleet,
            "POST /api/pledges HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
        )
        .await;
        assert!(
            reply.starts_with("HTTP/1.1 408") && reply.contains("body_too_slow"),
            "{reply}"
        );
    }
    let reply = fleet
        .request(Method::POST, "/api/pledges")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.text().await.unwrap(), "taken");
    life.stop();
}
