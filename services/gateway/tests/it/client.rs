//! Whose address counts.

use std::net::IpAddr;

use gateway::client::Client;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

fn client(peer: &str, lines: &[&str]) -> Client {
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
        .map(|net| net.parse().unwrap())
        .into();
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
    }
    Client::of(peer.parse().unwrap(), &headers, &trusted)
}

#[test]
fn the_client_is_the_nearest_hop_that_nobody_vouches_for() {
    let table: [(&str, &[&str], &str); 14] = [
        ("203.0.113.1", &[], "203.0.113.1"),
        // A peer that is not trusted can claim what it likes.
        ("203.0.113.1", &["198.51.100.7"], "203.0.113.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        // The left part was written by the client itself.
        ("10.0.0.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        (
            "10.0.0.1",
            &["1.1.1.1, 198.51.100.7, 10.0.0.2", "10.0.0.3"],
            "198.51.100.7",
        ),
        ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        // Past what cannot be read, nothing can be trusted.
        ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", &["[2001:db8::5]:4711"], "2001:db8::5"),
        ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ("fd00::1", &["[2001:db8::6]"], "2001:db8::6"),
    ];
    for (peer, lines, expected) in table {
        assert_eq!(
            client(peer, lines).address,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {lines:?}"
        );
    }
}

#[test]
fn an_ipv6_network_is_one_client() {
    let key = |address| client(address, &[]).key();
    assert_eq!(
        key("2001:db8:1:2::1"),
        key("2001:db8:1:2:ffff:ffff:ffff:ffff")
    );
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_ne!(key("203.0.113.1"), key("203.0.113.2"));
    assert_eq!(key("203.0.113.1"), key("::ffff:203.0.113.1"));
}
