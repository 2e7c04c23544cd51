//! What no HTTP client would send, byte by byte.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::helpers::Fleet;

/// Sends bytes and reads until the gateway closes the connection.
pub async fn exchange(fleet: &Fleet, bytes: &str) -> String {
    let mut stream = TcpStream::connect(fleet.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // A connection may be cut while bytes of ours are still unread; what came before that counts.
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

/// Sends bytes and reads what comes first.
pub async fn first_reply(fleet: &Fleet, bytes: &str) -> String {
    let mut stream = TcpStream::connect(fleet.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while stream.read_buf(&mut reply).await.unwrap() > 0 && !reply.ends_with(b"}") {}
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn two_framings_of_one_body_never_make_two_requests() {
    let fleet = Fleet::start().await;
    let hidden = "GET /api/admin/payments HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let framings = [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked",
            chunked.len()
        ),
        format!(
            "transfer-encoding: chunked\r\ncontent-length: {}",
            chunked.len()
        ),
    ];
    for framing in framings {
        let before = fleet.seen().len();
        let reply = exchange(
            &fleet,
            &format!("POST /api/pledges HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n{chunked}"),
        )
        .await;
        // RFC 9112, section 6.1: refuse, or take the chunks alone and close. Either way nothing hides behind them.
        assert!(
            reply.starts_with("HTTP/1.1 400") || reply.matches("HTTP/1.1 ").count() == 1,
            "{framing}: {reply}"
        );
        let seen = &fleet.seen()[before..];
        assert!(seen.len() <= 1, "{framing}: {seen:?}");
        for seen in seen {
            assert_eq!(seen.uri.path(), "/api/pledges");
            assert!(seen.body.is_empty());
            assert!(
                seen.header("content-length").is_none()
                    || seen.header("transfer-encoding").is_none(),
                "one framing: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_cannot_be_framed_for_certain_is_refused() {
    let fleet = Fleet::start().await;
    let heads = [
        "content-length: 3\r\ncontent-length: 4",
        "content-length: 3, 4",
        "content-length: +3",
        "content-length: -1",
        "content-length: 0x3",
        "content-length: 99999999999999999999",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding : chunked",
        "content-length\t: 3",
        "transfer-encoding: xchunked",
        "a: b\r\n folded: c",
        "a\0: b",
    ];
    for head in heads {
        let reply = exchange(
            &fleet,
            &format!("POST /api/pledges HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\nabc"),
        )
        .await;
        assert!(reply.starts_with("HTTP/1.1 400"), "{head:?}: {reply}");
    }
    for line in [
        "GET /api/pledges HTTP/2.0",
        "GET /api/pledges HTTP/1.1 x",
        "GET  /api/pledges HTTP/1.1",
        "GET /api/\tpledges HTTP/1.1",
    ] {
        let reply = exchange(&fleet, &format!("{line}\r\nhost: x\r\n\r\n")).await;
        assert!(!reply.starts_with("HTTP/1.1 2"), "{line:?}: {reply}");
    }
    // A chunk's length that is not one.
    let reply = exchange(&fleet, "POST /api/pledges HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply}");
    assert!(fleet.seen().is_empty(), "{:?}", fleet.seen());
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_nobody_as_whole() {
    let fleet = Fleet::start().await;
    let mut stream = TcpStream::connect(fleet.address).await.unwrap();
    stream
        .write_all(b"POST /api/pledges HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply).await;
    assert!(
        reply.starts_with("HTTP/1.1 400") && reply.contains("unreadable_body"),
        "{reply}"
    );
    assert!(fleet.seen().is_empty());
}

#[tokio::test]
async fn the_host_of_an_absolute_address_is_not_where_it_goes() {
    let fleet = Fleet::start().await;
    let reply = exchange(&fleet, "GET http://169.254.169.254/api/campaigns?x=1 HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    assert_eq!(fleet.only().uri, "/api/campaigns?x=1");
    let reply = exchange(
        &fleet,
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(reply.starts_with("HTTP/1.1 404"), "{reply}");
}

#[tokio::test]
async fn an_old_client_is_served_as_well() {
    let fleet = Fleet::start().await;
    let reply = exchange(&fleet, "GET /api/campaigns HTTP/1.0\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
    assert_eq!(fleet.only().by, "campaign");
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_cut_off() {
    let fleet = Fleet::with(&[], |config| {
        config.server.header_timeout = Duration::from_millis(300);
    })
    .await;
    let started = Instant::now();
    let reply = exchange(&fleet, "GET /api/campaigns HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(!reply.starts_with("HTTP/1.1 2"), "{reply}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert!(fleet.seen().is_empty());
}
