//! The same gift twice within minutes, by a donor who can be known again: written only once the donor has said that both
//! are meant.
//!
//! A donor is known by account, or by the guest token of an earlier pledge, and never by an e-mail address: whoever
//! types somebody else's address learns nothing. Guests without a token take the way of [`crate::gifts`] and are not
//! asked.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use common::{
    auth::tokens::Signer,
    group_commit::Batch,
    ids::{CampaignId, PledgeId, UserId},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    db::{
        pledges::Gift,
        twins::{self, Sought},
    },
    domain::Pledge,
    gifts::{self, answered, write_once},
};

/// How long a second gift of the same amount looks like a mistake, and how long a confirmation is good for.
pub const WINDOW: Duration = Duration::minutes(10);

/// A gift of a donor who can be known again.
pub struct KnownGift {
    /// The gift; its donor is known by its account, by its first pledge, or by both.
    pub gift: Gift,
    /// The confirmation that came with it.
    pub confirm: Option<String>,
}

/// What became of a [`KnownGift`].
pub enum Outcome {
    /// Nothing stood in its way.
    Written(gifts::Outcome),
    /// It looks like this earlier pledge, and nobody has confirmed it.
    Twin(PledgeId),
}

/// Writes gifts of donors who can be known again.
pub struct Twins {
    /// Checks confirmations.
    pub signer: Signer,
}

/// What two gifts have in common that are taken for one: who gives, what for, and how much.
type Likeness = (Uuid, CampaignId, i64);

impl KnownGift {
    /// Under whom the donor is known: account, first pledge.
    fn donors(&self) -> [Option<Uuid>; 2] {
        let account = self.gift.pledge.giver.donor_id.map(UserId::get);
        [account, self.gift.after.map(PledgeId::get)]
    }

    fn likenesses(&self) -> impl Iterator<Item = Likeness> {
        let Pledge {
            campaign_id,
            amount,
            ..
        } = self.gift.pledge;
        let donors = self.donors().into_iter().flatten();
        donors.map(move |donor| (donor, campaign_id, amount.minor))
    }

    fn is_confirmed(&self, earlier: PledgeId, signer: &Signer) -> bool {
        let pledge = &self.gift.pledge;
        self.confirm.as_deref().is_some_and(|token| {
            signer.is_confirmed(token, &subject(pledge, earlier), pledge.created_at)
        })
    }
}

/// The token that lets a gift pass in spite of this earlier one, for a while.
pub fn confirmation(
    signer: &Signer,
    pledge: &Pledge,
    earlier: PledgeId,
    now: DateTime<Utc>,
) -> String {
    signer.confirmation(&subject(pledge, earlier), now + WINDOW)
}

/// What is confirmed: this donor, campaign and amount, after that pledge. A confirmation is good for one gift, since
/// the next one comes after another pledge.
fn subject(pledge: &Pledge, earlier: PledgeId) -> Vec<u8> {
    let donor = pledge.giver.donor_id.map(UserId::get).unwrap_or_default();
    [
        donor.as_bytes().as_slice(),
        pledge.campaign_id.get().as_bytes(),
        &pledge.amount.minor.to_be_bytes(),
        pledge.amount.currency.as_str().as_bytes(),
        earlier.get().as_bytes(),
    ]
    .concat()
}

impl Batch for Twins {
    type Item = KnownGift;
    type Outcome = Outcome;
    const TRANSACTION: bool = true;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[KnownGift],
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let likenesses: Vec<Vec<Likeness>> = items
            .iter()
            .map(|item| item.likenesses().collect())
            .collect();
        // Held until the commit: whoever asks after us sees what we wrote, and nobody asks beside us.
        twins::lock(connection, likenesses.iter().flatten()).await?;
        let scopes: Vec<_> = items.iter().map(|item| item.gift.claim.scope()).collect();
        let finished = common::idempotency::stored(connection, &scopes).await?;
        let sought: Vec<Sought> = items.iter().map(sought).collect();
        let earlier = twins::find(connection, &sought).await?;

        // One after the other, so that two of a batch meet as two of different batches do. A key that comes twice in
        // it is decided once.
        let mut decided: HashMap<[u8; 32], Option<PledgeId>> = HashMap::with_capacity(items.len());
        let mut passed: HashMap<Likeness, PledgeId> = HashMap::new();
        for (n, item) in items.iter().enumerate() {
            let scope = item.gift.claim.scope();
            if finished.contains_key(&scope) || decided.contains_key(&scope) {
                continue;
            }
            let beside = likenesses[n]
                .iter()
                .find_map(|like| passed.get(like))
                .copied();
            let twin = beside
                .or_else(|| earlier.get(&n).copied())
                .filter(|twin| !item.is_confirmed(*twin, &self.signer));
            if twin.is_none() {
                passed.extend(
                    likenesses[n]
                        .iter()
                        .map(|like| (*like, item.gift.pledge.id)),
                );
            }
            decided.insert(scope, twin);
        }
        let written: Vec<&Gift> = items
            .iter()
            .map(|item| &item.gift)
            .filter(|gift| decided.get(&gift.claim.scope()) == Some(&None))
            .collect();
        let mut outcomes = write_once(connection, &written).await?.into_iter();
        Ok(items
            .iter()
            .map(|KnownGift { gift, .. }| {
                let scope = gift.claim.scope();
                if let Some(reply) = finished.get(&scope) {
                    return Outcome::Written(answered(reply, gift));
                }
                match decided.get(&scope).copied().flatten() {
                    Some(twin) => Outcome::Twin(twin),
                    None => Outcome::Written(outcomes.next().unwrap_or(gifts::Outcome::KeyReused)),
                }
            })
            .collect())
    }

    fn before_commit(&self) {
        chassis::failpoint!("pledge.before_known_commit");
    }
}

fn sought(item: &KnownGift) -> Sought {
    let pledge = &item.gift.pledge;
    let [account, after] = item.donors();
    Sought {
        own: pledge.id.get(),
        account,
        after,
        campaign: pledge.campaign_id.get(),
        amount_minor: pledge.amount.minor,
        since: pledge.created_at - WINDOW,
    }
}
