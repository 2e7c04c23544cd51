//! What crosses the gateway in headers, and what does not.

use http::Method;

use crate::helpers::Fleet;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn identity_and_address_cannot_be_forged() {
    let fleet = Fleet::start().await;
    let forged = [
        "x-user-id",
        "x-user-role",
        "x-internal-call",
        "forwarded",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-real-ip",
    ];
    let mut request = fleet.request(Method::GET, "/api/pledges/me");
    for name in forged {
        request = request.header(name, "203.0.113.9").header(name, "admin");
    }
    request
        .header("x-guest-token", "kept")
        .send()
        .await
        .unwrap();
    let seen = fleet.only();
    for name in [
        "x-user-id",
        "x-user-role",
        "x-internal-call",
        "forwarded",
        "x-forwarded",
        "x-forwarded-port",
        "x-real-ip",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(
        seen.header("x-forwarded-host"),
        Some(fleet.address.to_string().as_str())
    );
    assert_eq!(seen.header("x-guest-token"), Some("kept"));
    assert_ne!(
        seen.header("host"),
        Some(fleet.address.to_string().as_str()),
        "the host is the upstream's"
    );
}

#[tokio::test]
async fn headers_of_the_connection_stay_on_it() {
    let fleet = Fleet::start().await;
    let reply = fleet
        .request(Method::POST, "/api/pledges")
        // Naming our headers must not take them away, since they are set after the stripping.
        .header(
            "connection",
            "close, x-hop, X-Forwarded-For, traceparent, x-user-id",
        )
        .header("connection", "x-other")
        .header("x-hop", "1")
        .header("x-other", "1")
        .header("keep-alive", "timeout=9")
        .header("proxy-connection", "keep-alive")
        .header("proxy-authorization", "Basic abc")
        .header("te", "trailers")
        .header("trailer", "x-after")
        .header("upgrade", "h2c")
        .header("x-user-id", "1")
        .header("idempotency-key", "kept")
        .body("{}")
        .send()
        .await
        .unwrap();
    let seen = fleet.only();
    let gone = [
        "x-hop",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "x-user-id",
        "connection",
    ];
    for name in gone {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("idempotency-key"), Some("kept"));
    assert!(seen.header("traceparent").is_some());
    assert_eq!(&seen.body[..], b"{}");

    assert!(
        !reply.headers().contains_key("x-inner") && !reply.headers().contains_key("keep-alive")
    );
    assert_eq!(reply.headers()["x-outer"], "2");
}

#[tokio::test]
async fn a_trace_goes_on_where_it_is_valid_and_begins_where_it_is_not() {
    let fleet = Fleet::start().await;
    let sent = [
        Some(format!("00-{TRACE}-00f067aa0ba902b7-01")),
        Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned()),
        Some("nonsense".to_owned()),
        None,
    ];
    for traceparent in sent {
        let mut request = fleet.request(Method::GET, "/api/campaigns");
        if let Some(traceparent) = &traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.send().await.unwrap();
    }
    let seen: Vec<String> = fleet
        .seen()
        .iter()
        .map(|seen| seen.header("traceparent").unwrap().to_owned())
        .collect();
    assert!(
        seen[0].starts_with(&format!("00-{TRACE}-")) && seen[0].ends_with("-01"),
        "{seen:?}"
    );
    assert!(
        !seen[0].contains("00f067aa0ba902b7"),
        "the upstream's parent is the gateway's span"
    );
    for own in &seen[1..] {
        assert_eq!(own.len(), 55, "{own}");
        assert!(
            !own.contains("00000000000000000000000000000000") && !own.contains(TRACE),
            "{own}"
        );
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_client_scheme_and_host() {
    let fleet = Fleet::with(&[], |config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    fleet
        .request(Method::GET, "/api/campaigns")
        .header("x-forwarded-for", "198.51.100.1, 203.0.113.7")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "give.example")
        .send()
        .await
        .unwrap();
    let seen = fleet.only();
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("203.0.113.7"),
        "what the client claims before it is not passed on"
    );
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("give.example"));
}

#[tokio::test]
async fn a_reply_without_a_body_still_tells_the_length_of_one() {
    let fleet = Fleet::start().await;
    let whole = fleet.get("/api/campaigns").await;
    let head = fleet
        .request(Method::HEAD, "/api/campaigns")
        .send()
        .await
        .unwrap();
    assert_eq!(
        head.headers()["content-length"],
        whole.headers()["content-length"]
    );
    assert!(head.text().await.unwrap().is_empty());
}
