//! What a donor adds to a gift for the platform, and how a part of a charge divides among them.

use serde::{Deserialize, Serialize};

/// What is charged beside the gift, in minor units of its currency. It never counts as raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// Given to the platform.
    #[serde(default)]
    pub tip: i64,
    /// Given so that the provider's fee does not weigh on the platform.
    #[serde(default)]
    pub covered_fee: i64,
}

/// An amount by what it is for, in minor units; the three sum to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The campaign's.
    pub gift: i64,
    /// The platform's.
    pub tip: i64,
    /// Towards the provider's fee.
    pub covered_fee: i64,
}

impl Extras {
    /// Both together.
    pub const fn sum(self) -> i64 {
        self.tip.saturating_add(self.covered_fee)
    }

    /// Whether there are none, as for most gifts.
    pub const fn is_none(&self) -> bool {
        self.tip == 0 && self.covered_fee == 0
    }

    /// What `amount`, out of a whole charge of `charged`, is for: pro rata, the gift rounded half to even once, what is
    /// left over on the platform's side.
    ///
    /// It is meant for amounts since the beginning (all that was captured so far, all that was refunded so far): these
    /// only grow with the amount, and the whole charge divides exactly as the donor chose.
    pub fn split(self, charged: i64, amount: i64) -> Parts {
        let gift = pro_rata(amount, charged.saturating_sub(self.sum()), charged);
        let rest = amount - gift;
        let tip = pro_rata(rest, self.tip, self.sum());
        Parts {
            gift,
            tip,
            covered_fee: rest - tip,
        }
    }
}

/// `amount * share / whole`, rounded half to even; everything where the whole is nothing.
fn pro_rata(amount: i64, share: i64, whole: i64) -> i64 {
    if whole == 0 || share == whole {
        return amount;
    }
    let (product, whole) = (i128::from(amount) * i128::from(share), i128::from(whole));
    let (floor, rest) = (product.div_euclid(whole), product.rem_euclid(whole));
    let up = match (rest * 2).cmp(&whole.abs()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(floor + i128::from(up)).unwrap_or(amount)
}
