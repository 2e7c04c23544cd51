//! Sends the mails that are due: claim, commit, send, note what came of it.

use std::{sync::LazyLock, time::Duration};

use chassis::{
    lifecycle::Lifecycle,
    telemetry::{self, metrics},
};
use chrono::TimeDelta;
use common::money::{Currency, Money};
use prometheus::IntCounterVec;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    App,
    db::deliveries::{self, Claimed},
    domain::backoff,
    mailer::{CONNECTIONS, Mail, Refusal},
    template,
};

/// How long the worker sleeps when nothing wakes it.
const POLL: Duration = Duration::from_millis(500);
/// How long it waits after the database failed it.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a claim keeps others away: longer than a mail can take with the note of its outcome.
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// How long a mail waits for its campaign's title; then it thanks without.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

static MAILS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "mails_total",
        "Attempts to send a mail, by what came of them.",
        &["result"],
    )
});

/// Starts the worker of this process. Several processes share the work.
pub fn spawn(app: &App, life: &Lifecycle) {
    let (app, running) = (app.clone(), life.clone());
    life.spawn("mail", async move {
        while !running.is_stopping() {
            let pause = match send_due(&app).await {
                Ok(0) => POLL,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "the mail worker pauses");
                    PAUSE
                }
            };
            tokio::select! {
                () = app.due.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = running.stopping() => {}
            }
        }
        Ok(())
    });
}

/// Sends what is due, at most one mail for each connection, and says how many it tried.
async fn send_due(app: &App) -> Result<usize, sqlx::Error> {
    let now = app.clock.now();
    let claimed = deliveries::claim(
        app.db.pool(),
        now,
        now + LEASE,
        now - PATIENCE,
        CONNECTIONS.into(),
    )
    .await?;
    let tried = claimed.len();
    let mut sending = JoinSet::new();
    for mail in claimed {
        let app = app.clone();
        sending.spawn(async move {
            // One trace leads from the pledge's request to this mail.
            let span = telemetry::span_from("mail.send", mail.traceparent.as_deref());
            telemetry::scope(&span, deliver(&app, &mail)).await
        });
    }
    while let Some(ended) = sending.join_next().await {
        // Whatever else has been sent by now is noted by the same commit.
        let more = std::iter::from_fn(|| sending.try_join_next());
        let ended: Vec<_> = std::iter::once(ended).chain(more).collect();
        let sent: Vec<Uuid> = ended.into_iter().flatten().flatten().collect();
        if let Err(error) = deliveries::mark_sent(app.db.pool(), &sent, app.clock.now()).await {
            unnoted(&error, &sent);
        }
    }
    Ok(tried)
}

/// Tries to send a mail, and gives its id once the mail server has taken it, which is still to be noted.
async fn deliver(app: &App, mail: &Claimed) -> Option<Uuid> {
    let outcome = attempt(app, mail).await;
    let (id, payment, attempts) = (mail.delivery_id, mail.payment_id, mail.attempts);
    let (result, noted) = match &outcome {
        Ok(()) => {
            tracing::info!(delivery.id = %id, payment.id = %payment, attempts, "mail sent");
            ("sent", Ok(()))
        }
        Err(Refusal::Later(why)) => {
            tracing::warn!(delivery.id = %id, payment.id = %payment, attempts, why, "mail not taken, trying again later");
            let next = app.clock.now() + backoff(attempts);
            (
                "retry",
                deliveries::mark_for_retry(app.db.pool(), mail, why, next).await,
            )
        }
        Err(Refusal::Never(why)) => {
            tracing::error!(delivery.id = %id, payment.id = %payment, attempts, why, "mail refused for good");
            (
                "failed",
                deliveries::mark_failed(app.db.pool(), id, why).await,
            )
        }
    };
    MAILS.with_label_values(&[result]).inc();
    if let Err(error) = noted {
        unnoted(&error, &[id]);
    }
    outcome.is_ok().then_some(id)
}

/// The lease ends and the mails are tried again, with the same Message-ID.
fn unnoted(error: &sqlx::Error, mails: &[Uuid]) {
    tracing::error!(%error, ?mails, "the outcome of mails could not be noted");
}

async fn attempt(app: &App, mail: &Claimed) -> Result<(), Refusal> {
    let currency = Currency::parse(&mail.currency)
        .map_err(|_| Refusal::Never("unknown currency".to_owned()))?;
    let amount = Money::new(mail.amount, currency);
    let letter = template::thank_you(
        &mail.name,
        amount,
        mail.title.as_deref(),
        mail.payment_id.into(),
    );
    let message_id = format!("{}@careforall", mail.payment_id);
    app.mailer
        .send(Mail {
            name: &mail.name,
            email: &mail.email,
            message_id,
            letter,
            at: app.clock.now(),
        })
        .await
}
