//! The story of a pledge's money: every step once, in its place, to whoever may see the pledge.

use chassis::kafka::{Kafka, Record};
use chrono::Duration;
use common::{
    auth::Role,
    events::{Event, Failure, PaymentEvent, PaymentKind},
    ids::{PaymentId, UserId},
    payment::State,
};
use http::StatusCode;
use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{Made, Service, key, problem};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

/// Publishes a snapshot as payment's relay does, with its trace.
async fn tell(service: &Service, event: &PaymentEvent) {
    let record = Record {
        topic: PaymentEvent::TOPIC.into(),
        key: event.key(),
        payload: serde_json::to_vec(event).expect("events serialise"),
        headers: vec![(
            "traceparent".into(),
            format!("00-{TRACE}-00f067aa0ba902b7-01"),
        )],
    };
    let producer = Kafka::new(&service.kafka)
        .producer()
        .expect("a producer can be made");
    for result in producer.send_all(vec![record]).await {
        result.expect("the broker takes the event");
    }
}

pub async fn until_steps(service: &Service, made: &Made, count: usize) -> Value {
    eventually("the story has all its steps", async || {
        let story = service.page(made, "/timeline").await;
        (story["steps"].as_array().expect("steps").len() == count).then_some(story)
    })
    .await
}

/// What happens to a payment of 25.00, a minute apart: a decline, a hold, everything that can go wrong with money, and
/// the end.
fn life(service: &Service, made: &Made) -> Vec<PaymentEvent> {
    use PaymentKind as Kind;

    let base = service.snapshot(made.id, PaymentKind::Created, State::Pending, 1);
    let step = |version: i64, kind, state, amounts: [i64; 4]| PaymentEvent {
        kind,
        state,
        version,
        authorized: amounts[0],
        captured: amounts[1],
        refunded: amounts[2],
        disputed: amounts[3],
        occurred_at: service.clock.now() + Duration::minutes(version),
        ..base.clone()
    };
    let mut life = vec![
        base.clone(),
        step(2, Kind::AttemptFailed, State::Pending, [0; 4]),
        step(3, Kind::Authorized, State::Authorized, [2500, 0, 0, 0]),
        step(4, Kind::Captured, State::Captured, [2500, 2500, 0, 0]),
        step(5, Kind::Completed, State::Completed, [2500, 2500, 0, 0]),
        step(
            6,
            Kind::PartlyRefunded,
            State::Completed,
            [2500, 2500, 600, 0],
        ),
        step(
            7,
            Kind::PartlyRefunded,
            State::Completed,
            [2500, 2500, 1000, 0],
        ),
        step(
            8,
            Kind::RefundFailed,
            State::Completed,
            [2500, 2500, 400, 0],
        ),
        step(
            9,
            Kind::DisputeLost,
            State::Completed,
            [2500, 2500, 400, 2100],
        ),
        step(
            10,
            Kind::DisputeReversed,
            State::Completed,
            [2500, 2500, 400, 0],
        ),
        step(11, Kind::Refunded, State::Refunded, [2500, 2500, 2500, 0]),
    ];
    life[1].failure = Some(Failure {
        code: "card_declined".into(),
        message: None,
    });
    life
}

fn told(story: &Value) -> Vec<(&str, Option<i64>)> {
    let steps = story["steps"].as_array().expect("steps");
    let told = steps.iter().map(|step| {
        let name = step["step"].as_str().expect("a name");
        (name, step["amount"]["amount"].as_i64())
    });
    told.collect()
}

