//! What donors do: most pay, some cards are declined first, some click twice, some think better of it.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use uuid::Uuid;

use super::{
    client::{ASKING_CARD, Client, Pledged},
    wire::Operation,
};

const GOOD_CARD: &str = "pm_card_visa";
const BAD_CARD: &str = "pm_card_chargeDeclined";

/// A card whose owner complains to the bank later.
const DISPUTING_CARD: &str = "pm_card_createDispute";
/// A card that a refund never reaches: it fails after a while.
const CLOSED_CARD: &str = "pm_card_refundFail";

/// So many declines of one donor are the last: the payment ends, and no other is opened for an hour.
const DECLINES: usize = 5;

/// How a gift goes, and how many of twenty-four go so.
const STORIES: [(Story, u32); 13] = [
    (Story::Pays, 4),
    (Story::PaysAtSecondTry, 2),
    (Story::IsDeclined, 2),
    (Story::IsDeclinedTooOften, 1),
    (Story::ClicksTwice, 3),
    (Story::LeavesBeforePaying, 1),
    (Story::LeavesAtOnce, 1),
    (Story::CallsOff, 1),
    (Story::CallsOffWhilePaying, 2),
    (Story::Proves, 2),
    (Story::Disputes, 2),
    (Story::IsHardToRefund, 1),
    (Story::GivesAgain, 2),
];

#[derive(Clone, Copy, Debug)]
enum Story {
    Pays,
    PaysAtSecondTry,
    IsDeclined,
    IsDeclinedTooOften,
    ClicksTwice,
    LeavesBeforePaying,
    LeavesAtOnce,
    CallsOff,
    CallsOffWhilePaying,
    Proves,
    Disputes,
    IsHardToRefund,
    GivesAgain,
}

/// Gives one gift after another until the time is over, and ends the last one. A donor who stays gives on where what
/// was acknowledged proves nothing yet.
pub(super) async fn give(client: &Client, campaign: Uuid, seed: u64, stays: bool) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    while client.is_open() || (stays && client.is_needed()) {
        let (story, _) = STORIES
            .choose_weighted(&mut random, |(_, weight)| *weight)
            .expect("weights are positive");
        let amount = random.random_range(100..=50_000);
        let asks_again = random.random_bool(0.3);
        let pause = Duration::from_millis(random.random_range(10..=150));
        let tip = random.random_range(1..=900);
        let tip = if random.random_bool(0.3) { tip } else { 0 };
        let wish = client.wish(campaign, amount, tip, random.random_bool(0.3));
        tell(client, &wish, *story, asks_again).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn tell(client: &Client, wish: &Operation, story: Story, asks_again: bool) -> Result<()> {
    let pledged = if matches!(story, Story::ClicksTwice) {
        let (one, other) = try_join(client.pledge(wish), client.pledge(wish)).await?;
        same(client, one.as_ref(), other.as_ref());
        one.or(other)
    } else {
        client.pledge(wish).await?
    };
    let Some(pledged) = pledged else {
        return Ok(());
    };
    if asks_again {
        same(client, Some(&pledged), client.pledge(wish).await?.as_ref());
    }
    let campaign = pledged.gift.campaign;
    client
        .look(&format!("/api/campaigns/{campaign}/totals"), None)
        .await?;
    match story {
        Story::LeavesAtOnce => return Ok(()),
        Story::LeavesBeforePaying => {
            client.open(&pledged).await?;
            return Ok(());
        }
        Story::CallsOff => {
            client.open(&pledged).await?;
            return client.cancel(&pledged).await;
        }
        Story::GivesAgain => give_again(client, &pledged).await?,
        _ => {}
    }
    let secret = if matches!(story, Story::ClicksTwice) {
        let (one, other) = try_join(client.open(&pledged), client.open(&pledged)).await?;
        if let (Some(one), Some(other)) = (&one, &other)
            && one != other
        {
            let payment = pledged.payment_id;
            client.contradict(format!("payment {payment} was opened with two intents"));
        }
        one.or(other)
    } else {
        client.open(&pledged).await?
    };
    let Some(secret) = secret else {
        return Ok(());
    };
    if matches!(story, Story::PaysAtSecondTry | Story::IsDeclined) {
        client.confirm(&pledged, &secret, BAD_CARD).await?;
    }
    if matches!(story, Story::IsDeclined) {
        return Ok(());
    }
    if matches!(story, Story::IsDeclinedTooOften) {
        return insist(client, &pledged, &secret).await;
    }
    let card = match story {
        Story::Proves => ASKING_CARD,
        Story::Disputes => DISPUTING_CARD,
        Story::IsHardToRefund => CLOSED_CARD,
        _ => GOOD_CARD,
    };
    let paying = client.confirm(&pledged, &secret, card);
    if matches!(story, Story::CallsOffWhilePaying) {
        try_join(paying, client.cancel(&pledged)).await?;
    } else {
        paying.await?;
    }
    if matches!(story, Story::Proves) {
        client.prove(&secret).await;
    }
    let (payment, guest) = (pledged.payment_id, Some(pledged.guest_token.as_str()));
    try_join(
        client.look(&format!("/api/payments/{payment}"), guest),
        client.look(&format!("/api/campaigns/{campaign}/donations"), None),
    )
    .await?;
    Ok(())
}

/// Gives the same once more, is asked whether both are meant, and says so. Then gives something else by two clicks with a
/// key each, of which one has to be asked about.
async fn give_again(client: &Client, first: &Pledged) -> Result<()> {
    let amount = first.gift.amount;
    let asked = client.pledge_again(first, amount, None).await?;
    if let Some(confirm) = asked.body["confirm"].as_str() {
        client.pledge_again(first, amount, Some(confirm)).await?;
    }
    let click = || client.pledge_again(first, amount + 1, None);
    try_join(click(), click()).await?;
    Ok(())
}

/// Is declined until no more tries are allowed, and asks for another one all the same. Who is faster than the news of the
/// last decline is let in, and pays.
async fn insist(client: &Client, pledged: &Pledged, secret: &str) -> Result<()> {
    for _ in 0..DECLINES {
        client.confirm(pledged, secret, BAD_CARD).await?;
    }
    if let Some(secret) = client.open(pledged).await? {
        client.confirm(pledged, &secret, GOOD_CARD).await?;
    }
    Ok(())
}

/// One key has one pledge, whatever happened in between.
fn same(client: &Client, one: Option<&Pledged>, other: Option<&Pledged>) {
    if let (Some(one), Some(other)) = (one, other)
        && one.pledge_id != other.pledge_id
    {
        let (one, other) = (one.pledge_id, other.pledge_id);
        client.contradict(format!("one key was told of pledge {one} and of {other}"));
    }
}
