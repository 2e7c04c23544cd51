//! Reads the provider's own lists: intents that we do not know are recorded, events that were never delivered go to the
//! court as if they had been, and payments whose refunds or disputes are listed are looked at. What was read lately is read again, for a list may show an
//! object late; an event that is kept already is passed over.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use common::ids::PaymentId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    App,
    db::{lookup, payments, sweeps, webhooks},
    delivery::{Delivery, Source},
    domain::Notice,
    error::Error,
    money_back,
    provider::{Failure, Listed, Span, patiently},
};

/// How much of a list is read at once, oldest first.
const STRETCH: Duration = Duration::minutes(10);
/// How many events are judged at once.
const AT_ONCE: usize = 64;
/// How long whoever reads a list has it at most. Who comes to no end, having died or lost the database, keeps the others
/// from it for so long, and where lists are read often, not for longer than a few times are apart.
const HOLD: Duration = Duration::minutes(30);
/// How many times these are.
const TIMES: i32 = 4;
/// How long a list waits after it could not be read.
const PAUSE: Duration = Duration::minutes(1);

/// An event as it is listed.
#[derive(Deserialize)]
#[serde(transparent)]
struct Raw(Box<RawValue>);

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Back {
    id: String,
    payment_intent: Option<String>,
}

/// Reads at the configured interval until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        patiently(round(&app)).await;
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

async fn round(app: &App) {
    for (name, path) in sweeps::LISTS {
        if let Err(error) = sweep(app, name, path).await {
            tracing::warn!(list = name, %error, "the provider's list is not read just now");
        }
    }
}

/// Reads one list, if it is its time.
async fn sweep(app: &App, name: &'static str, path: &str) -> Result<(), Error> {
    let now = app.clock.now();
    let cadences = app.settings.cadences;
    let span = |duration| Duration::from_std(duration).unwrap_or(HOLD);
    let every = span(cadences.sweep_every);
    let hold = every.checked_mul(TIMES).map_or(HOLD, |hold| hold.min(HOLD));
    let taken = sweeps::take(app.db.pool(), name, now, now, now + hold).await?;
    let Some(read_to) = taken else {
        return Ok(());
    };
    let mut from = read_to - span(cadences.sweep_overlap);
    let mut next = now + every;
    let mut reached = read_to;
    while from < now && !app.life.is_stopping() {
        // The lists know whole seconds: the one that runs is read to its end next time.
        let stretch = Span {
            from,
            until: (from + STRETCH).min(now + Duration::seconds(1)),
        };
        let read = match name {
            sweeps::INTENTS => opened(app, path, stretch).await,
            sweeps::EVENTS => events(app, path, stretch).await,
            _ => back(app, path, stretch).await,
        };
        if let Err(error) = read {
            tracing::warn!(list = name, %error, "a stretch of the provider's list is not read just now");
            next = now + PAUSE.min(every);
            break;
        }
        from = stretch.until;
        reached = from.min(now);
    }
    sweeps::read_to(app.db.pool(), name, reached, next).await?;
    Ok(())
}

/// Records the intents of payments that know of none: whoever opened them did not come to note it, or it was forgotten.
async fn opened(app: &App, path: &str, stretch: Span) -> Result<(), Error> {
    let listed = app.charges.psp().intents(path, stretch).await;
    let named: HashMap<Uuid, Listed> = listed
        .map_err(|failure| silent(&failure))?
        .into_iter()
        .filter_map(|listed| Some((listed.payment_id()?.parse().ok()?, listed)))
        .collect();
    let ids: Vec<Uuid> = named.keys().copied().collect();
    let known = lookup::all(app.db.pool(), &ids).await?;
    let mut adopting = JoinSet::new();
    let mut adopted = Vec::new();
    for payment in known {
        let id = payment.payment_id;
        let listed = named.get(&id.get());
        let Some(listed) = listed.filter(|_| payment.provider_ref.is_none()) else {
            continue;
        };
        while adopting.len() >= AT_ONCE {
            judged(adopting.join_next().await)?;
        }
        let (app, intent) = (app.clone(), listed.intent.clone());
        adopting.spawn(async move {
            match app.charges.adopt(payment, intent).await {
                // It is not the one that we asked for, or a second one, which is alarmed: reading it again would not
                // change that.
                Err(error @ (Error::IntentMismatch | Error::Internal(_))) => {
                    tracing::error!(payment.id = %id, %error, "a listed intent is not recorded");
                    Ok(())
                }
                adopted => adopted,
            }
        });
        adopted.push(id);
    }
    while let Some(done) = adopting.join_next().await {
        judged(Some(done))?;
    }
    ask(app, &adopted).await
}

