//! WebSockets on their way through: once both sides have switched, bytes are copied and nothing is looked at.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chassis::{lifecycle::Lifecycle, telemetry::metrics};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use prometheus::Gauge;
use tokio::io::copy_bidirectional_with_sizes;

use crate::{client::Client, error::Error};

/// What is copied at once in each direction, in bytes. The feed's messages are smaller.
const CHUNK: usize = 4096;

/// The open sockets, counted.
pub struct Sockets {
    limit: usize,
    limit_per_client: usize,
    open: Mutex<Open>,
    gauge: Gauge,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Sockets {
    /// Allows so many sockets in all, and so many of them to one client.
    pub fn new(limit: usize, limit_per_client: usize) -> Arc<Self> {
        let gauge = metrics::gauge("gateway_websockets", "Open WebSockets.", &[])
            .with_label_values::<&str>(&[]);
        Arc::new(Self {
            limit,
            limit_per_client,
            open: Mutex::default(),
            gauge,
        })
    }

    /// Takes a seat for a socket of this client.
    ///
    /// # Errors
    /// Where it, or all together, have as many as they may.
    pub fn seat(self: &Arc<Self>, client: &Client) -> Result<Seat, Error> {
        let client = client.key();
        let mut open = self.lock();
        if open.total >= self.limit {
            return Err(Error::TooManySockets);
        }
        let own = open.by_client.entry(client).or_default();
        if *own >= self.limit_per_client {
            return Err(Error::TooManyOwnSockets);
        }
        *own += 1;
        open.total += 1;
        drop(open);
        self.gauge.inc();
        Ok(Seat {
            sockets: self.clone(),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one socket, given back when it is dropped.
pub struct Seat {
    sockets: Arc<Sockets>,
    client: IpAddr,
}

impl Seat {
    /// Joins the two sides of a socket until one of them closes or the process is asked to stop.
    pub fn join(self, outside: OnUpgrade, inside: OnUpgrade, life: &Lifecycle) {
        let stopping = life.clone();
        let _copying = life.track(async move {
            let _seat = self;
            let copied = async {
                let (outside, inside) = tokio::try_join!(outside, inside)?;
                let (mut outside, mut inside) = (TokioIo::new(outside), TokioIo::new(inside));
                copy_bidirectional_with_sizes(&mut outside, &mut inside, CHUNK, CHUNK).await?;
                anyhow::Ok(())
            };
            tokio::select! {
                () = stopping.stopping() => {}
                outcome = copied => if let Err(error) = outcome {
                    tracing::debug!(%error, "a socket ended early");
                },
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.sockets.lock();
        open.total -= 1;
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.by_client.remove(&self.client);
            }
        }
        drop(open);
        self.sockets.gauge.dec();
    }
}
