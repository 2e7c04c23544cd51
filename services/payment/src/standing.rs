//! The standing rule of a campaign that was called off: whatever it took goes back, once for each payment, whenever it
//! was captured.
//!
//! A batch is no list: each round looks at what the campaign's payments hold now. So a crash resumes where it was, and
//! a capture that comes after the last round is found by the next.

use std::time::Duration;

use common::{ids::PaymentId, payment::State};
use uuid::Uuid;

use crate::{
    app::App,
    db::{
        batches::{self, Sum},
        campaigns, payments,
    },
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

/// What is still to go back, in minor units, and of how many payments.
pub fn due(sums: &[Sum]) -> (i64, i64) {
    let captured = |sum: &&Sum| ["CAPTURED", "COMPLETED"].contains(&sum.of.as_str());
    sums.iter()
        .filter(captured)
        .fold((0, 0), |(count, minor), sum| {
            (count + sum.count, minor + sum.amount.minor)
        })
}

/// One round over the batches whose time has come.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &App) -> Result<(), Error> {
    while !app.life.is_stopping() {
        let now = app.clock.now();
        let Some(batch) = batches::take_due(app.db.pool(), now, app.settings.pause(HOLD)).await?
        else {
            break;
        };
        run(app, batch).await?;
    }
    Ok(())
}

async fn run(app: &App, mut batch: Batch) -> Result<(), Error> {
    let was = batch.state;
    let campaign = campaigns::find(app.db.pool(), batch.campaign_id).await?;
    let is_off = was != BatchState::Planned && !chassis::guard!("standing_refund");
    if is_off || !campaign.is_some_and(|campaign| batch.applies(&campaign)) {
        return rest(app, &batch, was).await;
    }
    for state in [State::Pending, State::Authorized] {
        call_off(app, &batch, state).await?;
    }
    if was == BatchState::Planned {
        let (count, minor) = due(&batches::payments(app.db.pool(), batch.campaign_id).await?);
        batch.plan(count, minor, app.settings.pace.approval_from);
        batch.updated_at = app.clock.now();
        let id = batch.campaign_id;
        tracing::info!(campaign.id = %id, count, minor, state = batch.state.as_str(), "a batch of refunds was planned");
        // What runs is taken up again at once.
        batches::save(app.db.pool(), &batch, was, batch.updated_at).await?;
        return Ok(());
    }
    let mut whole = true;
    for state in [State::Captured, State::Completed] {
        whole &= give_back(app, &batch, state).await?;
    }
    if whole && was == BatchState::Running {
        batch.state = BatchState::Done;
        batch.updated_at = app.clock.now();
    }
    rest(app, &batch, was).await
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

/// Writes how far the batch is; it is looked at again soon.
async fn rest(app: &App, batch: &Batch, was: BatchState) -> Result<(), Error> {
    let again = app.clock.now() + app.settings.resolve_after;
    batches::save(app.db.pool(), batch, was, again).await?;
    Ok(())
}

/// Gives back what payments in this state hold; false where the batch was stopped, or something has to be tried again.
async fn give_back(app: &App, batch: &Batch, state: State) -> Result<bool, Error> {
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
            // An admin may stop it between any two, and whoever says that it goes on has it for longer.
            let now = app.clock.now();
            let goes_on =
                batches::save(pool, batch, batch.state, now + app.settings.pause(HOLD)).await?;
            if !goes_on || app.life.is_stopping() {
                return Ok(false);
            }
            let reason = "the campaign was called off";
            match refunding::by_rule(app, id, Cause::Standing, reason).await {
                Ok(true) => tokio::time::sleep(app.settings.pace.pause).await,
                Ok(false) => {}
                Err(error) => {
                    whole = false;
                    tracing::warn!(payment.id = %id, %error, "a gift goes back later");
                }
            }
        }
    }
}
