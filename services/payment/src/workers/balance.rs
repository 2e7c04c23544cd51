//! Weighs the books: every set of entries must sum to zero. The database refuses any other; this finds what came about
//! behind its back, and a metric tells.

use std::{collections::HashSet, sync::LazyLock};

use chassis::telemetry::metrics;
use prometheus::GaugeVec;
use uuid::Uuid;

use crate::{App, alarm, db::books};

/// How many sets one statement weighs.
const STRETCH: i64 = 5_000;
/// After so many rounds everything is weighed again.
const WHOLE: u32 = 1_440;
/// Sets commit in another order than their ids sort in, by less than this, in milliseconds: no transaction lasts
/// longer, and the clocks of two processes differ by less.
const OVERLAP: u64 = 5 * 60 * 1_000;

static IMBALANCE: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "ledger_imbalance",
        "Sets of ledger entries that do not sum to zero.",
        &[],
    )
});

/// What was weighed so far.
#[derive(Default)]
struct Scales {
    after: Uuid,
    rounds: u32,
    unbalanced: HashSet<Uuid>,
}

impl Scales {
    /// Weighs what is new, or everything when its time has come.
    async fn round(&mut self, app: &App) -> Result<(), sqlx::Error> {
        if self.rounds == 0 {
            self.after = Uuid::nil();
        }
        while !app.life.is_stopping() {
            let weighed = books::weigh(app.db.pool(), self.after, STRETCH).await?;
            let Some(last) = weighed.last else { break };
            let mut found = weighed.unbalanced;
            if weighed.sets != weighed.entered {
                found.extend(books::torn(app.db.pool(), self.after, last).await?);
            }
            let after = self.after;
            self.unbalanced
                .retain(|set| *set <= after || *set > last || found.contains(set));
            for set in found {
                if self.unbalanced.insert(set) {
                    alarm::raise(alarm::LEDGER_IMBALANCE, None, &format!("ledger set {set}"));
                }
            }
            self.after = last;
            if weighed.sets < STRETCH {
                break;
            }
        }
        self.after = before(self.after);
        self.rounds = (self.rounds + 1) % WHOLE;
        Ok(())
    }
}

/// The first id of the moment that lies the overlap before this id's.
fn before(id: Uuid) -> Uuid {
    let (millis, ..) = id.as_u64_pair();
    Uuid::from_u64_pair((millis >> 16).saturating_sub(OVERLAP) << 16, 0)
}

/// Weighs everything at start, and then at the configured interval what is new, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    let mut scales = Scales::default();
    while !app.life.is_stopping() {
        match scales.round(&app).await {
            #[expect(
                clippy::cast_precision_loss,
                reason = "beyond 2^52 one more matters little"
            )]
            Ok(()) => IMBALANCE
                .with_label_values::<&str>(&[])
                .set(scales.unbalanced.len() as f64),
            Err(error) => tracing::warn!(%error, "the books are not weighed just now"),
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.weigh_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}
