//! `GET /api/ws`

use std::{sync::LazyLock, time::Duration};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use chassis::{http::Query, telemetry::metrics};
use prometheus::GaugeVec;
use serde::Deserialize;
use tokio::time::{Instant, interval_at, timeout};
use utoipa::IntoParams;

use crate::{App, domain::Channel, error::Error, feed::Updates};

chassis::problems!(Refusals:
    400 invalid_channel,
    426 upgrade_required,
    503 too_many_sockets,
);

/// How long one message may take to leave; a reader that stands still for longer is given up.
const WRITE: Duration = Duration::from_secs(5);
/// Watchers have nothing to say: what they send is kept small and not looked at.
const INBOUND: usize = 4 * 1024;

static SOCKETS: LazyLock<GaugeVec> =
    LazyLock::new(|| metrics::gauge("websocket_sockets", "Sockets open now.", &[]));

#[derive(Deserialize, IntoParams)]
pub struct Wanted {
    /// What to watch: `campaign:{id}`.
    #[param(example = "campaign:01890a5d-ac96-774b-bcce-b302099a8057")]
    channel: String,
}

/// Watches a campaign's totals over a WebSocket.
///
/// Messages are JSON: `{"type":"totals","campaign_id":..,"raised":..,...}`. The first one comes at once where totals
/// are known here, further ones with each change; a slow reader gets the latest and misses those in between.
#[utoipa::path(
    get, path = "/api/ws", tag = "notifications", operation_id = "watch", params(Wanted),
    security(()),
    responses(
        (status = 101, description = "a WebSocket"),
        Refusals,
    ),
)]
pub async fn socket(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Error> {
    let Channel::Campaign(campaign) =
        Channel::parse(&wanted.channel).ok_or(Error::InvalidChannel)?;
    let upgrade = upgrade.map_err(|_| Error::UpgradeRequired)?;
    let seat = app.feed.seat().ok_or(Error::TooManySockets)?;
    let updates = app.feed.watch(campaign);
    let upgrade = upgrade
        .max_message_size(INBOUND)
        .max_frame_size(INBOUND)
        .read_buffer_size(INBOUND)
        .write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let life = app.life.clone();
        let watched = life.track(async move {
            let _seat = seat;
            SOCKETS.with_label_values::<&str>(&[]).inc();
            push(socket, updates, &app).await;
            SOCKETS.with_label_values::<&str>(&[]).dec();
        });
        let _ = watched.await;
    }))
}

/// Pushes until the watcher leaves, falls silent, or the process stops.
async fn push(mut socket: WebSocket, mut updates: Updates, app: &App) {
    let mut ping = interval_at(Instant::now() + app.feed.ping(), app.feed.ping());
    let mut answered = true;
    updates.mark_changed();
    loop {
        let message = tokio::select! {
            () = app.life.stopping() => break,
            changed = updates.changed() => {
                let latest = updates.borrow_and_update().as_ref().map(|latest| latest.text.clone());
                match (changed, latest) {
                    (Ok(()), Some(text)) => Message::Text(text),
                    (Ok(()), None) => continue,
                    (Err(_), _) => break,
                }
            }
            received = socket.recv() => match received {
                Some(Ok(Message::Pong(_))) => {
                    answered = true;
                    continue;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = ping.tick() => {
                if !std::mem::replace(&mut answered, false) {
                    return;
                }
                Message::Ping(Vec::new().into())
            }
        };
        if !matches!(timeout(WRITE, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    let away = CloseFrame {
        code: close_code::AWAY,
        reason: "restarting, connect again".into(),
    };
    let _ = timeout(WRITE, socket.send(Message::Close(Some(away)))).await;
}