const WHOLE: [(&str, Option<i64>); 11] = [
    ("promised", None),
    ("declined", None),
    ("held", Some(2500)),
    ("captured", Some(2500)),
    ("settled", Some(2500)),
    ("partly_refunded", Some(600)),
    ("partly_refunded", Some(400)),
    ("refund_failed", Some(600)),
    ("dispute_lost", Some(2100)),
    ("dispute_reversed", Some(2100)),
    ("refunded", Some(2100)),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_told_once_with_what_it_moved_and_its_trace() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let life = life(&service, &made);
    for event in life.iter().chain(&life) {
        tell(&service, event).await;
    }
    let story = until_steps(&service, &made, WHOLE.len()).await;
    assert_eq!(told(&story), WHOLE);
    let steps = story["steps"].as_array().expect("steps");
    for step in &steps[1..] {
        assert_eq!(step["trace_id"], TRACE, "{step}");
        assert_eq!(step["payment_id"], PaymentId::of(made.id, 1).to_string());
        assert_eq!(step["attempt"], 1);
    }
    assert_eq!(steps[1]["failure"], "card_declined");
    let at = |version: usize| json!(life[version - 1].occurred_at);
    assert_eq!(
        story["stages"],
        json!({"authorised": at(3), "captured": at(4), "settled": at(5), "paid_out": null})
    );
    // Redelivered once more, with another pledge behind it that shows when it was read.
    for event in &life {
        tell(&service, event).await;
    }
    let other = service.made(&service.body()).await;
    tell(&service, &service.captured(other.id)).await;
    until_steps(&service, &other, 2).await;
    assert_eq!(service.page(&made, "/timeline").await, story);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_that_arrives_backwards_reads_the_same() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    for event in life(&service, &made).iter().rev() {
        tell(&service, event).await;
    }
    let story = until_steps(&service, &made, WHOLE.len()).await;
    assert_eq!(told(&story), WHOLE);
    let page = service.page(&made, "").await;
    assert_eq!(page["status"], "REFUNDED");
    assert_eq!(page["refunded"]["amount"], 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_taken_at_once_has_passed_every_stage_before() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let mut settled = service.captured(made.id);
    settled.kind = PaymentKind::Completed;
    settled.state = State::Completed;
    service.hear(&settled).await;
    let story = until_steps(&service, &made, 2).await;
    let at = json!(settled.occurred_at);
    assert_eq!(
        story["stages"],
        json!({"authorised": at, "captured": at, "settled": at, "paid_out": null})
    );
    let mut paid_out = settled.clone();
    paid_out.kind = PaymentKind::PaidOut;
    paid_out.version += 1;
    paid_out.occurred_at += Duration::minutes(1);
    service.hear(&paid_out).await;
    let story = until_steps(&service, &made, 3).await;
    assert_eq!(told(&story)[2], ("paid_out", Some(2500)));
    let then = json!(paid_out.occurred_at);
    assert_eq!(
        story["stages"],
        json!({"authorised": at, "captured": at, "settled": at, "paid_out": then})
    );
    assert_eq!(service.page(&made, "").await["status"], "COMPLETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_tells_of_the_wish_to_cancel_and_of_a_second_try() {
    let service = Service::start().await;
    let promise = service
        .post(&key(), &service.body())
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let made = Made::of(promise.send().await.expect("the service answers")).await;
    let nothing = json!({"authorised": null, "captured": null, "settled": null, "paid_out": null});
    assert_eq!(service.page(&made, "/timeline").await["stages"], nothing);
    service.clock.advance(Duration::minutes(1));
    let url = format!("/api/pledges/{}/cancel", made.id);
    let cancel = service
        .running
        .client
        .post(service.running.at(&url))
        .header("idempotency-key", key())
        .header("x-guest-token", &made.token)
        .header("traceparent", format!("00-{OTHER}-00f067aa0ba902b7-01"))
        .send();
    let cancel = cancel.await.expect("the service answers");
    assert_eq!(cancel.status(), StatusCode::ACCEPTED);
    let mut second = service.snapshot(made.id, PaymentKind::Created, State::Pending, 1);
    second.attempt = 2;
    second.payment_id = PaymentId::of(made.id, 2);
    second.occurred_at += Duration::minutes(1);
    service.hear(&second).await;
    let story = until_steps(&service, &made, 3).await;
    let names: Vec<&str> = told(&story).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["promised", "cancel_requested", "tried_again"]);
    assert_eq!(story["steps"][0]["trace_id"], TRACE);
    assert_eq!(story["steps"][1]["trace_id"], OTHER);
    assert_eq!(story["steps"][2]["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn story_and_receipt_are_for_whoever_may_see_the_pledge() {
    let service = Service::start().await;
    let user = UserId::new();
    let reply = service
        .post(&key(), &service.body())
        .bearer_auth(testkit::user_token(user, Role::Donor))
        .send()
        .await
        .expect("the service answers");
    let made = Made::of(reply).await;
    let other = service.made(&service.body()).await;
    for (page, seen) in [
        ("timeline", StatusCode::OK),
        ("receipt", StatusCode::CONFLICT),
    ] {
        let url = service
            .running
            .at(&format!("/api/pledges/{}/{page}", made.id));
        let get = || service.running.client.get(&url);
        let bearer = |user, role| get().bearer_auth(testkit::user_token(user, role));
        for request in [
            get().header("x-guest-token", &made.token),
            bearer(user, Role::Donor),
            bearer(UserId::new(), Role::Admin),
        ] {
            let reply = request.send().await.expect("the service answers");
            assert_eq!(reply.status(), seen, "{page}");
        }
        for request in [
            get(),
            get().header("x-guest-token", &other.token),
            bearer(UserId::new(), Role::Donor),
        ] {
            let reply = request.send().await.expect("the service answers");
            problem(reply, StatusCode::NOT_FOUND, "not_found").await;
        }
    }
}
