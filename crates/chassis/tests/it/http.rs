//! The shell around every route, on real sockets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    routing::{get, post},
};
use chassis::http::{
    AppInfo, Form, Health, Json, Limits, Path, Problem, Query, serve_with, service,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::{Running, eventually, problem_code};
use tokio::sync::Notify;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    n: i64,
}

async fn broken() -> StatusCode {
    panic!("on purpose")
}

async fn start(routes: Router, health: Health) -> Running {
    testkit::serve(|listener, life| async move {
        let info = AppInfo {
            name: "test",
            health,
            openapi: utoipa::openapi::OpenApi::default(),
        };
        let limits = Limits {
            header_timeout: Duration::from_millis(300),
            ..Limits::default()
        };
        serve_with(listener, service(routes, info, &life), &life, limits).await
    })
    .await
}

fn routes() -> Router {
    Router::new()
        .route(
            "/json",
            post(|Json(body): Json<Body>| async move { Json(json!({"n": body.n})) }),
        )
        .route(
            "/form",
            post(|Form(body): Form<Body>| async move { Json(json!({"n": body.n})) }),
        )
        .route(
            "/path/{n}",
            get(|Path(n): Path<i64>| async move { n.to_string() }),
        )
        .route(
            "/query",
            get(|Query(body): Query<Body>| async move { body.n.to_string() }),
        )
        .route("/panic", get(broken).post(broken))
        .route(
            "/problem",
            get(|| async {
                Problem::new(StatusCode::CONFLICT, "taken", "it is taken").retry_after(3)
            }),
        )
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_its_code_and_trace() {
    let running = start(routes(), Health::new()).await;
    let (client, url) = (&running.client, |path: &str| running.at(path));
    let json = || {
        client
            .post(url("/json"))
            .header("content-type", "application/json")
    };
    let table = [
        ("no JSON", json().body("{"), 400, "malformed_json"),
        (
            "another shape",
            json().body(r#"{"n":"1"}"#),
            422,
            "invalid_body",
        ),
        (
            "an unknown field",
            json().body(r#"{"n":1,"m":1}"#),
            422,
            "invalid_body",
        ),
        (
            "too large",
            json().body(" ".repeat(65 * 1024)),
            413,
            "body_too_large",
        ),
        (
            "far too large",
            json().body(" ".repeat(2 * 1024 * 1024)),
            413,
            "body_too_large",
        ),
        (
            "another type",
            client.post(url("/json")).body("{}"),
            415,
            "unsupported_media_type",
        ),
        (
            "a form of another shape",
            client.post(url("/form")).form(&[("n", "x")]),
            422,
            "invalid_body",
        ),
        (
            "a form as JSON",
            client.post(url("/form")).json(&json!({"n": 1})),
            415,
            "unsupported_media_type",
        ),
        (
            "a path that does not parse",
            client.get(url("/path/x")),
            404,
            "not_found",
        ),
        (
            "a query that does not parse",
            client.get(url("/query?n=x")),
            400,
            "invalid_query",
        ),
        (
            "no such route",
            client.get(url("/nowhere")),
            404,
            "not_found",
        ),
        (
            "another method",
            client.delete(url("/json")),
            405,
            "method_not_allowed",
        ),
        (
            "a panic while reading",
            client.get(url("/panic")),
            500,
            "internal",
        ),
        (
            "a panic while writing",
            client.post(url("/panic")),
            500,
            "internal",
        ),
        (
            "a problem of the handler's",
            client.get(url("/problem")),
            409,
            "taken",
        ),
    ];
    for (what, request, status, code) in table {
        let reply = request.send().await.expect(what);
        assert_eq!(reply.status().as_u16(), status, "{what}");
        if code == "taken" {
            assert_eq!(reply.headers()["retry-after"], "3");
        }
        assert_eq!(problem_code(reply).await, code, "{what}");
    }
    let fine: Value = json()
        .body(r#"{"n":5}"#)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(fine, json!({"n": 5}));
}

#[tokio::test]
async fn a_write_goes_on_when_its_client_leaves_and_a_read_does_not() {
    let finished = Arc::new(AtomicUsize::new(0));
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (finished, started, go) = (finished.clone(), started.clone(), go.clone());
        move || async move {
            started.notify_one();
            go.notified().await;
            finished.fetch_add(1, Ordering::SeqCst);
        }
    };
    let running = start(
        Router::new().route("/slow", get(handler.clone()).post(handler)),
        Health::new(),
    )
    .await;
    for write in [false, true] {
        let url = running.at("/slow");
        let request = if write {
            running.client.post(url)
        } else {
            running.client.get(url)
        };
        let sent = running.life().track(request.send());
        started.notified().await;
        sent.abort();
        let _ = sent.await;
        if write {
            go.notify_one();
        }
    }
    eventually("the write is done", async || {
        (finished.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(finished.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dribbles_its_header_is_cut_off() {
    let running = start(routes(), Health::new()).await;
    let address = running.url.trim_start_matches("http://").to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x")
            .expect("it takes the beginning");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout can be set");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)
    });
    read.await
        .expect("the client ran")
        .expect("the server closed the connection");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_request_alone_and_is_counted() {
    let running = start(routes(), Health::new()).await;
    for _ in 0..3 {
        for request in [
            running.client.get(running.at("/panic")),
            running.client.post(running.at("/panic")),
        ] {
            let reply = request.send().await.expect("an answer");
            assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(problem_code(reply).await, "internal");
        }
    }
    let alive = running.client.get(running.at("/livez")).send().await;
    assert_eq!(alive.expect("an answer").status(), StatusCode::OK);
    let metrics = running.client.get(running.at("/metrics")).send().await;
    let metrics = metrics.expect("an answer").text().await.expect("a text");
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix(r#"http_panics_total{route="/panic"} "#));
    let counted: u64 = counted
        .expect("panics are counted")
        .parse()
        .expect("a number");
    // Other tests of this process panic on the same route.
    assert!(counted >= 6, "{counted}");
    assert!(!running.life().is_stopping());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_off_at_the_end_of_the_drain() {
    let page = get(|| async { vec![b'x'; 4 << 20] });
    let listening = |listener, life: chassis::lifecycle::Lifecycle| async move {
        let limits = Limits {
            drain: Duration::from_millis(200),
            ..Limits::default()
        };
        let routes = Router::new()
            .route("/", page)
            .route("/readyz", get(|| async {}));
        serve_with(listener, routes, &life, limits).await
    };
    let running = testkit::serve(listening).await;
    let address = running.url.trim_start_matches("http://").to_owned();
    let mut deaf = TcpStream::connect(address).expect("the server listens");
    let asked = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    deaf.write_all(&asked).expect("it takes the requests");
    let mut first = [0; 12];
    deaf.read_exact(&mut first).expect("it has begun to answer");
    let stopped = running.stop();
    // Long before the grace of all tasks is over.
    let stopped = tokio::time::timeout(Duration::from_secs(10), stopped).await;
    stopped.expect("the process does not wait for it");
}

#[tokio::test]
async fn a_process_that_leaves_is_not_ready_and_serves_until_it_stops() {
    let running = start(routes(), Health::new()).await;
    running.life().leave();
    let ready = running.client.get(running.at("/readyz")).send().await;
    let ready = ready.expect("an answer").status();
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    let served = running.client.get(running.at("/path/7")).send().await;
    assert_eq!(served.expect("an answer").status(), StatusCode::OK);
    assert!(running.life().is_leaving() && !running.life().is_stopping());
    running.stop().await;
}

#[tokio::test]
async fn readiness_depends_on_required_checks_alone() {
    for (database, kafka, ready, health, status) in [
        (true, true, 200, 200, "healthy"),
        (true, false, 200, 200, "degraded"),
    ] {
        let checks = Health::new()
            .with("database", true, move || async move { database })
            .with("kafka", false, move || async move { kafka });
        let running = start(routes(), checks).await;
        let reply = running
            .client
            .get(running.at("/readyz"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(reply.status().as_u16(), ready);
        let reply = running
            .client
            .get(running.at("/health"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(reply.status().as_u16(), health);
        let body: Value = reply.json().await.expect("JSON");
        assert_eq!(body["status"], status);
        assert_eq!(body["checks"]["kafka"], if kafka { "up" } else { "down" });
    }
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let database = up.clone();
    let checks = Health::new().with("database", true, move || {
        let database = database.clone();
        async move { database.load(Ordering::SeqCst) }
    });
    let running = start(routes(), checks).await;
    up.store(false, Ordering::SeqCst);
    for (path, status) in [("/readyz", 503), ("/health", 503), ("/livez", 200)] {
        let reply = running
            .client
            .get(running.at(path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(reply.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let running = start(routes(), Health::new()).await;
    for n in 0..3 {
        running
            .client
            .get(running.at(&format!("/path/{n}")))
            .send()
            .await
            .expect("an answer");
    }
    let metrics = running
        .client
        .get(running.at("/metrics"))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    assert!(metrics.contains("route=\"/path/{n}\""), "{metrics}");
    assert!(!metrics.contains("/path/1"), "{metrics}");
}