/// Has the payments looked at.
async fn ask(app: &App, ids: &[PaymentId]) -> Result<(), Error> {
    let mut tx = app.db.begin().await?;
    payments::ask_by(&mut tx, ids, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Has every event judged that never came.
async fn events(app: &App, path: &str, stretch: Span) -> Result<(), Error> {
    let id = |event: &Raw| {
        serde_json::from_str(event.0.get()).map_or_else(|_| String::new(), |named: Named| named.id)
    };
    let mut listed = app
        .charges
        .psp()
        .made(path, stretch, &[], id)
        .await
        .map_err(|failure| silent(&failure))?;
    listed.reverse();
    let notices: Vec<(Notice, Raw)> = listed
        .into_iter()
        .filter_map(|event| {
            let notice = Notice::read(event.0.get().as_bytes(), app.settings.livemode).ok()?;
            // We asked for no delivery of the others, so that nobody misses them.
            notice.matters().then_some((notice, event))
        })
        .collect();
    let ids: Vec<&str> = notices
        .iter()
        .map(|(notice, _)| notice.event_id.as_str())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut connection = app.db.pool().acquire().await?;
    let known = webhooks::known(&mut connection, &ids).await?;
    drop(connection);
    let mut judging = JoinSet::new();
    for (notice, event) in notices {
        if known.contains(&notice.event_id) {
            continue;
        }
        while judging.len() >= AT_ONCE {
            judged(judging.join_next().await)?;
        }
        let (app, received_at) = (app.clone(), app.clock.now());
        judging.spawn(async move { judge(&app, notice, &event.0, received_at).await });
    }
    while let Some(done) = judging.join_next().await {
        judged(Some(done))?;
    }
    Ok(())
}

async fn judge(
    app: &App,
    notice: Notice,
    event: &RawValue,
    received_at: DateTime<Utc>,
) -> Result<(), Error> {
    let event_id = notice.event_id.clone();
    let delivery = Delivery {
        body: app.sealer.seal(event_id.as_bytes(), event.get().as_bytes()),
        notice,
        signature: String::new(),
        headers: None,
        trace_id: None,
        received_at,
        source: Source::Swept,
    };
    let judged = app.court.commit(delivery).await?;
    judged.tell(&event_id);
    let verdict = judged.verdict.as_str();
    tracing::info!(
        psp.event = event_id,
        verdict,
        "an event that never came was read from the provider's list"
    );
    Ok(())
}

fn judged(done: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Result<(), Error> {
    match done {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Error::Internal(error.to_string())),
        None => Ok(()),
    }
}

/// Has the payments looked at whose money is listed as going back; of what we do not know at all it is learned at once,
/// for a refund that has failed since shows on no charge.
async fn back(app: &App, path: &str, stretch: Span) -> Result<(), Error> {
    let listed: Vec<Back> = app
        .charges
        .psp()
        .made(path, stretch, &[], |back: &Back| back.id.clone())
        .await
        .map_err(|failure| silent(&failure))?;
    if listed.is_empty() {
        return Ok(());
    }
    let pool = app.db.pool();
    let ids: Vec<&str> = listed.iter().map(|back| back.id.as_str()).collect();
    let known = lookup::known_back(pool, &ids).await?;
    let (known, new): (Vec<Back>, Vec<Back>) = listed
        .into_iter()
        .partition(|back| known.contains(&back.id));
    let mut learning = JoinSet::new();
    for id in lookup::ids_of(pool, &intents(&new)).await? {
        while learning.len() >= AT_ONCE {
            judged(learning.join_next().await)?;
        }
        let app = app.clone();
        learning.spawn(async move {
            match money_back::ask(&app, id).await {
                // The rest of the list must not wait for one payment: it is looked at by itself, and listed once more.
                Err(Error::PspUnavailable) => Ok(()),
                learned => learned,
            }
        });
    }
    while let Some(done) = learning.join_next().await {
        judged(Some(done))?;
    }
    let all = [intents(&known), intents(&new)].concat();
    ask(app, &lookup::ids_of(pool, &all).await?).await
}

fn intents(listed: &[Back]) -> Vec<&str> {
    let named = listed
        .iter()
        .filter_map(|back| back.payment_intent.as_deref());
    named.collect()
}

fn silent(failure: &Failure) -> Error {
    tracing::warn!(error = %failure, "the provider lists nothing just now");
    Error::PspUnavailable
}
