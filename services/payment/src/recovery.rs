//! After the database was put back to an older copy. What was promised since is read off the pledges' topic, and what was
//! told off our own: payments that were forgotten are made again, each with the same id and so the same intent, and
//! versions go on above those that were told. Which of them were opened the provider lists, and that is recorded before
//! anybody expires or calls off what seems never to have been opened. What became of the money only the provider knows,
//! and it is asked about everything that can still move.

use std::collections::{BTreeMap, HashMap};

use chassis::{
    db::{Db, Tx},
    kafka::{Fault, Kafka, Message},
};
use chrono::{DateTime, Duration, Utc};
use common::{
    events::{PaymentEvent, PledgeEvent, topics},
    ids::{PaymentId, PledgeId},
    outbox,
};

use crate::{
    db::{
        lookup, parked,
        payments::{self, NewPayment, Saved},
        refunds,
        restatements::{self, Restated},
        sweeps,
    },
    domain::{Change, Origin, Payment},
    provider::{Span, Stripe},
    transition::{self, Made},
};

/// What moves a payment whose end was told and forgotten.
const CAUSE: &str = "recovered";
/// How far the provider's clock may differ from ours.
const SKEW: Duration = Duration::minutes(5);
/// How many pledges are put right in one transaction.
const PAGE: usize = 200;

/// What the topics tell of one pledge.
#[derive(Default)]
struct Lost {
    pledge: Option<(PledgeEvent, Option<String>)>,
    /// The newest snapshot of each attempt.
    attempts: BTreeMap<i32, PaymentEvent>,
}

type Pledges = BTreeMap<PledgeId, (PledgeEvent, Option<String>)>;
type Payments = HashMap<PaymentId, PaymentEvent>;

/// Puts right what was told since a moment. Done twice, it tells everything once more, and nothing else.
///
/// # Errors
/// When the broker, the provider or the database is away.
pub async fn put_right(
    db: &Db,
    kafka: &Kafka,
    psp: &Stripe,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
) -> anyhow::Result<()> {
    let pledges: Pledges = kafka.recall(topics::PLEDGE.into(), since, promised).await?;
    let told: Payments = kafka.recall(topics::PAYMENT.into(), since, paid).await?;
    let mut lost: BTreeMap<PledgeId, Lost> = BTreeMap::new();
    for (id, pledge) in pledges {
        lost.entry(id).or_default().pledge = Some(pledge);
    }
    for told in told.into_values() {
        let lost = lost.entry(told.pledge_id).or_default();
        lost.attempts.insert(told.attempt, told);
    }
    let lost: Vec<Lost> = lost.into_values().collect();
    let (mut made, mut restated) = (0, 0);
    for page in lost.chunks(PAGE) {
        let mut tx = db.begin().await?;
        let done = put_page_right(&mut tx, page, now).await?;
        tx.commit().await?;
        made += done.0;
        restated += done.1;
    }
    record_intents(db, psp, now, since).await?;
    let mut tx = db.begin().await?;
    payments::ask_now(&mut tx, now).await?;
    refunds::look_now(&mut tx, now).await?;
    parked::judge_now(&mut tx, now).await?;
    sweeps::read_again(&mut *tx, since, now).await?;
    tx.commit().await?;
    tracing::info!(
        pledges = lost.len(),
        made,
        restated,
        "payments were made again, and told anew"
    );
    Ok(())
}

