//! A gift has one receipt, numbered without gaps, and nothing changes it.

use std::collections::BTreeSet;

use common::{
    events::{PaymentEvent, PaymentKind},
    money::Extras,
    payment::State,
};
use http::StatusCode;
use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{Made, Service, config, problem, usd};

async fn until_receipt(service: &Service, made: &Made) -> Value {
    let path = format!("{}/receipt", made.id);
    eventually("there is a receipt", async || {
        let reply = service.get(&path, Some(&made.token)).await;
        if reply.status() == StatusCode::OK {
            Some(reply.json().await.expect("JSON"))
        } else {
            problem(reply, StatusCode::CONFLICT, "not_captured").await;
            None
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_was_taken_and_a_refund_does_not_change_it() {
    let service = Service::start().await;
    let mut body = service.body();
    body["tip"] = json!({"amount": 500, "currency": "USD"});
    body["cover_fee"] = json!(true);
    let made = service.made(&body).await;
    let path = format!("{}/receipt", made.id);
    let early = service.get(&path, Some(&made.token)).await;
    problem(early, StatusCode::CONFLICT, "not_captured").await;
    // A part of what was held is taken: gift, tip and fee share in it.
    let captured = PaymentEvent {
        amount: usd(3090),
        extras: Extras {
            tip: 500,
            covered_fee: 90,
        },
        authorized: 3090,
        captured: 1545,
        ..service.captured(made.id)
    };
    service.hear(&captured).await;
    let receipt = until_receipt(&service, &made).await;
    let year = captured.occurred_at.format("%Y");
    let money = |minor: i64| json!({"amount": minor, "currency": "USD"});
    assert_eq!(receipt["number"], format!("CFA-{year}-00000001"));
    assert_eq!(receipt["amount"], money(1250));
    assert_eq!(receipt["tip"], money(250));
    assert_eq!(receipt["covered_fee"], money(45));
    assert_eq!(receipt["total"], money(1545));
    assert_eq!(receipt["captured_at"], json!(captured.occurred_at));
    assert_eq!(receipt["payment_id"], made.body["payment_id"]);
    let refunded = PaymentEvent {
        kind: PaymentKind::PartlyRefunded,
        refunded: 1000,
        version: 3,
        ..captured.clone()
    };
    let rest = PaymentEvent {
        kind: PaymentKind::Refunded,
        state: State::Refunded,
        refunded: 1545,
        version: 4,
        ..captured.clone()
    };
    for event in [&captured, &refunded, &captured, &rest, &captured] {
        service.hear(event).await;
    }
    let page = service.until_status(&made, "REFUNDED").await;
    assert_eq!(page["refunded"], money(1545), "the pledge tells of it");
    assert_eq!(service.page(&made, "/receipt").await, receipt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_without_money_gets_no_receipt() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    for (version, kind, state) in [
        (2, PaymentKind::Authorized, State::Authorized),
        (3, PaymentKind::Cancelled, State::Cancelled),
    ] {
        let event = PaymentEvent {
            authorized: 2500,
            ..service.snapshot(made.id, kind, state, version)
        };
        service.hear(&event).await;
    }
    service.until_status(&made, "CANCELLED").await;
    let path = format!("{}/receipt", made.id);
    let reply = service.get(&path, Some(&made.token)).await;
    problem(reply, StatusCode::CONFLICT, "not_captured").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gap_whatever_comes_twice_or_late_or_to_two_replicas() {
    const PLEDGES: i64 = 60;
    // Both hear of payments: each has two of the topic's partitions.
    let mut kafka = testkit::kafka();
    kafka.partitions = 4;
    let service = Service::start_on(kafka).await;
    let config = config(
        &service.database,
        service.kafka.clone(),
        service.clock.clone(),
    );
    let _replica = testkit::serve(|listener, life| pledge::run(config, listener, life)).await;
    let mut pledges = Vec::new();
    for n in 0..PLEDGES {
        let mut body = service.body();
        body["amount"]["amount"] = (2500 + n).into();
        pledges.push(service.made(&body).await);
    }
    let told = pledges.iter().flat_map(|made| {
        let captured = service.captured(made.id);
        let completed = PaymentEvent {
            kind: PaymentKind::Completed,
            state: State::Completed,
            version: 3,
            ..captured.clone()
        };
        [completed, captured.clone(), captured]
    });
    let told: Vec<PaymentEvent> = told.collect();
    for some in told.chunks(20) {
        service.hear_all(some).await;
    }
    let mut numbers = BTreeSet::new();
    for made in &pledges {
        let receipt = until_receipt(&service, made).await;
        let number = receipt["number"].as_str().expect("a number");
        let number: i64 = number[9..].parse().expect("eight digits");
        numbers.insert(number);
    }
    assert!(numbers.into_iter().eq(1..=PLEDGES));
    let last: i64 = sqlx::query_scalar("select last from receipt_numbers")
        .fetch_one(&service.database.pool())
        .await
        .expect("one year");
    assert_eq!(last, PLEDGES, "no number was taken in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_belongs_to_the_year_of_the_capture() {
    let service = Service::start().await;
    let mut names = Vec::new();
    for (minute, name) in [
        ("2024-12-31T23:59:59Z", "CFA-2024-00000001"),
        ("2025-01-01T00:00:00Z", "CFA-2025-00000001"),
        ("2024-06-01T00:00:00Z", "CFA-2024-00000002"),
    ] {
        let made = service.made(&service.body()).await;
        let captured = PaymentEvent {
            occurred_at: minute.parse().expect("a time"),
            ..service.captured(made.id)
        };
        service.hear(&captured).await;
        let receipt = until_receipt(&service, &made).await;
        names.push((receipt["number"].clone(), name));
    }
    for (number, name) in names {
        assert_eq!(number, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_changes_a_receipt_or_a_step_of_the_story() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    service.hear(&service.captured(made.id)).await;
    until_receipt(&service, &made).await;
    let pool = service.database.pool();
    for statement in [
        "update receipts set gift_minor = 1",
        "delete from receipts",
        "truncate receipts",
        "update pledge_timeline set captured_minor = 1",
        "delete from pledge_timeline",
        "truncate pledge_timeline",
    ] {
        let error = sqlx::query(statement)
            .execute(&pool)
            .await
            .expect_err(statement)
            .to_string();
        assert!(
            error.contains("append-only") || error.contains("permission denied"),
            "{statement}: {error}"
        );
    }
}
