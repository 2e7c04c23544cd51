//! Payments added up as their topic tells of them, by a sum of the audit's own: no line of it is shared with the services.

use std::collections::HashMap;

use common::payment::State;
use uuid::Uuid;

use super::topics::Snapshot;

/// What the payments of a campaign in one currency add up to, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pledged: i64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    disputed: i64,
}

impl Sums {
    fn add(&mut self, payment: &Snapshot) {
        let (charged, extras) = (payment.amount.minor, payment.extras.sum());
        let gift = |minor| share(minor, charged - extras, charged);
        let captured = gift(payment.captured);
        let refunded = gift(payment.refunded);
        match payment.state {
            State::Pending => self.pledged += charged - extras,
            State::Authorized => self.authorized += gift(payment.authorized) - captured,
            _ => {}
        }
        self.captured += captured;
        self.refunded += refunded;
        self.disputed += gift(payment.refunded + payment.disputed) - refunded;
    }

    /// The row of `told_sums`.
    pub(super) fn row(&self, campaign: Uuid, currency: &str) -> String {
        let Self {
            pledged,
            authorized,
            captured,
            refunded,
            disputed,
        } = self;
        format!(
            "{campaign}\t{currency}\t{pledged}\t{authorized}\t{captured}\t{refunded}\t{disputed}"
        )
    }
}

/// Adds payments up, by campaign and currency.
pub(super) fn of<'a>(
    payments: impl Iterator<Item = &'a Snapshot>,
) -> HashMap<(Uuid, &'a str), Sums> {
    let mut sums: HashMap<(Uuid, &str), Sums> = HashMap::new();
    for payment in payments {
        let of = (payment.campaign_id, payment.amount.currency.as_str());
        sums.entry(of).or_default().add(payment);
    }
    sums
}

/// `amount * part / whole`, rounded half to even.
fn share(amount: i64, part: i64, whole: i64) -> i64 {
    let (product, whole) = (i128::from(amount) * i128::from(part), i128::from(whole));
    let (floor, twice) = (product / whole, product % whole * 2);
    let up = twice > whole || twice == whole && floor % 2 == 1;
    i64::try_from(floor + i128::from(up)).unwrap_or(amount)
}
