//! How large a body may be, and that nobody collects it.

use bytes::Bytes;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::Body;
use testkit::problem_code;

use crate::helpers::Fleet;

const KIB: usize = 1024;

/// A body whose length is not declared.
fn chunked(bytes: usize) -> Body {
    let chunks = (0..bytes.div_ceil(KIB)).map(move |index| {
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![
            b'x';
            KIB.min(bytes - index * KIB)
        ])))
    });
    Body::wrap(StreamBody::new(futures::stream::iter(chunks)))
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_however_it_is_sent() {
    let fleet = Fleet::start().await;
    for (path, limit) in [
        ("/api/pledges", 64 * KIB),
        ("/api/webhooks/psp/stripe", 256 * KIB),
    ] {
        let bodies = |bytes| [Body::from(vec![b'x'; bytes]), chunked(bytes)];
        for body in bodies(limit) {
            let reply = fleet
                .request(Method::POST, path)
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(reply.status(), 200, "{path}");
            assert_eq!(fleet.seen().last().unwrap().body.len(), limit);
        }
        let before = fleet.seen().len();
        for body in bodies(limit + 1) {
            let reply = fleet
                .request(Method::POST, path)
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(reply.status(), 413, "{path}");
            assert_eq!(reply.headers()["connection"], "close", "{path}");
            assert_eq!(problem_code(reply).await, "body_too_large");
        }
        assert_eq!(fleet.seen().len(), before, "no upstream took it for whole");
    }
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_refused_before_a_byte_of_it_came() {
    let fleet = Fleet::start().await;
    let head = "POST /api/pledges HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n";
    let reply = crate::raw::first_reply(&fleet, head).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
}

#[tokio::test]
async fn the_length_of_a_body_is_the_length_that_was_read() {
    let fleet = Fleet::start().await;
    fleet
        .request(Method::POST, "/api/pledges")
        .body("12345")
        .send()
        .await
        .unwrap();
    fleet
        .request(Method::POST, "/api/pledges")
        .body(chunked(5))
        .send()
        .await
        .unwrap();
    fleet
        .request(Method::POST, "/api/pledges")
        .send()
        .await
        .unwrap();
    let seen = fleet.seen();
    assert_eq!(
        (
            seen[0].header("content-length"),
            seen[0].header("transfer-encoding")
        ),
        (Some("5"), None)
    );
    assert_eq!(
        (
            seen[1].header("content-length"),
            seen[1].header("transfer-encoding")
        ),
        (None, Some("chunked"))
    );
    assert_eq!(
        (
            seen[2].header("content-length"),
            seen[2].header("transfer-encoding")
        ),
        (None, None)
    );
    assert_eq!(
        (seen[0].body.len(), seen[1].body.len(), seen[2].body.len()),
        (5, 5, 0)
    );
}
