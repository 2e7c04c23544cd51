//! The hot path: pledge, contact, events and reply of many requests in one statement.

use std::collections::{HashMap, HashSet};

use common::{
    group_commit::Batch,
    idempotency::{Error as KeyError, Reply},
};
use sqlx::PgConnection;

use crate::db::{self, pledges::Gift};

/// What became of a [`Gift`].
pub enum Outcome {
    /// It is stored.
    Stored,
    /// Its key was used before, for the same body: this was answered.
    Replayed(Reply),
    /// Its key was used before, for another body.
    KeyReused,
}

/// Writes gifts.
pub struct Gifts;

impl Batch for Gifts {
    type Item = Gift;
    type Outcome = Outcome;
    const TRANSACTION: bool = false;

    async fn write(
        &self,
        connection: &mut PgConnection,
        gifts: &[Gift],
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let outcomes = write_once(connection, &gifts.iter().collect::<Vec<_>>()).await?;
        chassis::failpoint!("pledge.after_commit");
        Ok(outcomes)
    }
}

/// Writes each gift whose key is new, and gives one outcome for each.
pub async fn write_once(
    connection: &mut PgConnection,
    gifts: &[&Gift],
) -> Result<Vec<Outcome>, sqlx::Error> {
    // The same key twice in a batch is folded here: `on conflict do nothing` would skip the second row, but the
    // join that makes its pledge would not. In key order, so that two replicas wait for each other instead of
    // deadlocking.
    let mut first: HashMap<[u8; 32], &Gift> = HashMap::with_capacity(gifts.len());
    for &gift in gifts {
        first.entry(gift.claim.scope()).or_insert(gift);
    }
    let mut chosen: Vec<&Gift> = first.values().copied().collect();
    chosen.sort_unstable_by_key(|gift| gift.claim.scope());
    let written = db::pledges::insert_new(connection, &chosen).await?;
    let lost: HashSet<[u8; 32]> = first
        .keys()
        .filter(|scope| !written.contains(*scope))
        .copied()
        .collect();
    let stored = if lost.is_empty() {
        HashMap::new()
    } else {
        let scopes: Vec<_> = lost.into_iter().collect();
        common::idempotency::stored(connection, &scopes).await?
    };
    Ok(gifts
        .iter()
        .map(|gift| outcome(gift, &first, &stored))
        .collect())
}

fn outcome(
    gift: &Gift,
    first: &HashMap<[u8; 32], &Gift>,
    stored: &HashMap<[u8; 32], common::idempotency::Stored>,
) -> Outcome {
    let scope = gift.claim.scope();
    let Some(earlier) = stored.get(&scope) else {
        let winner = first[&scope];
        return if std::ptr::eq(winner, gift) {
            Outcome::Stored
        } else if winner.claim == gift.claim {
            Outcome::Replayed(winner.reply.clone().replayed())
        } else {
            Outcome::KeyReused
        };
    };
    answered(earlier, gift)
}

/// What a gift gets whose key has a finished reply.
pub fn answered(earlier: &common::idempotency::Stored, gift: &Gift) -> Outcome {
    match earlier.clone().reply_for(&gift.claim) {
        // The batch was written before and its answer lost with the connection: these are our own bytes.
        Ok(reply) if reply.body == gift.reply.body => Outcome::Stored,
        Ok(reply) => Outcome::Replayed(reply),
        Err(KeyError::KeyReused | KeyError::InProgress | KeyError::Database(_)) => {
            Outcome::KeyReused
        }
    }
}
