//! What a donor adds to a gift. Pure.

use common::money::{Extras, GivenMoney, Money};

use super::{MAXIMUM, Refusal};

/// A whole, in basis points.
pub const WHOLE: u32 = 10_000;

/// What is charged on top of `gift`: the tip, and, where the donor covers it, `fee_bps` basis points of both for the
/// provider's fee.
///
/// # Errors
/// [`Refusal::InvalidTip`], [`Refusal::UnknownCurrency`], [`Refusal::TipCurrency`], [`Refusal::TipOutOfRange`].
pub fn extras(
    gift: Money,
    tip: Option<&GivenMoney>,
    fee_bps: Option<u32>,
) -> Result<Extras, Refusal> {
    let tip = tip.map_or(Ok(0), |given| tip_on(gift, given))?;
    let covered_fee = fee_bps.map_or(0, |bps| share(gift.minor.saturating_add(tip), bps));
    Ok(Extras { tip, covered_fee })
}

fn tip_on(gift: Money, given: &GivenMoney) -> Result<i64, Refusal> {
    let tip = super::amount(given).map_err(|refusal| match refusal {
        Refusal::InvalidAmount => Refusal::InvalidTip,
        other => other,
    })?;
    if tip.currency != gift.currency {
        return Err(Refusal::TipCurrency);
    }
    if !(0..=MAXIMUM).contains(&tip.minor) {
        return Err(Refusal::TipOutOfRange);
    }
    Ok(tip.minor)
}

/// `bps` basis points of an amount, rounded half to even; none of an amount that is refused anyway.
fn share(amount: i64, bps: u32) -> i64 {
    let (whole, product) = (
        i128::from(WHOLE),
        i128::from(amount.max(0)) * i128::from(bps),
    );
    let (floor, rest) = (product / whole, product % whole);
    let up = rest * 2 > whole || (rest * 2 == whole && floor % 2 == 1);
    i64::try_from(floor + i128::from(up)).unwrap_or(i64::MAX)
}
