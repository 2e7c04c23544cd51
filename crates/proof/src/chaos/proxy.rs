//! A TCP proxy between a service and its database, which can lose, break or delay answers.
//!
//! A lost answer is the hardest case there is: the statement has had its effect, and the client cannot know.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
pub enum Cut {
    /// Nothing of it gets through.
    Reply,
    /// Some of its bytes get through.
    Middle,
}

/// What is wrong with the connections.
#[derive(Debug, Default)]
struct Faults {
    /// Hits some of the answers, and the numbers that it draws.
    cut: Option<(Cut, StdRng)>,
    /// The answer to a question with these bytes is lost, so many times more.
    ambush: Option<(Vec<u8>, usize)>,
    /// How long each answer takes on its way.
    delay: Duration,
}

type Shared = Arc<Mutex<Faults>>;

/// A running proxy; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens on loopback.
    pub port: u16,
    faults: Shared,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `upstream` on loopback.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("no port is free for a proxy")?;
        let port = listener.local_addr()?.port();
        let faults = Shared::default();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, upstream, faults.clone()));
        Ok(Self {
            port,
            faults,
            _task: task,
        })
    }

    /// Hits answers from now on, until it is healed.
    pub fn cut(&self, how: Cut, seed: u64) {
        self.faults().cut = Some((how, StdRng::seed_from_u64(seed)));
    }

    /// Has the next so many questions with these bytes reach the server and their answers lost. The client sees its
    /// connection reset.
    pub fn lose_reply_to(&self, bytes: &[u8], times: usize) {
        self.faults().ambush = Some((bytes.to_vec(), times));
    }

    /// How many of those answers are still to be lost.
    pub fn left_to_lose(&self) -> usize {
        self.faults().ambush.as_ref().map_or(0, |(_, times)| *times)
    }

    /// Has every answer take so much longer from now on.
    pub fn delay(&self, by: Duration) {
        self.faults().delay = by;
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        *self.faults() = Faults::default();
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }
}

fn lock(faults: &Shared) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, upstream: u16, faults: Shared) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, upstream, faults.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. Whichever side ends first, or is cut, takes the other with it.
async fn connect(client: TcpStream, upstream: u16, faults: Shared) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else {
        return;
    };
    for stream in [&client, &server] {
        // Small messages go to and fro; each is waited for.
        let _gone = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let ambushed = AtomicBool::new(false);
    tokio::select! {
        () = ask(from_client, to_server, &faults, &ambushed) => {}
        () = answer(from_server, to_client, &faults, &ambushed) => {}
    }
}

async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: &Shared,
    ambushed: &AtomicBool,
) {
    let mut bytes = vec![0; 16 * 1024];
    // What came last of what was read before: the bytes that are looked for may come in two pieces.
    let mut last = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        last.extend_from_slice(&bytes[..length]);
        if is_ambushed(&mut lock(faults), &mut last) {
            // Noted first, so that the answer cannot be faster.
            ambushed.store(true, Ordering::SeqCst);
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// Whether the bytes that are looked for have come; keeps of `last` what may be the beginning of them.
fn is_ambushed(faults: &mut Faults, last: &mut Vec<u8>) -> bool {
    let Some((wanted, times)) = faults.ambush.as_mut().filter(|(_, times)| *times > 0) else {
        last.clear();
        return false;
    };
    let found = last.windows(wanted.len()).any(|some| some == wanted);
    if found {
        *times -= 1;
        last.clear();
    } else {
        last.drain(..last.len().saturating_sub(wanted.len() - 1));
    }
    found
}

async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: &Shared,
    ambushed: &AtomicBool,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if ambushed.load(Ordering::SeqCst) {
            let _gone = to.as_ref().set_zero_linger();
            return;
        }
        let (kept, delay) = {
            let mut faults = lock(faults);
            (kept(&mut faults, length), faults.delay)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passed = to.write_all(&bytes[..kept.unwrap_or(length)]).await;
        if kept.is_some() || passed.is_err() {
            return;
        }
    }
}

/// How many bytes of an answer get through, where it is hit.
fn kept(faults: &mut Faults, length: usize) -> Option<usize> {
    let (cut, random) = faults.cut.as_mut()?;
    if !random.random_bool(SHARE) {
        return None;
    }
    Some(match cut {
        Cut::Reply => 0,
        Cut::Middle => random.random_range(0..length),
    })
}
