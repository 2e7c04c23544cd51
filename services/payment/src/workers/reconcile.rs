//! Asks the provider about payments of which nothing was heard: calls whose answer never came, payments that could be
//! paid while webhooks got lost, captures whose money is to become available, and whatever contradicts itself. So every
//! payment ends where its intent does, whether or not a webhook or the donor comes back.

use chrono::{DateTime, Duration, Utc};
use common::payment::State;
use tokio::task::JoinSet;

use crate::{
    App, alarm,
    cadence::growing,
    control,
    db::{
        disputes, exceptions, lookup,
        payments::{self, Due},
    },
    domain::{Called, Outcome},
    error::Error,
    inquiry, money_back,
    provider::{REMEMBERED, Span, patiently},
    unanswered::{self, Unanswered},
};

/// How many payments one round takes, beside the shares of those of which nothing was heard.
const BATCH: i64 = 64;
/// How many of these it takes of each state, however many others are due.
const SHARE: i64 = 16;
/// How many of them are asked about at once.
const AT_ONCE: usize = 16;
/// When nothing can come of it any more, and no list can be behind that far.
const FORGOTTEN: Duration = Duration::hours(25);
/// How far the provider's clock may differ from ours.
const SKEW: Duration = Duration::minutes(5);
/// The longest pause between two looks.
const REST: Duration = Duration::hours(24);

/// Asks at start, and then at the configured interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        match round(&app).await {
            Ok(taken) if taken >= BATCH.unsigned_abs() => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the reconciler pauses"),
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

/// One round, and how many payments it took up.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &App) -> Result<u64, Error> {
    let (now, cadences) = (app.clock.now(), app.settings.cadences);
    let held_until = now + app.settings.resolve_after;
    let pool = app.db.pool();
    let mut due = payments::take_due(pool, now, held_until, BATCH).await?;
    let watch = [
        (State::Pending, cadences.reconcile_after),
        (State::Authorized, cadences.reconcile_after),
        (State::Captured, cadences.settle_after),
    ];
    for (state, after) in watch {
        let room = BATCH - i64::try_from(due.len()).unwrap_or(BATCH);
        let since = now - span(after);
        let more = payments::take_unwatched(pool, state, since, held_until, room.max(SHARE));
        due.extend(more.await?);
    }
    exceptions::close_answered(pool, now).await?;
    let taken = due.len() as u64;
    let mut turns = JoinSet::new();
    for due in due {
        while turns.len() >= AT_ONCE {
            turns.join_next().await;
        }
        let app = app.clone();
        turns.spawn(async move {
            if let Err(error) = patiently(turn(&app, &due)).await {
                tracing::warn!(payment.id = %due.payment_id, %error, "a payment is not looked at just now");
            }
        });
    }
    while turns.join_next().await.is_some() {}
    Ok(taken)
}

/// Whatever fails in here is taken up again when the hold ends.
async fn turn(app: &App, due: &Due) -> Result<(), Error> {
    let Some(called) = lookup::find_called(app.db.pool(), due.payment_id).await? else {
        return Ok(());
    };
    match (&called.payment.provider_ref, called.payment.outcome) {
        (Some(_), _) => look(app, due).await,
        (None, Outcome::Requested | Outcome::Unknown) => resolve(app, due, called).await,
        (None, Outcome::None | Outcome::Known) => {
            Ok(payments::looked_at(app.db.pool(), due, None, false).await?)
        }
    }
}

