//! A TCP proxy between a service and its database, which can lose or break answers.
//!
//! A lost answer is the hardest case there is: the statement has had its effect, and the client cannot know.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// How many of the answers are hit while a fault is on.
const SHARE: f64 = 0.1;

/// What happens to an answer that is hit. The connection ends in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing of it gets through.
    Reply,
    /// Some of its bytes get through.
    Middle,
}

/// The fault that is on, and the numbers that it draws.
type Fault = Arc<Mutex<Option<(Cut, StdRng)>>>;

/// A running proxy; dropped, it ends with its connections.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Where it listens on loopback.
    pub(super) port: u16,
    fault: Fault,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `upstream` on loopback.
    pub(super) async fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("no port is free for a proxy")?;
        let port = listener.local_addr()?.port();
        let fault = Fault::default();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, upstream, fault.clone()));
        Ok(Self {
            port,
            fault,
            _task: task,
        })
    }

    /// Hits answers from now on, until it is healed.
    pub(super) fn cut(&self, how: Cut, seed: u64) {
        self.set(Some((how, StdRng::seed_from_u64(seed))));
    }

    /// Passes everything on again.
    pub(super) fn heal(&self) {
        self.set(None);
    }

    fn set(&self, fault: Option<(Cut, StdRng)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

async fn accept(listener: TcpListener, upstream: u16, fault: Fault) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, upstream, fault.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. Whichever side ends first, or is cut, takes the other with it.
async fn connect(client: TcpStream, upstream: u16, fault: Fault) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else {
        return;
    };
    for stream in [&client, &server] {
        // Small messages go to and fro; each is waited for.
        let _gone = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = ask(from_client, to_server) => {}
        () = answer(from_server, to_client, fault) => {}
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ended = tokio::io::copy(&mut from, &mut to).await;
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let kept = kept(&fault, length);
        let passed = to.write_all(&bytes[..kept.unwrap_or(length)]).await;
        if kept.is_some() || passed.is_err() {
            return;
        }
    }
}

/// How many bytes of an answer get through, where it is hit.
fn kept(fault: &Fault, length: usize) -> Option<usize> {
    let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
    let (cut, random) = fault.as_mut()?;
    if !random.random_bool(SHARE) {
        return None;
    }
    Some(match cut {
        Cut::Reply => 0,
        Cut::Middle => random.random_range(0..length),
    })
}