/// Records the intents that the provider lists since a moment, where their payments know of none.
async fn record_intents(
    db: &Db,
    psp: &Stripe,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
) -> anyhow::Result<()> {
    let opened = Span {
        from: since - SKEW,
        until: now + SKEW,
    };
    let listed = psp.intents(sweeps::INTENTS_PATH, opened).await;
    let listed = listed.map_err(|failure| anyhow::anyhow!("the provider's intents: {failure}"))?;
    let named: Vec<(PaymentId, &str)> = listed
        .iter()
        .filter_map(|listed| {
            let id = listed.payment_id()?.parse().ok()?;
            Some((id, listed.intent.id.as_str()))
        })
        .collect();
    for page in named.chunks(PAGE) {
        let mut tx = db.begin().await?;
        payments::record_intents(&mut tx, page).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn promised(pledges: &mut Pledges, message: &Message) -> Result<(), Fault> {
    let pledge: PledgeEvent = message.json()?;
    let trace = message.header("traceparent").map(str::to_owned);
    pledges.entry(pledge.pledge_id).or_insert((pledge, trace));
    Ok(())
}

fn paid(payments: &mut Payments, message: &Message) -> Result<(), Fault> {
    let told: PaymentEvent = message.json()?;
    let known = payments.get(&told.payment_id);
    if known.is_none_or(|known| known.version < told.version) {
        payments.insert(told.payment_id, told);
    }
    Ok(())
}

/// Attempt by attempt, for a later one exists only once the one before it has ended. Gives how many payments were made
/// again, and how many were told anew.
async fn put_page_right(
    tx: &mut Tx,
    page: &[Lost],
    now: DateTime<Utc>,
) -> Result<(usize, usize), anyhow::Error> {
    let (mut made, mut restated) = (0, 0);
    let mut before: HashMap<PledgeId, Payment> = HashMap::new();
    let last = page.iter().filter_map(|lost| lost.attempts.keys().last());
    for attempt in 1..=last.copied().max().unwrap_or(1) {
        let new: Vec<(NewPayment, outbox::Row)> = page
            .iter()
            .filter_map(|lost| lost.missing(attempt, &before, now))
            .collect();
        let rows: Vec<&NewPayment> = new.iter().map(|(payment, _)| payment).collect();
        let inserted = payments::insert_new(tx, &rows).await?;
        made += inserted.len();
        let told: HashMap<PaymentId, &PaymentEvent> = page
            .iter()
            .filter_map(|lost| lost.attempts.get(&attempt))
            .map(|told| (told.payment_id, told))
            .collect();
        let untold: Vec<outbox::Row> = new
            .into_iter()
            .filter(|(new, _)| {
                let id = new.payment.payment_id;
                inserted.contains(&id) && !told.contains_key(&id)
            })
            .map(|(_, created)| created)
            .collect();
        outbox::insert_all(tx, &untold).await?;
        let ids: Vec<PaymentId> = told.keys().copied().collect();
        let stand = lookup::lock(tx, &ids, &[]).await?;
        for id in ids
            .iter()
            .filter(|id| !stand.iter().any(|stood| stood.payment_id == **id))
        {
            tracing::error!(payment.id = %id, "a payment that was told is not known, and cannot be made again");
        }
        before = stand
            .into_iter()
            .map(|stood| (stood.pledge_id, stood))
            .collect();
        restated += restate(tx, before.values_mut(), &told, now).await?;
    }
    Ok((made, restated))
}

impl Lost {
    /// The payment of this attempt, to be made where it is not there, and the event that tells of it.
    fn missing(
        &self,
        attempt: i32,
        before: &HashMap<PledgeId, Payment>,
        now: DateTime<Utc>,
    ) -> Option<(NewPayment, outbox::Row)> {
        let (payment, created) = if attempt == 1 {
            let (pledge, trace) = self.pledge.clone()?;
            Payment::first(Origin::of(pledge, trace).ok()?, now)
        } else {
            let told = self.attempts.get(&attempt)?;
            let before = before.get(&told.pledge_id)?;
            if before.state.is_live() {
                return None;
            }
            before.again(now)
        };
        let told = outbox::Row::of(&created, payment.traceparent.clone());
        let new = NewPayment {
            frozen: payment.frozen(),
            payment,
            retry_at: None,
            client: None,
        };
        Some((new, told))
    }
}

/// Tells payments anew that were told further than they are known, and gives how many these are.
async fn restate(
    tx: &mut Tx,
    payments: impl Iterator<Item = &mut Payment>,
    told: &HashMap<PaymentId, &PaymentEvent>,
    now: DateTime<Utc>,
) -> Result<usize, sqlx::Error> {
    let mut changed: Vec<(i64, &Payment, Change)> = Vec::new();
    for payment in payments {
        let from = payment.version;
        let told = told.get(&payment.payment_id);
        if let Some(change) = told.and_then(|told| payment.restate(told, now)) {
            changed.push((from, payment, change));
        }
    }
    let saved: Vec<Saved<'_>> = changed
        .iter()
        .map(|(was, payment, _)| Saved { payment, was: *was })
        .collect();
    let made: Vec<Made<'_>> = changed
        .iter()
        .map(|(_, payment, change)| Made::by(CAUSE, None, payment, change))
        .collect();
    let restated: Vec<Restated> = changed
        .iter()
        .map(|(from, payment, _)| Restated {
            payment_id: payment.payment_id,
            from: *from,
            version: payment.version,
        })
        .collect();
    transition::write(tx, &saved, &made).await?;
    restatements::insert(tx, &restated, now).await?;
    Ok(restated.len())
}
