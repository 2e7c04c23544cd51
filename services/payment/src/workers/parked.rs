//! Judges again what came before its payment: the provider can be faster than our own commit.

use chrono::Duration;

use crate::{
    App, alarm,
    cadence::growing,
    db::{
        exceptions, matters,
        parked::{self, Waiting},
    },
    delivery::Source,
    domain::{Exception, Kind, Verdict},
    error::Error,
    replay,
};

/// How many events one round takes.
const BATCH: i64 = 64;
/// How long whoever took an event has it.
const HOLD: Duration = Duration::seconds(30);
/// The longest pause between two tries.
const PAUSE: Duration = Duration::hours(1);

/// Judges at start, and then at the configured interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "parked events are not judged just now");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.cadences.parked_after) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

async fn round(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    for waiting in parked::take_due(app.db.pool(), now, now + HOLD, BATCH).await? {
        if let Err(error) = judge(app, &waiting).await {
            let event = &waiting.event_id;
            tracing::warn!(psp.event = event, %error, "a parked event is not judged just now");
        }
    }
    Ok(())
}

async fn judge(app: &App, waiting: &Waiting) -> Result<(), Error> {
    let Some(delivery) = replay::load(app, &waiting.event_id, Source::Parked, None).await? else {
        return Ok(());
    };
    let (kind, amount) = (delivery.notice.kind.clone(), delivery.notice.money());
    let judged = app.court.commit(delivery).await?;
    if judged.verdict != Verdict::Parked {
        judged.tell(&waiting.event_id);
        let verdict = judged.verdict.as_str();
        tracing::info!(
            psp.event = waiting.event_id,
            verdict,
            "the payment of a parked event is known"
        );
        return Ok(());
    }
    let (now, cadences) = (app.clock.now(), app.settings.cadences);
    let first = Duration::from_std(cadences.parked_after).unwrap_or(PAUSE);
    let pause = growing(first, waiting.tries, PAUSE);
    let patience = Duration::from_std(cadences.parked_for).unwrap_or(PAUSE);
    let mut tx = app.db.begin().await?;
    let is_parked = parked::again_at(&mut *tx, &waiting.event_id, now + pause).await?;
    let given_up = is_parked && now - waiting.parked_at >= patience;
    let mut is_new = false;
    if given_up {
        let open = matters::is_open(&mut *tx, Kind::Parked, &waiting.event_id).await?;
        is_new = open != Some(true);
        let matter = Exception {
            kind: Kind::Parked,
            subject: waiting.event_id.clone(),
            payment_id: None,
            amount,
            detail: format!("{kind} about a payment that we do not know"),
            due_at: None,
        };
        exceptions::open(&mut tx, &[matter], now).await?;
    }
    tx.commit().await?;
    if is_new {
        let detail = "a delivery is about a payment that we do not know";
        alarm::raise(alarm::UNKNOWN_PAYMENT, None, detail);
    }
    Ok(())
}
