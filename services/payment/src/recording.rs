//! The way out: many payments' intents and the replies that tell of them, in one commit.

use std::collections::{BTreeMap, HashMap, HashSet};

use common::{
    group_commit::Batch,
    idempotency::{self, Claim, Reply, Stored},
    ids::PaymentId,
};
use sqlx::PgConnection;

use crate::db::payments;

/// An intent that the provider answered with, and our reply.
pub struct Recording {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Its intent, unless it was recorded before.
    pub intent: Option<String>,
    /// The key of the request and the reply to store under it, sealed, where it has one.
    pub answer: Option<(Claim, Reply)>,
}

/// What became of a recording.
pub enum Recorded {
    /// It stands, and the reply can go out.
    Stands,
    /// The key has an earlier reply, which goes out instead.
    Replayed(Reply),
    /// The key was used before, for another body.
    KeyReused,
    /// The payment has another intent.
    SecondIntent,
}

/// The writer of recordings.
pub struct Recordings;

impl Batch for Recordings {
    type Item = Recording;
    type Outcome = Recorded;
    const TRANSACTION: bool = true;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[Recording],
    ) -> Result<Vec<Recorded>, sqlx::Error> {
        let mut answered: BTreeMap<PaymentId, &str> = BTreeMap::new();
        for item in items {
            if let Some(intent) = &item.intent {
                answered.entry(item.payment_id).or_insert(intent);
            }
        }
        let answered: Vec<_> = answered.into_iter().collect();
        let known = payments::record_intents(connection, &answered).await?;
        let second = |item: &Recording| {
            item.intent.is_some() && item.intent.as_ref() != known.get(&item.payment_id)
        };
        // The first of a key in this batch is stored; its twins get the same bytes.
        let mut first: BTreeMap<[u8; 32], (&Claim, &Reply)> = BTreeMap::new();
        for item in items.iter().filter(|item| !second(item)) {
            if let Some((claim, reply)) = &item.answer {
                first.entry(claim.scope()).or_insert((claim, reply));
            }
        }
        let finished: Vec<_> = first.values().copied().collect();
        let written = idempotency::insert_new(connection, &finished).await?;
        let lost: Vec<_> = first
            .keys()
            .filter(|scope| !written.contains(*scope))
            .copied()
            .collect();
        let stored = match lost.as_slice() {
            [] => HashMap::new(),
            lost => idempotency::stored(connection, lost).await?,
        };
        let outcome = |item: &Recording| match &item.answer {
            _ if second(item) => Recorded::SecondIntent,
            Some((claim, reply)) => judge(claim, reply, &first, &written, &stored),
            None => Recorded::Stands,
        };
        Ok(items.iter().map(outcome).collect())
    }
}

fn judge(
    claim: &Claim,
    reply: &Reply,
    first: &BTreeMap<[u8; 32], (&Claim, &Reply)>,
    written: &HashSet<[u8; 32]>,
    stored: &HashMap<[u8; 32], Stored>,
) -> Recorded {
    let scope = claim.scope();
    let earlier = if written.contains(&scope) {
        let (winner, earlier) = first[&scope];
        (winner == claim).then(|| earlier.clone().replayed())
    } else {
        stored
            .get(&scope)
            .and_then(|stored| stored.clone().reply_for(claim).ok())
    };
    match earlier {
        None => Recorded::KeyReused,
        // Our own bytes: stored now, or by a try whose answer was lost with its connection.
        Some(earlier) if earlier.body == reply.body => Recorded::Stands,
        Some(earlier) => Recorded::Replayed(earlier),
    }
}
