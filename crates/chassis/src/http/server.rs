//! The accept loop. `axum::serve` 0.8 sets no hyper timer, so its connections have no header timeout; this one does.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::lifecycle::Lifecycle;

/// What one listener allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// How many connections are open at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// How long open requests may go on after the process was asked to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            connections: 4096,
            drain: Duration::from_secs(15),
        }
    }
}

/// Serves until the process is asked to stop, then lets open requests end.
///
/// # Errors
/// Never at present; the type leaves room for a listener that breaks.
pub async fn serve(listener: TcpListener, router: Router, life: &Lifecycle) -> anyhow::Result<()> {
    serve_with(listener, router, life, Limits::default()).await
}

/// As [`serve`], with limits of the caller's.
///
/// # Errors
/// Never at present; the type leaves room for a listener that breaks.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    life: &Lifecycle,
    limits: Limits,
) -> anyhow::Result<()> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    let mut builder = http1::Builder::new();
    // No `pipeline_flush`: with bytes unread behind a refused request, hyper then closes without sending its reply.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(64);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = life.stopping() => break,
            accepted = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, listener.accept().await)
            } => accepted,
        };
        let (slot, accepted) = accepted;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a client that left already: neither may end the loop or spin it.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Without this a small reply may wait 40 ms for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let reply = router.clone().oneshot(request.map(axum::body::Body::new));
            async move { Ok::<_, Infallible>(reply.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (stopping, cut) = (life.clone(), cut.clone());
        life.track(open.track_future(async move {
            let _slot = slot;
            tokio::pin!(connection);
            let outcome = tokio::select! {
                outcome = &mut connection => outcome,
                () = stopping.stopping() => {
                    // Lets the open request end and takes no further one.
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        outcome = connection => outcome,
                        // A write that is under way goes on without its client.
                        () = cut.cancelled() => return,
                    }
                }
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "a connection ended early");
            }
        }));
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(limits.drain, open.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = open.len(),
            "clients that hang are cut off at the end of the drain"
        );
        cut.cancel();
    }
    Ok(())
}
