//! Counts the matters that a person has to look at, and opens one when events do not leave the outbox.

use std::sync::LazyLock;

use chassis::telemetry::metrics;
use prometheus::GaugeVec;

use crate::{
    App,
    db::{exceptions, matters},
    domain::{Exception, Kind},
};

/// The outbox is one matter, however many events wait in it.
const OUTBOX: &str = "outbox";

static OPEN: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "payment_exceptions",
        "Matters that a person has to look at.",
        &["kind"],
    )
});

static OLDEST: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "payment_exceptions_oldest_seconds",
        "Age of the oldest matter that a person has to look at.",
        &["kind"],
    )
});

/// Counts at start, and then at the configured interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "the matters are not counted just now");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

async fn round(app: &App) -> Result<(), sqlx::Error> {
    watch_outbox(app).await?;
    let now = app.clock.now();
    let tally = matters::tally(app.db.pool(), now).await?;
    for kind in Kind::ALL {
        let found = tally.iter().find(|(name, ..)| name == kind.as_str());
        let (count, age) = found.map_or((0, 0), |(_, count, since)| {
            (*count, (now - *since).num_seconds().max(0))
        });
        OPEN.with_label_values(&[kind.as_str()]).set(float(count));
        OLDEST.with_label_values(&[kind.as_str()]).set(float(age));
    }
    Ok(())
}

/// By the database's clock, which dated the events; ours only dates the matter.
async fn watch_outbox(app: &App) -> Result<(), sqlx::Error> {
    let pool = app.db.pool();
    let now = app.clock.now();
    let waits = matters::outbox_waits_since(pool).await?;
    let after = chrono::Duration::from_std(app.settings.outbox_stuck_after);
    let after = after.unwrap_or(chrono::Duration::MAX);
    let is_stuck = waits.is_some_and(|since| now - since > after);
    let was_stuck = matters::is_open(pool, Kind::OutboxStuck, OUTBOX).await? == Some(true);
    if is_stuck == was_stuck {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    if is_stuck {
        let matter = Exception {
            kind: Kind::OutboxStuck,
            subject: OUTBOX.to_owned(),
            payment_id: None,
            amount: None,
            detail: "events of payments do not reach the broker".to_owned(),
            due_at: None,
        };
        exceptions::open(&mut tx, &[matter], now).await?;
    } else {
        exceptions::close(&mut tx, Kind::OutboxStuck, &[OUTBOX], "drained", now).await?;
    }
    tx.commit().await
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^52 one more matters little"
)]
fn float(count: i64) -> f64 {
    count as f64
}
