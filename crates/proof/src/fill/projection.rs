//! What donations that went well leave in the tables of the totals service.

use super::copy::Row;
use super::gift::Gift;

pub(super) fn watermark(row: &mut Row, gift: &Gift) {
    row.set("payment_id", gift.payment);
    row.set("campaign_id", gift.campaign);
    row.set("donor_ref", gift.donor_ref());
    row.set("version", gift.payment_version());
    row.set("pledged", 0);
    row.set("authorized", 0);
    row.set("captured", gift.amount);
    row.set("refunded", 0);
    row.set("disputed", 0);
    row.set("pledge_id", gift.pledge);
    row.set_at("given_at", gift.captured);
}

pub(super) fn donation(row: &mut Row, gift: &Gift) {
    row.set("pledge_id", gift.pledge);
    row.set("campaign_id", gift.campaign);
    row.set("currency", "USD");
    row.set("pledge_version", 2);
    row.set("visibility", gift.visibility.as_str());
    row.set_opt("public_name", gift.public_name());
    row.set_opt("message", gift.message());
    row.set("net", gift.amount);
    row.set_at("given_at", gift.captured);
}

/// What moved the buckets: the promise, and the capture.
pub(super) fn moves(gift: Gift) -> impl Iterator<Item = (Gift, bool)> + Clone {
    [(gift, false), (gift, true)].into_iter()
}

pub(super) fn moved(row: &mut Row, (gift, captures): &(Gift, bool)) {
    row.set("campaign_id", gift.campaign);
    row.set("generation", 0);
    row.set("payment_id", gift.payment);
    row.set("version", if *captures { 2 } else { 1 });
    let cause = if *captures {
        "payment.captured"
    } else {
        "payment.created"
    };
    row.set("cause", cause);
    let sign = if *captures { -1 } else { 1 };
    row.set("pledged", sign * gift.amount);
    row.set("authorized", 0);
    row.set("captured", if *captures { gift.amount } else { 0 });
    row.set("refunded", 0);
    row.set("disputed", 0);
    row.set_at(
        "at",
        if *captures {
            gift.captured
        } else {
            gift.created
        },
    );
}
