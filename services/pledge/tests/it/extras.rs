//! What donors add to a gift is charged, told apart, and no part of the gift.

use common::{events::topics, money::Extras};
use http::StatusCode;
use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{Service, key, signer, usd};

#[tokio::test(flavor = "multi_thread")]
async fn tip_and_covered_fee_are_charged_beside_the_gift_and_told_apart() {
    let service = Service::start().await;
    let events = service.listen(topics::PLEDGE.into());
    let mut body = service.body();
    body["tip"] = json!({"amount": 500, "currency": "USD"});
    body["cover_fee"] = json!(true);
    let made = service.made(&body).await;
    let pledge = &made.body["pledge"];
    let money = |minor: i64| json!({"amount": minor, "currency": "USD"});
    assert_eq!(pledge["amount"], money(2500), "the gift is what it was");
    assert_eq!(pledge["tip"], money(500));
    assert_eq!(pledge["covered_fee"], money(90), "3 % of gift and tip");
    assert_eq!(pledge["total"], money(3090));
    assert_eq!(service.page(&made, "").await, *pledge);
    let ticket = signer()
        .open(
            made.body["ticket"].as_str().expect("a ticket"),
            service.clock.now(),
        )
        .expect("the ticket opens");
    assert_eq!(ticket.amount, usd(3090), "the ticket pays for all of it");
    let extras = Extras {
        tip: 500,
        covered_fee: 90,
    };
    assert_eq!(ticket.extras, extras);
    let event = eventually("the pledge is told of", async || {
        events.lock().expect("nobody panicked").first().cloned()
    })
    .await;
    let event: common::events::PledgeEvent = serde_json::from_value(event).expect("an event");
    assert_eq!((event.amount, event.extras), (usd(2500), extras));
    assert_eq!(event.charge(), Ok(usd(3090)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_covered_fee_is_rounded_half_to_even() {
    let service = Service::start().await;
    // 3 % of these is 4.5, 7.5, 10.5, 3.48, 3.51 and the fee of the most that is taken at once.
    for (amount, fee) in [
        (150, 4),
        (250, 8),
        (350, 10),
        (116, 3),
        (117, 4),
        (97_087_377, 2_912_621),
    ] {
        let mut body = service.body();
        body["amount"]["amount"] = amount.into();
        body["cover_fee"] = json!(true);
        let made = service.made(&body).await;
        assert_eq!(
            made.body["pledge"]["covered_fee"]["amount"], fee,
            "{amount}"
        );
        assert_eq!(made.body["pledge"]["total"]["amount"], amount + fee);
    }
    let mut body = service.body();
    body["amount"]["amount"] = 97_087_380.into();
    body["cover_fee"] = json!(true);
    let reply = service.pledge(&key(), &body).await;
    assert_eq!(testkit::problem_code(reply).await, "charge_out_of_range");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_to_which_nothing_is_added_is_charged_as_it_is() {
    let service = Service::start().await;
    for (tip, cover) in [
        (Value::Null, Value::Null),
        (json!({"amount": 0, "currency": "USD"}), json!(false)),
    ] {
        let mut body = service.body();
        body["tip"] = tip;
        body["cover_fee"] = cover;
        let reply = service.pledge(&key(), &body).await;
        assert_eq!(reply.status(), StatusCode::CREATED);
        let made: Value = reply.json().await.expect("JSON");
        let pledge = &made["pledge"];
        assert_eq!(pledge["total"], pledge["amount"]);
        assert!(pledge.get("tip").is_none() && pledge.get("covered_fee").is_none());
    }
}
