//! HTTP as cheap as it gets: requests whose bytes are ready, over connections that stay open. A load generator on the
//! same two cores must not be what is measured.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::arrivals::Arrivals;
use super::donations::join;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The answer's status.
    pub(super) status: u16,
    /// When the answer was there, counted from the beginning of the run.
    pub(super) at: Duration,
    /// From when the request was due, or from when it was sent where nothing is due, until the answer was there.
    pub(super) took: Duration,
    /// Whether the answer says what was looked for.
    pub(super) hit: bool,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'a> {
    /// `host:port`.
    pub(super) authority: &'a str,
    /// How many connections.
    pub(super) connections: usize,
    /// How many requests.
    pub(super) count: usize,
    /// How many a second, late ones at once; without it, as soon as a connection is free.
    pub(super) rate: Option<u32>,
    /// What answers are searched for.
    pub(super) hit: &'a str,
}

/// `host:port` of a base URL.
pub(super) fn authority(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

/// The bytes of a request.
pub(super) fn request(
    authority: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<u8> {
    let mut text = format!(
        "{line} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Sends the requests that `bytes` makes of their numbers.
pub(super) fn drive(pace: Pace<'_>, bytes: impl Fn(usize) -> Vec<u8> + Sync) -> Result<Vec<Sent>> {
    let arrivals = Arrivals::begin(pace.count, pace.rate);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..pace.connections)
            .map(|_| scope.spawn(|| send_in_turn(pace, &bytes, &arrivals)))
            .collect();
        join(senders)
    })
}

fn send_in_turn(
    pace: Pace<'_>,
    bytes: &(impl Fn(usize) -> Vec<u8> + Sync),
    arrivals: &Arrivals,
) -> Result<Vec<Sent>> {
    let mut wire = Wire::open(pace.authority)?;
    let mut all = Vec::new();
    while let Some((n, due)) = arrivals.next()? {
        let (status, body) = wire.exchange(&bytes(n))?;
        let hit = String::from_utf8_lossy(&body).contains(pace.hit);
        all.push(Sent {
            status,
            at: arrivals.elapsed(),
            took: due.elapsed(),
            hit,
        });
    }
    Ok(all)
}

/// A server that is called again and again, over one connection.
pub(super) struct Server {
    authority: String,
    kept: RefCell<Option<Wire>>,
}

impl Server {
    /// The server at this base URL. The connection is opened by the first call.
    pub(super) fn new(url: &str) -> Self {
        Self {
            authority: authority(url).to_owned(),
            kept: RefCell::new(None),
        }
    }

    /// Sends a request whose repetition does no harm, and gives the answer's status and body: null where there is none.
    /// Servers close what was long idle, so a connection that was kept may fail once.
    pub(super) fn call(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(u16, Value)> {
        let bytes = request(&self.authority, line, headers, body);
        let again = |mut wire: Wire| wire.exchange(&bytes).ok().map(|answer| (wire, answer));
        let kept = self.kept.take().and_then(again);
        let (wire, (status, body)) = if let Some(answered) = kept {
            answered
        } else {
            let mut wire = Wire::open(&self.authority)?;
            let answer = wire.exchange(&bytes).context(line.to_owned())?;
            (wire, answer)
        };
        self.kept.replace(Some(wire));
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        let body = serde_json::from_slice(&body).with_context(|| format!("{line}: {status}"))?;
        Ok((status, body))
    }
}

/// One connection.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority).with_context(|| authority.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request, and gives the answer's status and body.
    fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.0.get_mut().write_all(request)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no status in {line:?}"))?;
        let mut length = None;
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the connection ended");
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            }
        }
        if status == 204 {
            length = Some(0);
        }
        let mut body = vec![0; length.context("an answer without a length")?];
        self.0.read_exact(&mut body)?;
        Ok((status, body))
    }
}
