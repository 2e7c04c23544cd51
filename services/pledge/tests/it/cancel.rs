//! A donor's wish to call a pledge off: stored once, told once, decided by the payment.

use chrono::Duration;
use common::{
    auth::Role,
    events::{PaymentEvent, PaymentKind, topics},
    ids::{PledgeId, UserId},
    payment::State,
};
use futures::future::join_all;
use http::StatusCode;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use testkit::eventually;

use crate::helpers::{Made, Service, key, problem};

fn request(service: &Service, id: PledgeId, key: &str) -> RequestBuilder {
    let url = service.running.at(&format!("/api/pledges/{id}/cancel"));
    let request = service.running.client.post(url);
    request.header("idempotency-key", key)
}

async fn cancel(service: &Service, made: &Made, key: &str) -> Response {
    request(service, made.id, key)
        .header("x-guest-token", &made.token)
        .send()
        .await
        .expect("the service answers")
}

fn ended(service: &Service, id: PledgeId, kind: PaymentKind, state: State) -> PaymentEvent {
    service.snapshot(id, kind, state, 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_cancel_is_stored_and_told_once_however_often_it_comes() {
    let service = Service::start().await;
    let events = service.listen(topics::PLEDGE.into());
    let made = service.made(&service.body()).await;
    let first = cancel(&service, &made, &key()).await;
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let first: Value = first.json().await.expect("JSON");
    assert_eq!(first["status"], "CANCELLING");
    assert_eq!(first["version"], 2);
    assert!(first["cancel_requested_at"].is_string());
    for reply in join_all((0..32).map(async |_| cancel(&service, &made, &key()).await)).await {
        assert_eq!(reply.status(), StatusCode::ACCEPTED);
        assert_eq!(reply.json::<Value>().await.expect("JSON"), first);
    }
    assert_eq!(service.page(&made, "").await, first);
    // Another pledge's event comes behind whatever this one said.
    let other = service.made(&service.body()).await;
    let told = eventually("the other pledge is told of", async || {
        let events = events.lock().expect("nobody panicked").clone();
        let last = events.last()?;
        (last["pledge_id"] == other.id.to_string()).then_some(events)
    })
    .await;
    let mine: Vec<&Value> = told
        .iter()
        .filter(|event| event["pledge_id"] == made.id.to_string())
        .collect();
    let kinds: Vec<_> = mine.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["pledge.created", "pledge.cancel_requested"]);
    assert_eq!(mine[1]["version"], 2);
    assert_eq!(mine[1]["status"], "PENDING", "nothing is decided");
    assert_eq!(mine[1]["cancel_requested_at"], first["cancel_requested_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_wishes_with_keys_of_their_own_make_one_new_version() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    for reply in join_all((0..32).map(async |_| cancel(&service, &made, &key()).await)).await {
        assert_eq!(reply.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(service.page(&made, "").await["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_answer_byte_for_byte_whatever_became_of_the_pledge() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let key = key();
    let replies = join_all((0..32).map(async |_| cancel(&service, &made, &key).await)).await;
    let mut bytes = Vec::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::ACCEPTED);
        bytes.push(reply.bytes().await.expect("a body"));
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1);
    for (n, (kind, state, shown)) in (2..).zip([
        (PaymentKind::Cancelled, State::Cancelled, "CANCELLED"),
        (PaymentKind::LateCaptured, State::Captured, "COMPLETED"),
        (PaymentKind::Refunded, State::Refunded, "REFUNDED"),
    ]) {
        service
            .hear(&service.snapshot(made.id, kind, state, n))
            .await;
        service.until_status(&made, shown).await;
        let again = cancel(&service, &made, &key).await;
        assert_eq!(again.status(), StatusCode::ACCEPTED, "{shown}");
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.bytes().await.expect("a body"), bytes[0], "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payment_decides_whether_the_pledge_is_called_off() {
    let service = Service::start().await;
    let (lost, won) = (
        service.made(&service.body()).await,
        service.made(&service.body()).await,
    );
    for made in [&lost, &won] {
        cancel(&service, made, &key()).await;
    }
    // The provider gave the money up.
    service
        .hear(&ended(
            &service,
            won.id,
            PaymentKind::Cancelled,
            State::Cancelled,
        ))
        .await;
    let page = service.until_status(&won, "CANCELLED").await;
    let again = cancel(&service, &won, &key()).await;
    assert_eq!(again.status(), StatusCode::OK, "it is called off already");
    assert_eq!(again.json::<Value>().await.expect("JSON"), page);
    // The gift was faster.
    service.hear(&service.captured(lost.id)).await;
    let page = service.until_status(&lost, "COMPLETED").await;
    assert!(
        page["cancel_requested_at"].is_string(),
        "the wish is not forgotten"
    );
    let again = cancel(&service, &lost, &key()).await;
    problem(again, StatusCode::CONFLICT, "already_captured").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wish_and_capture_at_once_end_in_one_of_two_true_stories() {
    let service = Service::start().await;
    let mut pledges = Vec::new();
    for _ in 0..24 {
        pledges.push(service.made(&service.body()).await);
    }
    let captures: Vec<_> = pledges
        .iter()
        .map(|made| service.captured(made.id))
        .collect();
    let wishes = join_all(
        pledges
            .iter()
            .map(async |made| cancel(&service, made, &key()).await),
    );
    let ((), replies) = tokio::join!(service.hear_all(&captures), wishes);
    for (made, reply) in pledges.iter().zip(replies) {
        let page = service.until_status(made, "COMPLETED").await;
        if reply.status() == StatusCode::ACCEPTED {
            assert!(page["cancel_requested_at"].is_string());
            assert_eq!(page["version"], 3, "asked, then captured");
        } else {
            problem(reply, StatusCode::CONFLICT, "already_captured").await;
            assert!(page.get("cancel_requested_at").is_none());
            assert_eq!(page["version"], 2, "captured");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_pledge_can_be_called_off_and_a_lapsed_or_a_paid_one_cannot() {
    let service = Service::start().await;
    let mut lapsed = Vec::new();
    for (kind, state, shown, status, code) in [
        (
            PaymentKind::Completed,
            State::Completed,
            "COMPLETED",
            409,
            "already_captured",
        ),
        (
            PaymentKind::Refunded,
            State::Refunded,
            "REFUNDED",
            409,
            "already_captured",
        ),
        (
            PaymentKind::Authorized,
            State::Authorized,
            "AUTHORIZED",
            202,
            "",
        ),
    ] {
        let made = service.made(&service.body()).await;
        service.hear(&ended(&service, made.id, kind, state)).await;
        service.until_status(&made, shown).await;
        let reply = cancel(&service, &made, &key()).await;
        let body: Value = if status == 202 {
            assert_eq!(reply.status(), StatusCode::ACCEPTED);
            reply.json().await.expect("JSON")
        } else {
            problem(reply, StatusCode::CONFLICT, code).await
        };
        assert_eq!(body["status"] == "CANCELLING", status == 202, "{shown}");
    }
    for (kind, state, shown) in [
        (PaymentKind::Expired, State::Expired, "EXPIRED"),
        (PaymentKind::Failed, State::Failed, "FAILED"),
    ] {
        let made = service.made(&service.body()).await;
        service.hear(&ended(&service, made.id, kind, state)).await;
        service.until_status(&made, shown).await;
        lapsed.push(made);
    }
    service.clock.advance(Duration::minutes(31));
    for made in &lapsed {
        let reply = cancel(&service, made, &key()).await;
        problem(reply, StatusCode::CONFLICT, "pledge_closed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_whose_payment_has_ended_can_be_called_off_while_another_could_follow() {
    let service = Service::start().await;
    let events = service.listen(topics::PLEDGE.into());
    for (kind, state, shown, again) in [
        (
            PaymentKind::Cancelled,
            State::Cancelled,
            "CANCELLED",
            StatusCode::OK,
        ),
        (
            PaymentKind::Expired,
            State::Expired,
            "EXPIRED",
            StatusCode::ACCEPTED,
        ),
        (
            PaymentKind::Failed,
            State::Failed,
            "FAILED",
            StatusCode::ACCEPTED,
        ),
    ] {
        let made = service.made(&service.body()).await;
        service.hear(&ended(&service, made.id, kind, state)).await;
        service.until_status(&made, shown).await;
        let reply = cancel(&service, &made, &key()).await;
        assert_eq!(reply.status(), StatusCode::ACCEPTED, "{shown}");
        let reply: Value = reply.json().await.expect("JSON");
        assert!(reply["cancel_requested_at"].is_string(), "{shown}");
        assert_eq!(cancel(&service, &made, &key()).await.status(), again);
        let told = eventually("the wish is told", async || {
            let events = events.lock().expect("nobody panicked").clone();
            let wishes = events.into_iter().filter(|event| {
                event["pledge_id"] == made.id.to_string()
                    && event["kind"] == "pledge.cancel_requested"
            });
            let wishes: Vec<Value> = wishes.collect();
            (!wishes.is_empty()).then_some(wishes)
        })
        .await;
        assert_eq!(told.len(), 1, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_donor_cancels_and_for_others_the_pledge_does_not_exist() {
    let service = Service::start().await;
    let user = UserId::new();
    let own = testkit::user_token(user, Role::Donor);
    let reply = service
        .post(&key(), &service.body())
        .bearer_auth(&own)
        .send()
        .await
        .expect("the service answers");
    let made = Made::of(reply).await;
    let other = service.made(&service.body()).await;
    let ask = || request(&service, made.id, &key());
    let strangers = [
        ask(),
        ask().header("x-guest-token", &other.token),
        ask().header("x-guest-token", "x"),
        ask().bearer_auth(testkit::user_token(UserId::new(), Role::Donor)),
        ask().bearer_auth(testkit::user_token(UserId::new(), Role::Admin)),
        request(&service, PledgeId::new(), &key()).bearer_auth(&own),
    ];
    for stranger in strangers {
        let reply = stranger.send().await.expect("the service answers");
        problem(reply, StatusCode::NOT_FOUND, "not_found").await;
    }
    let url = service
        .running
        .at(&format!("/api/pledges/{}/cancel", made.id));
    let keyless = service.running.client.post(url).bearer_auth(&own);
    let reply = keyless.send().await.expect("the service answers");
    problem(reply, StatusCode::BAD_REQUEST, "idempotency_key_missing").await;
    assert_eq!(service.page(&made, "").await["version"], 1);
    let reply = ask().bearer_auth(&own).send().await;
    let reply = reply.expect("the service answers");
    assert_eq!(reply.status(), StatusCode::ACCEPTED);
}
