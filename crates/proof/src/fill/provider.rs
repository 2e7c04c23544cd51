//! What the provider's simulator would have written of the made-up gifts, in the form of its ledger.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::Plan;
use super::gift::{Gift, Of};

/// Appends each gift to the ledger, and gives the number of lines. Its intent is born with its charge: one line where
/// the simulator would have written one for each call, which is as good to whoever reads the last word on an intent.
pub(super) fn write(ledger: &Path, plan: &Plan) -> Result<u64> {
    let what = || format!("cannot write {}", ledger.display());
    if let Some(folder) = ledger.parent() {
        std::fs::create_dir_all(folder).with_context(what)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(ledger)
        .with_context(what)?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    for gift in plan.gifts() {
        line(&mut file, &gift).with_context(what)?;
    }
    let file = file.into_inner().with_context(what)?;
    file.sync_all().with_context(what)?;
    Ok(2 * plan.gifts)
}

/// The charge, and that we have acknowledged what was told of it.
fn line(file: &mut impl Write, gift: &Gift) -> std::io::Result<()> {
    let intent = gift.object("pi", Of::Intent);
    let charge = gift.object("ch", Of::Charge);
    let transaction = gift.object("txn", Of::Transaction);
    let event = gift.object("evt", Of::Event);
    let (made, taken) = (gift.created.timestamp(), gift.captured.timestamp());
    let (at, available) = (
        gift.captured.timestamp_millis(),
        gift.available.timestamp_millis(),
    );
    let Gift {
        amount,
        fee,
        payment,
        pledge,
        ..
    } = gift;
    writeln!(
        file,
        "{{\"fact\":{{\"kind\":\"intent.created\",\"at\":{at},\"intent\":{{\"terms\":{{\"id\":\"{intent}\",\
         \"client_secret\":\"{intent}_secret_{secret}\",\"amount\":{amount},\"currency\":\"usd\",\
         \"capture_method\":\"automatic\",\"created\":{made},\"automatic_payment_methods\":true,\
         \"metadata\":{{\"payment_id\":\"{payment}\",\"pledge_id\":\"{pledge}\"}}}},\"status\":\"succeeded\",\
         \"capturable\":0,\"received\":{amount},\"payment_method\":\"pm_card_visa\",\"latest_charge\":\"{charge}\"}},\
         \"charge\":{{\"id\":\"{charge}\",\"created\":{taken},\"payment_method\":\"pm_card_visa\",\"captured\":true,\
         \"amount_captured\":{amount},\"transaction\":{{\"id\":\"{transaction}\",\"created\":{taken},\
         \"available_at\":{available},\"kind\":\"charge\",\"amount\":{amount},\"fee\":{fee},\"source\":\"{charge}\"}}}},\
         \"events\":[{{\"id\":\"{event}\",\"type\":\"payment_intent.succeeded\"}}]}}}}\n{{\"delivered\":\"{event}\"}}",
        secret = gift.noise(Of::Key, 12),
    )
}
