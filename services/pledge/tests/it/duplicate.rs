//! The same gift twice within minutes is asked about, once, and only of a donor who can be known again.

use chrono::Duration;
use common::{
    auth::Role,
    events::PaymentKind,
    ids::{PledgeId, UserId},
    payment::State,
};
use futures::future::join_all;
use http::StatusCode;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::helpers::{Made, Service, config, key, problem};

/// Somebody who can be known again.
enum Known {
    Account(String),
    Guest(String),
}

impl Known {
    fn account() -> Self {
        Self::Account(testkit::user_token(UserId::new(), Role::Donor))
    }

    fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Account(token) => request.bearer_auth(token),
            Self::Guest(token) => request.header("x-guest-token", token),
        }
    }

    async fn give(&self, service: &Service, body: &Value) -> Response {
        let sent = self.on(service.post(&key(), body)).send().await;
        sent.expect("the service answers")
    }

    async fn gives(&self, service: &Service, body: &Value) -> Made {
        let reply = self.give(service, body).await;
        assert_eq!(reply.status(), StatusCode::CREATED);
        Made::of(reply).await
    }

    /// The confirmation that a twin is refused with; it names the earlier pledge.
    async fn is_asked(&self, service: &Service, body: &Value, earlier: PledgeId) -> String {
        let reply = self.give(service, body).await;
        let problem = problem(reply, StatusCode::CONFLICT, "possible_duplicate").await;
        assert_eq!(problem["pledge_id"], earlier.to_string());
        problem["confirm"].as_str().expect("a token").to_owned()
    }
}

fn confirmed(body: &Value, token: &str) -> Value {
    let mut body = body.clone();
    body["confirm"] = token.into();
    body
}

