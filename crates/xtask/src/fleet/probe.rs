//! How to tell that a server is ready: by asking it, in its own language.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::settings;

const PATIENCE: Duration = Duration::from_secs(2);

/// A question whose right answer means ready.
#[derive(Clone, Debug)]
pub enum Probe {
    /// `GET` of this URL answers 200.
    Http(String),
    /// `GET` of this URL answers anything at all, and the port greets like an SMTP server.
    Mail {
        /// The URL that answers.
        http: String,
        /// The port that greets with 220.
        smtp: u16,
    },
    /// `pg_isready` says yes.
    Postgres {
        /// The directory of PostgreSQL's programs.
        bin: PathBuf,
        /// The port on loopback.
        port: u16,
    },
    /// `PING` is answered with `PONG`.
    Redis(u16),
    /// The broker answers an ApiVersions request.
    Kafka(SocketAddr),
}

impl Probe {
    /// Asks once.
    pub fn passes(&self) -> bool {
        match self {
            Self::Http(url) => status(url) == Some(200),
            Self::Mail { http, smtp } => {
                status(http).is_some()
                    && exchange(local(*smtp), b"", 3).is_some_and(|a| a == b"220")
            }
            Self::Postgres { bin, port } => Command::new(bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                .env_clear()
                .envs(settings::inherited())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
            Self::Redis(port) => {
                exchange(local(*port), b"PING\r\n", 7).is_some_and(|a| a == b"+PONG\r\n")
            }
            // The length of the reply comes first, then our correlation id, then the error code, which is 0.
            Self::Kafka(address) => exchange(*address, &api_versions(), 10)
                .is_some_and(|reply| reply[4..] == [0, 0, 0, 7, 0, 0]),
        }
    }
}

/// The status of a `GET`, whatever it is; nothing when there was no HTTP answer.
fn status(url: &str) -> Option<u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    Some(agent.get(url).call().ok()?.status().as_u16())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn exchange(address: SocketAddr, request: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

/// Kafka's handshake, version 0: length, key 18, version 0, correlation id 7, client id. The broker does not answer
/// before it has joined its own cluster, so an answer means more than an open port.
fn api_versions() -> Vec<u8> {
    let client = b"xtask";
    let mut request = vec![0, 0, 0, 15, 0, 18, 0, 0, 0, 0, 0, 7, 0, 5];
    request.extend_from_slice(client);
    request
}
