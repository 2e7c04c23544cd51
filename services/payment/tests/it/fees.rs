//! What the provider keeps, it keeps also of money that goes back.

use serde_json::json;
use testkit::eventually;

use crate::world::{Plan, World};

#[tokio::test]
async fn the_fee_of_money_that_went_back_before_it_was_available_is_booked_and_booked_once() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::brisk()
    })
    .await;
    let paid = world.paid(2500, "pm_card_visa").await;
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let fee = eventually("the fee is booked", async || {
        let fee = world.balance("fees").await;
        (fee > 0).then_some(fee)
    })
    .await;
    let there = async || {
        (
            world.balance("psp_receivable").await,
            world.balance("psp_settled").await,
            world.balance("fees").await,
        )
    };
    assert_eq!(there().await, (0, -fee, fee));
    assert_eq!(world.state(&paid.gift).await, "REFUNDED");

    // What comes back from the bank is available at once, and costs no second fee.
    let refunds = world.at_provider("refunds", &paid).await;
    let refund = refunds[0]["id"].as_str().unwrap();
    world.settle(refund, "failed").await;
    world.until(&paid.gift, "COMPLETED").await;
    assert_eq!(there().await, (0, 2500 - fee, fee));
    assert_eq!(world.refunds(&paid).await[0]["status"], json!("FAILED"));
}
