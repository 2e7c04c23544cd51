//! After the database was put back to an older copy: what the topic knows better is written again, and with it the keys
//! under which those pledges were made. A donor who asks again gets the same pledge, and the same bytes.

use std::collections::HashMap;

use chassis::{
    db::Db,
    kafka::{Fault, Kafka, Message},
};
use chrono::{DateTime, Utc};
use common::{
    auth::tokens::Signer,
    events::{PledgeEvent, PledgeKind, topics},
    idempotency::{self, Claim, Reply},
    ids::PledgeId,
};
use http::StatusCode;

use crate::{db::pledges, domain::Pledge, reply::Pledged};

/// How many pledges are written in one transaction.
const PAGE: usize = 500;

/// What the topic tells.
#[derive(Default)]
struct Told {
    newest: HashMap<PledgeId, (PledgeEvent, Option<String>)>,
    /// New pledges with the requests that made them.
    made: Vec<(Claim, PledgeEvent, Option<String>)>,
}

fn hear(told: &mut Told, message: &Message) -> Result<(), Fault> {
    let pledge: PledgeEvent = message.json()?;
    let trace = message.header("traceparent").map(str::to_owned);
    let claim = pledge.claim.as_deref().and_then(Claim::from_text);
    if let Some(claim) = claim.filter(|_| pledge.kind == PledgeKind::Created) {
        told.made.push((claim, pledge.clone(), trace.clone()));
    }
    let known = told.newest.get(&pledge.pledge_id);
    if known.is_none_or(|(known, _)| known.version < pledge.version) {
        told.newest.insert(pledge.pledge_id, (pledge, trace));
    }
    Ok(())
}

/// Writes again what was told since a moment and is not known here. Done twice, it changes nothing more.
///
/// # Errors
/// When the broker or the database is away.
pub async fn put_back(
    db: &Db,
    kafka: &Kafka,
    signer: &Signer,
    public_url: &str,
    since: DateTime<Utc>,
) -> anyhow::Result<()> {
    let told: Told = kafka.recall(topics::PLEDGE.into(), since, hear).await?;
    let newest: Vec<_> = told.newest.into_values().collect();
    let mut written = 0;
    for page in newest.chunks(PAGE) {
        let mut tx = db.begin().await?;
        written += pledges::put_back(&mut tx, page).await?;
        tx.commit().await?;
    }
    let replies: Vec<(Claim, Reply)> = told
        .made
        .into_iter()
        .map(|(claim, created, trace)| {
            let pledged = Pledged::new(&Pledge::from(created), signer, public_url, trace);
            (claim, Reply::json(StatusCode::CREATED, &pledged))
        })
        .collect();
    for page in replies.chunks(PAGE) {
        let mut tx = db.begin().await?;
        let page: Vec<_> = page.iter().map(|(claim, reply)| (claim, reply)).collect();
        idempotency::insert_new(&mut tx, &page).await?;
        tx.commit().await?;
    }
    tracing::info!(
        told = newest.len(),
        written,
        "pledges were written again as they were told"
    );
    Ok(())
}