/// One of these was taken and the others name it; gives it.
async fn exactly_one(replies: Vec<Response>) -> PledgeId {
    let (mut made, mut named) = (Vec::new(), Vec::new());
    for reply in replies {
        if reply.status() == StatusCode::CREATED {
            made.push(Made::of(reply).await.id.to_string());
        } else {
            let refused = problem(reply, StatusCode::CONFLICT, "possible_duplicate").await;
            named.push(refused["pledge_id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(made.len(), 1);
    named.dedup();
    assert_eq!(named, made, "the refusals name the one that was taken");
    made[0].parse().expect("a UUID")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_parallel_twins_exactly_one_passes_and_each_confirmation_lets_one_more_pass() {
    let service = Service::start().await;
    let donor = Known::account();
    let body = service.body();
    let posts = |body: Value| {
        let (donor, service) = (&donor, &service);
        join_all((0..32).map(move |_| {
            let body = body.clone();
            async move { donor.give(service, &body).await }
        }))
    };
    let first = exactly_one(posts(body.clone()).await).await;
    assert_eq!(service.count().await, 1);
    let confirm = donor.is_asked(&service, &body, first).await;
    let second = exactly_one(posts(confirmed(&body, &confirm)).await).await;
    assert_ne!(first, second);
    assert_eq!(service.count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_twins_at_two_replicas_exactly_one_passes() {
    let service = Service::start().await;
    let config = config(
        &service.database,
        service.kafka.clone(),
        service.clock.clone(),
    );
    let replica = testkit::serve(|listener, life| pledge::run(config, listener, life)).await;
    let donor = Known::account();
    let body = service.body();
    let posts = (0..32).map(|n| {
        let running = if n % 2 == 0 {
            &service.running
        } else {
            &replica
        };
        let post = running.client.post(running.at("/api/pledges"));
        donor
            .on(post.header("idempotency-key", key()).json(&body))
            .send()
    });
    let mut replies = Vec::new();
    for reply in join_all(posts).await {
        let reply = reply.expect("the replicas answer");
        // Who has to wait longer than 250 ms for the other replica is told to come back.
        if reply.headers().get("retry-after").is_none() {
            replies.push(reply);
        }
    }
    exactly_one(replies).await;
    assert_eq!(service.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_known_by_the_token_of_the_earlier_pledge_and_asked_likewise() {
    let service = Service::start().await;
    let body = service.body();
    let first = service.made(&body).await;
    let donor = Known::Guest(first.token.clone());
    let confirm = donor.is_asked(&service, &body, first.id).await;
    let posts = (0..32).map(async |_| donor.give(&service, &confirmed(&body, &confirm)).await);
    let second = exactly_one(join_all(posts).await).await;
    assert_eq!(service.count().await, 2);
    donor.is_asked(&service, &body, second).await;
    // Another amount is another gift; its own twin is found although the token is that of the first.
    let mut other = body.clone();
    other["amount"]["amount"] = 2600.into();
    let posts = (0..32).map(async |_| donor.give(&service, &other).await);
    exactly_one(join_all(posts).await).await;
    assert_eq!(service.count().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_several_tokens_is_one_guest_and_a_confirmation_lets_one_pass() {
    let service = Service::start().await;
    let body = service.body();
    let first = service.made(&body).await;
    let by_first = Known::Guest(first.token.clone());
    let confirm = by_first.is_asked(&service, &body, first.id).await;
    let second = by_first.gives(&service, &confirmed(&body, &confirm)).await;
    let by_second = Known::Guest(second.token.clone());
    let confirm = by_second.is_asked(&service, &body, second.id).await;
    let third = by_second.gives(&service, &confirmed(&body, &confirm)).await;
    // The same confirmation again, by the older token: another gift has come since.
    by_first
        .is_asked(&service, &confirmed(&body, &confirm), third.id)
        .await;
    assert_eq!(service.count().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_who_logs_in_is_known_by_either() {
    let service = Service::start().await;
    let body = service.body();
    let guest = service.made(&body).await;
    let token = testkit::user_token(UserId::new(), Role::Donor);
    let both = service
        .post(&key(), &body)
        .bearer_auth(&token)
        .header("x-guest-token", &guest.token);
    let reply = both.send().await.expect("the service answers");
    let refused = problem(reply, StatusCode::CONFLICT, "possible_duplicate").await;
    assert_eq!(refused["pledge_id"], guest.id.to_string());
    Known::Account(token).gives(&service, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_same_address_learns_nothing() {
    let service = Service::start().await;
    let body = service.body();
    let account = Known::account();
    account.gives(&service, &body).await;
    // The same name and address: as a guest, as another account, with a token that is none or another pledge's.
    let mut elsewhere = body.clone();
    elsewhere["amount"]["amount"] = 2600.into();
    let token = service.made(&elsewhere).await.token;
    service.made(&body).await;
    Known::account().gives(&service, &body).await;
    Known::Guest("x".into()).gives(&service, &body).await;
    Known::Guest(token).gives(&service, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_or_came_to_nothing_or_is_long_ago_is_no_twin() {
    let service = Service::start().await;
    let mut elsewhere = service.campaign.clone();
    elsewhere.campaign_id = common::ids::CampaignId::new();
    service.learn(&elsewhere).await;
    let donor = Known::account();
    let body = service.body();
    let first = donor.gives(&service, &body).await;
    for (path, value) in [
        ("/amount/amount", json!(2501)),
        ("/campaign_id", json!(elsewhere.campaign_id)),
    ] {
        let mut other = body.clone();
        *other.pointer_mut(path).expect("the body has this") = value;
        donor.gives(&service, &other).await;
    }
    // The same amount is a twin whatever else is said about it.
    let mut other = body.clone();
    other["message"] = json!("once more");
    other["tip"] = json!({"amount": 1, "currency": "USD"});
    donor.is_asked(&service, &other, first.id).await;
    // One that came to nothing does not count.
    let mut last = first;
    for (kind, state, shown) in [
        (PaymentKind::Failed, State::Failed, "FAILED"),
        (PaymentKind::Expired, State::Expired, "EXPIRED"),
        (PaymentKind::Cancelled, State::Cancelled, "CANCELLED"),
    ] {
        service
            .hear(&service.snapshot(last.id, kind, state, 2))
            .await;
        service.until_status(&last, shown).await;
        last = donor.gives(&service, &body).await;
    }
    service.hear(&service.captured(last.id)).await;
    service.until_status(&last, "COMPLETED").await;
    donor.is_asked(&service, &body, last.id).await;
    service.clock.advance(Duration::minutes(10));
    donor.gives(&service, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_twin_stores_nothing_and_a_key_keeps_its_answer() {
    let service = Service::start().await;
    let donor = Known::account();
    let (key, body) = (key(), service.body());
    let give = || donor.on(service.post(&key, &body)).send();
    let first = give().await.expect("the service answers");
    assert_eq!(first.status(), StatusCode::CREATED);
    let first = first.bytes().await.expect("a body");
    let rows = async || -> (i64, i64) {
        sqlx::query_as("select (select count(*) from pledges), (select count(*) from idempotency)")
            .fetch_one(&service.database.pool())
            .await
            .expect("rows can be counted")
    };
    let made = first_id(&first);
    donor.is_asked(&service, &body, made).await;
    assert_eq!(rows().await, (1, 1));
    // The retry of the gift itself is no twin of it, however it is sent.
    for reply in join_all((0..8).map(async |_| give().await)).await {
        let again = reply.expect("the service answers");
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.bytes().await.expect("a body"), first);
    }
    // The confirmed wish is another body, so the old key does not do.
    let confirm = donor.is_asked(&service, &body, made).await;
    let reused = donor.on(service.post(&key, &confirmed(&body, &confirm)));
    let reply = reused.send().await.expect("the service answers");
    problem(
        reply,
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
    )
    .await;
    // A key that was refused is free.
    let free = crate::helpers::key();
    let send = async |body: &Value| {
        let sent = donor.on(service.post(&free, body)).send().await;
        sent.expect("the service answers").status()
    };
    assert_eq!(send(&body).await, StatusCode::CONFLICT);
    assert_eq!(send(&confirmed(&body, &confirm)).await, StatusCode::CREATED);
    assert_eq!(rows().await, (2, 2));
}

fn first_id(body: &[u8]) -> PledgeId {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let id = body["pledge"]["id"].as_str().expect("an id");
    id.parse().expect("a UUID")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_good_for_its_donor_amount_and_ten_minutes_only() {
    let service = Service::start().await;
    let (donor, other) = (Known::account(), Known::account());
    let body = service.body();
    let mut more = body.clone();
    more["amount"]["amount"] = 2600.into();
    let first = donor.gives(&service, &body).await;
    let second = donor.gives(&service, &more).await;
    let theirs = other.gives(&service, &body).await;
    let for_more = donor.is_asked(&service, &more, second.id).await;
    let for_theirs = other.is_asked(&service, &body, theirs.id).await;
    for wrong in ["", "x", &first.token, &for_more, &for_theirs] {
        let body = confirmed(&body, wrong);
        donor.is_asked(&service, &body, first.id).await;
    }
    let late = donor.is_asked(&service, &body, first.id).await;
    service.clock.advance(Duration::minutes(9));
    donor.gives(&service, &more_of(&body, 2700)).await;
    let third = donor.gives(&service, &confirmed(&body, &late)).await;
    service.clock.advance(Duration::minutes(2));
    // Ten minutes after it was given it is worth nothing; the twin of the moment is another one anyway.
    donor
        .is_asked(&service, &confirmed(&body, &late), third.id)
        .await;
}

fn more_of(body: &Value, amount: i64) -> Value {
    let mut body = body.clone();
    body["amount"]["amount"] = amount.into();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_lets_no_twin_pass_and_loses_no_gift() {
    let service = Service::start().await;
    let donor = Known::account();
    let body = service.body();
    let first = donor.gives(&service, &body).await;
    for amount in 2501..2504 {
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()")
            .bind(service.database.name())
            .execute(&service.database.pool())
            .await
            .expect("a superuser may end sessions");
        donor.gives(&service, &more_of(&body, amount)).await;
        donor.is_asked(&service, &body, first.id).await;
    }
    assert_eq!(service.count().await, 4);
}
