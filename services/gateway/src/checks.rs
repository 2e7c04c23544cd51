//! Health checks: each upstream is asked whether it is ready, so that requests need not find out.

use std::{sync::Arc, time::Duration};

use chassis::lifecycle::Lifecycle;
use tokio::time::sleep;

use crate::{
    App,
    upstream::{HttpClient, Upstream},
};

/// How soon an upstream that is not ready is asked again. It is back long before a breaker's time is over.
const RETRY: Duration = Duration::from_millis(500);

/// Watches every upstream: every `interval` while it is ready, at once when a request fails to connect or is broken off,
/// and twice a second until it is back.
pub fn spawn(app: &App, interval: Duration, life: &Lifecycle) {
    for (_, upstreams) in app.upstreams.iter() {
        for upstream in upstreams.all() {
            life.spawn(
                "health check",
                watch(upstream.clone(), app.client.clone(), interval, life.clone()),
            );
        }
    }
}

async fn watch(
    upstream: Arc<Upstream>,
    client: HttpClient,
    interval: Duration,
    life: Lifecycle,
) -> anyhow::Result<()> {
    while !life.is_stopping() {
        let answer = upstream.ask(&client, "/readyz").await;
        upstream.checked(answer.map(|(status, _)| status));
        let sound = upstream.is_sound();
        tokio::select! {
            () = life.stopping() => {}
            () = upstream.doubted(), if sound => {}
            () = sleep(if sound { interval } else { interval.min(RETRY) }) => {}
        }
    }
    Ok(())
}
