//! The standing rule of a campaign that was called off: whatever it took goes back, once for each payment, whenever it
//! was captured.
//!
//! A batch is no list: each round looks at what the campaign's payments hold now. So a crash resumes where it was, and
//! a capture that comes after the last round is found by the next.

use std::time::Duration;

use common::{ids::PaymentId, payment::State};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::{
    app::App,
    db::{batches, campaigns, payments},
    domain::{Batch, BatchState, Cause, Ending},
    error::Error,
    refunding,
};

/// How many payments are read at once.
const PAGE: i64 = 100;
/// How long whoever takes a batch has it, unless it says that it is still at it, in pauses before a call is repeated. Who
/// dies keeps the others from it for so long; two at once do no harm, for a payment is locked and a rule refunds it once.
const HOLD: i32 = 2;

/// How fast a batch goes, and from which sum on an admin must approve it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What runs without an approval, in minor units.
    pub approval_from: i64,
    /// How long after one refund the next is made.
    pub pause: Duration,
}

/// Lets the refunds of all batches of this process through, one after another.
pub struct Pacer {
    pause: Duration,
    next: Option<Instant>,
}

impl Pacer {
    /// The first is let through at once, and each other no sooner than `pause` after the one before.
    pub const fn new(pause: Duration) -> Self {
        Self { pause, next: None }
    }

    /// Waits until the next may go.
    pub async fn turn(&mut self) {
        if let Some(at) = self.next {
            sleep_until(at).await;
        }
        self.next = Some(Instant::now() + self.pause);
    }
}

/// One round over the batches whose time has come.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &App, pacer: &mut Pacer) -> Result<(), Error> {
    while !app.life.is_stopping() {
        let now = app.clock.now();
        let Some(batch) = batches::take_due(app.db.pool(), now, app.settings.pause(HOLD)).await?
        else {
            break;
        };
        run(app, batch, pacer).await?;
    }
    Ok(())
}

async fn run(app: &App, batch: Batch, pacer: &mut Pacer) -> Result<(), Error> {
    let is_off = batch.state != BatchState::Planned && !chassis::guard!("standing_refund");
    if is_off || !applies(app, &batch).await? {
        return rest(app, &batch, seldom(app)).await;
    }
    if batch.calls_off() {
        for state in [State::Pending, State::Authorized] {
            call_off(app, &batch, state).await?;
        }
    }
    match batch.state {
        BatchState::Planned => plan(app, batch).await,
        BatchState::AwaitingApproval | BatchState::Paused => {
            rest(app, &batch, app.settings.resolve_after).await
        }
        BatchState::Running | BatchState::Done => go_on(app, &batch, pacer).await,
    }
}

async fn applies(app: &App, batch: &Batch) -> Result<bool, Error> {
    let campaign = campaigns::find(app.db.pool(), batch.campaign_id).await?;
    Ok(campaign.is_some_and(|campaign| batch.applies(&campaign)))
}

async fn plan(app: &App, mut batch: Batch) -> Result<(), Error> {
    let id = batch.campaign_id;
    let (count, minor) = batches::due(app.db.pool(), id).await?;
    batch.plan(count, minor, app.settings.pace.approval_from);
    tracing::info!(campaign.id = %id, count, minor, state = batch.state.as_str(), "a batch of refunds was planned");
    batches::count(app.db.pool(), &batch, app.clock.now()).await?;
    Ok(())
}

async fn go_on(app: &App, batch: &Batch, pacer: &mut Pacer) -> Result<(), Error> {
    let mut whole = true;
    for state in [State::Captured, State::Completed] {
        whole &= give_back(app, batch, state, pacer).await?;
    }
    if !whole {
        return rest(app, batch, app.settings.resolve_after).await;
    }
    rest(app, batch, seldom(app)).await?;
    if batch.state == BatchState::Running {
        batches::done(app.db.pool(), batch, app.clock.now()).await?;
    }
    Ok(())
}

/// Calls off what can still be charged or is held: the worker of endings asks the provider. Whoever has paid by then has
/// given to a campaign that gives back.
async fn call_off(app: &App, batch: &Batch, state: State) -> Result<(), Error> {
    let mut after = PaymentId::from(Uuid::nil());
    loop {
        let page = batches::next(app.db.pool(), batch.campaign_id, state, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = *last;
        let mut tx = app.db.begin().await?;
        payments::end(&mut tx, &page, Ending::CampaignClosed, app.clock.now()).await?;
        tx.commit().await?;
    }
}

/// The batch is looked at again after so long.
async fn rest(app: &App, batch: &Batch, pause: chrono::Duration) -> Result<(), Error> {
    batches::look_at(app.db.pool(), batch, app.clock.now() + pause).await?;
    Ok(())
}

/// How long a batch rests of which nothing is left to do that is known.
fn seldom(app: &App) -> chrono::Duration {
    let pause = chrono::Duration::from_std(app.settings.cadences.reconcile_after);
    pause.unwrap_or(app.settings.resolve_after)
}

/// Gives back what payments in this state hold; false where the batch was stopped, or something has to be tried again.
async fn give_back(
    app: &App,
    batch: &Batch,
    state: State,
    pacer: &mut Pacer,
) -> Result<bool, Error> {
    let (pool, campaign) = (app.db.pool(), batch.campaign_id);
    let mut after = PaymentId::from(Uuid::nil());
    let mut whole = true;
    loop {
        let page = batches::next(pool, campaign, state, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(whole);
        };
        after = *last;
        for id in page {
            tokio::select! {
                () = pacer.turn() => {}
                () = app.life.stopping() => return Ok(false),
            }
            // An admin may stop it between any two, or let the campaign go on; and whoever says that the batch goes on
            // has it for longer.
            let until = app.clock.now() + app.settings.pause(HOLD);
            if !batches::look_at(pool, batch, until).await? || !applies(app, batch).await? {
                return Ok(false);
            }
            let reason = "the campaign was called off";
            if let Err(error) = refunding::by_rule(app, id, Cause::Standing, reason).await {
                whole = false;
                tracing::warn!(payment.id = %id, %error, "a gift goes back later");
            }
        }
    }
}
