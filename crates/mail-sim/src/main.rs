//! The mailbox on your desk: takes every mail over SMTP, keeps the last 10,000 in memory and shows them over
//! MailCrab's two read calls, `GET /api/messages` (oldest first) and `GET /api/message/{id}`.
//!
//! SMTP is the `mailcrab` crate's; nothing is ever sent on.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use chassis::{
    env::Env,
    http::{Json, Path},
    lifecycle::Lifecycle,
    telemetry,
};
use mailcrab::{MailMessage, MailMessageMetadata, MessageId};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, error::RecvError},
};
use tokio_util::sync::CancellationToken;

/// How many mails are kept; the oldest go first.
const KEPT: usize = 10_000;
/// How many mails may wait between SMTP's 250 and the mailbox.
const WAITING: usize = 16_384;

#[derive(Clone, Default)]
struct Mailbox(Arc<RwLock<VecDeque<MailMessage>>>);

impl Mailbox {
    fn keep(&self, mail: MailMessage) {
        let mut mails = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if mails.len() == KEPT {
            mails.pop_front();
        }
        mails.push_back(mail);
    }

    fn list(&self) -> Vec<MailMessageMetadata> {
        let mails = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mails
            .iter()
            .cloned()
            .map(MailMessageMetadata::from)
            .collect()
    }

    fn find(&self, id: MessageId) -> Option<MailMessage> {
        let mails = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mails.iter().find(|mail| mail.id == id).cloned()
    }
}

fn main() -> ExitCode {
    // MailCrab logs senders and recipients with each mail; those belong in the mailbox, not in a log.
    let mut env = Env::process();
    let filter = telemetry::Config::read(&mut env).filter + ",mailcrab=warn";
    let config = telemetry::Config {
        endpoint: None,
        ratio: 0.0,
        filter,
    };
    // What is wrong with the environment is reported by the process itself.
    let _telemetry = telemetry::install("mail-sim", &config);
    chassis::process::main("mail-sim", 1080, read, run)
}

/// Where SMTP listens.
fn read(env: &mut Env) -> SocketAddr {
    env.parsed("SMTP_LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, 1025)))
}

async fn run(smtp: SocketAddr, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let mailbox = Mailbox::default();
    let (sender, received) = broadcast::channel(WAITING);
    let stop = CancellationToken::new();
    let server = mailcrab::mail_server(smtp.ip(), smtp.port(), sender, false, stop.clone());
    life.spawn("smtp", async move { Ok(server.await?) });
    life.spawn("mailbox", fill(mailbox.clone(), received));
    let routes = Router::new()
        .route(
            "/api/messages",
            get(async |State(mailbox): State<Mailbox>| Json(mailbox.list())),
        )
        .route("/api/message/{id}", get(message))
        .route("/livez", get(async || "alive"))
        .route("/readyz", get(async move || ready(smtp).await))
        .with_state(mailbox);
    let outcome = chassis::http::serve(listener, routes, &life).await;
    stop.cancel();
    outcome
}

async fn fill(
    mailbox: Mailbox,
    mut received: broadcast::Receiver<MailMessage>,
) -> anyhow::Result<()> {
    loop {
        match received.recv().await {
            Ok(mail) => mailbox.keep(mail),
            Err(RecvError::Lagged(count)) => tracing::error!(count, "mails were lost"),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn message(
    State(mailbox): State<Mailbox>,
    Path(id): Path<MessageId>,
) -> Result<Json<MailMessage>, StatusCode> {
    mailbox.find(id).map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn ready(smtp: SocketAddr) -> StatusCode {
    match TcpStream::connect(smtp).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