async fn look(app: &App, due: &Due) -> Result<(), Error> {
    let now = app.clock.now();
    let found = match inquiry::ask(app, due.payment_id).await {
        Ok(found) => found,
        Err(Error::PspUnavailable) => {
            let pause = app.settings.pause(due.tries);
            payments::looked_at(app.db.pool(), due, Some(now + pause), false).await?;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let Some(found) = found else {
        payments::looked_at(app.db.pool(), due, Some(now + REST), false).await?;
        return Ok(());
    };
    let payment = &found.payment;
    let mut undecided = false;
    if found.goes_back || payment.refunded > 0 || payment.disputed > 0 {
        money_back::ask(app, due.payment_id).await?;
        let disputes = disputes::of_payment(app.db.pool(), due.payment_id).await?;
        undecided = disputes.iter().any(|dispute| !dispute.status.is_closed());
    }
    let cadences = app.settings.cadences;
    let tries = if found.changed { 1 } else { due.tries };
    let again = now + growing(span(cadences.reconcile_after), tries, REST);
    let next = match found.payment.state {
        State::Pending | State::Authorized => Some(again),
        State::Captured => Some(match found.available_at {
            Some(at) => at,
            None if found.changed => now + span(cadences.settle_after),
            None => again,
        }),
        // Its fee is booked then.
        State::Refunded => found.available_at,
        State::Completed | State::Failed | State::Expired | State::Cancelled => None,
    };
    // What a bank decides may never be told.
    let next = next.into_iter().chain(undecided.then_some(again)).min();
    payments::looked_at(app.db.pool(), due, next, found.changed).await?;
    Ok(())
}

/// A call without an answer: for a day the same call is made again, with the same key and bytes; then, and beside it,
/// the provider's list is searched for the intent that names the payment. A fresh key would be a second charge.
async fn resolve(app: &App, due: &Due, called: Called) -> Result<(), Error> {
    let now = app.clock.now();
    let id = due.payment_id;
    let requested_at = due.requested_at.unwrap_or(called.payment.created_at);
    let age = now - requested_at;
    if age <= REMEMBERED {
        match app.charges.ask_anyway(Box::new(called.clone())).await {
            Ok(asked) => {
                app.charges.finish(&asked, None).await?;
                tracing::info!(payment.id = %id, "the intent of a call without an answer was resolved");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(payment.id = %id, %error, tries = due.tries, "a call to the provider has still no answer");
            }
        }
    }
    if due.tries > 1 || age > REMEMBERED {
        match adopt(app, &called, requested_at, now).await? {
            Listed::Adopted => return Ok(()),
            Listed::None if age > FORGOTTEN && called.payment.ending.is_some() => {
                return control::end_unmade(app, id).await;
            }
            Listed::None | Listed::Unclear => {}
        }
    }
    let unanswered = Unanswered {
        subject: id.get(),
        payment_id: id,
        amount: called.payment.amount,
        since: requested_at,
        detail: "the provider has not answered the call that opens the intent, and lists none",
    };
    unanswered::tell_a_person(app, unanswered).await?;
    let pause = if age > REMEMBERED {
        growing(app.settings.resolve_after, due.tries, REST)
    } else {
        app.settings.pause(due.tries)
    };
    payments::unanswered(app.db.pool(), id, now + pause).await?;
    Ok(())
}

/// What the provider's list has of a call without an answer.
enum Listed {
    /// Its intent, which is recorded now.
    Adopted,
    /// No intent.
    None,
    /// It cannot be read, or has several, or another one than was asked for.
    Unclear,
}

/// Looks for the intent of a call without an answer, and records it.
async fn adopt(
    app: &App,
    called: &Called,
    requested_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Listed, Error> {
    let id = called.payment.payment_id;
    let opened = Span {
        from: requested_at - SKEW,
        until: now.min(requested_at + REMEMBERED) + SKEW,
    };
    let mut found = match app.charges.psp().intents_of(&id.to_string(), opened).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(payment.id = %id, %error, "the provider's intents cannot be listed just now");
            return Ok(Listed::Unclear);
        }
    };
    if found.len() > 1 {
        alarm::raise(
            alarm::SECOND_INTENT,
            Some(id),
            "the provider lists several intents",
        );
        return Ok(Listed::Unclear);
    }
    let Some(intent) = found.pop() else {
        return Ok(Listed::None);
    };
    let is_over = intent.status == "canceled";
    match app.charges.adopt(called.payment.clone(), intent).await {
        Ok(()) => {}
        // What was cancelled can never be paid, whatever it was for.
        Err(Error::IntentMismatch) if is_over => return Ok(Listed::None),
        Err(Error::IntentMismatch) => return Ok(Listed::Unclear),
        Err(error) => return Err(error),
    }
    tracing::info!(payment.id = %id, "the intent of a call without an answer was found in the provider's list");
    Ok(Listed::Adopted)
}

fn span(duration: std::time::Duration) -> Duration {
    Duration::from_std(duration).unwrap_or(REST)
}
