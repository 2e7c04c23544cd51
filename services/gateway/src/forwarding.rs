//! What a request and its reply may carry across: nothing that belongs to one connection, and nothing from outside
//! that only we may say.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::client::{Client, FORWARDED_FOR};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Turns the headers of a request from outside into those for an upstream.
///
/// Strips first and sets afterwards, so that a `Connection` header cannot name ours away. The length of the body is
/// left to the connection that sends it: it is the one that the bytes were read by.
pub fn request(headers: &mut HeaderMap, client: &Client, traceparent: Option<String>) {
    let host = pick(headers, client, &FORWARDED_HOST).or_else(|| headers.get(HOST).cloned());
    let scheme = pick(headers, client, &FORWARDED_PROTO)
        .filter(|scheme| scheme == "http" || scheme == "https");
    strip(headers, |name| is_of_the_hop(name) || is_ours(name));
    headers.insert(FORWARDED_FOR, address(client.address));
    headers.insert(
        FORWARDED_PROTO,
        scheme.unwrap_or(HeaderValue::from_static("http")),
    );
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
    if let Some(trace) = traceparent.and_then(|trace| HeaderValue::try_from(trace).ok()) {
        headers.insert(TRACEPARENT, trace);
    }
}

/// Turns the headers of an upstream's reply into those for outside.
pub fn reply(headers: &mut HeaderMap) {
    strip(headers, is_of_the_hop_back);
}

/// Puts back what asks for, or grants, a WebSocket on this hop.
pub fn upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a request asks for a WebSocket.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let asks =
        |name, wanted: &str| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted));
    headers.contains_key(UPGRADE) && asks(CONNECTION, "upgrade") && asks(UPGRADE, "websocket")
}

/// The word of a trusted proxy.
fn pick(headers: &HeaderMap, client: &Client, name: &HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|_| client.vouched).cloned()
}

fn strip(headers: &mut HeaderMap, unwanted: fn(&HeaderName) -> bool) {
    let mut gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| unwanted(name))
        .cloned()
        .collect();
    if headers.contains_key(CONNECTION) {
        gone.extend(tokens(headers, CONNECTION).filter_map(|name| name.parse().ok()));
    }
    for name in gone {
        headers.remove(name);
    }
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Headers that speak of one connection (RFC 9110, section 7.6.1) or of its framing.
fn is_of_the_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION
            | CONTENT_LENGTH
            | EXPECT
            | HOST
            | PROXY_AUTHORIZATION
            | TE
            | TRAILER
            | TRANSFER_ENCODING
            | UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// As [`is_of_the_hop`], for replies. Their length stays, since a reply to HEAD has one and no body.
fn is_of_the_hop_back(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION | PROXY_AUTHENTICATE | TE | TRAILER | TRANSFER_ENCODING | UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Headers by which the inside says who is asking and from where; from outside they are forgeries.
fn is_ours(name: &HeaderName) -> bool {
    let name_is = name.as_str();
    *name == FORWARDED
        || *name == TRACEPARENT
        || name_is.strip_prefix("x-").is_some_and(|rest| {
            rest.starts_with("user-")
                || rest.starts_with("internal-")
                || rest.starts_with("forwarded")
                || rest == "real-ip"
        })
}

fn address(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string())
        .unwrap_or_else(|_| unreachable!("an address is visible ASCII"))
}
