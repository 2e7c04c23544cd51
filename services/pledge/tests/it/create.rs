//! One pledge per key, whoever asks how often.

use std::collections::HashSet;

use chrono::Duration;
use common::{
    auth::Role,
    events::{CampaignKind, CampaignStatus, topics},
    ids::{PaymentId, PledgeId, UserId},
};
use futures::future::join_all;
use http::StatusCode;
use serde_json::Value;
use testkit::problem_code;

use crate::helpers::{Service, config, key, signer, time};

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_gives_all_that_is_needed_to_pay() {
    let service = Service::start().await;
    let reply = service.pledge(&key(), &service.body()).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    assert!(reply.headers().get("idempotent-replayed").is_none());
    let body: Value = reply.json().await.expect("the reply is JSON");
    let pledge = &body["pledge"];
    assert_eq!(pledge["status"], "PENDING");
    assert_eq!(pledge["visibility"], "PUBLIC");
    assert_eq!(pledge["amount"]["amount"], 2500);
    assert_eq!(pledge["version"], 1);
    assert_eq!(
        time(&pledge["expires_at"]) - time(&pledge["created_at"]),
        Duration::minutes(30)
    );
    let id: PledgeId = pledge["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a UUID");
    assert_eq!(body["payment_id"], PaymentId::of(id, 1).to_string());
    let ticket = signer()
        .open(
            body["ticket"].as_str().expect("a ticket"),
            service.clock.now(),
        )
        .expect("the ticket opens");
    assert_eq!(ticket.pledge_id, id);
    assert_eq!(ticket.amount.minor, 2500);
    let url = body["payment_url"].as_str().expect("a url");
    assert!(
        url.starts_with(&format!(
            "http://gateway.test/api/payments/{}/checkout?ticket=",
            PaymentId::of(id, 1)
        )),
        "{url}"
    );
    assert!(signer().is_guest_of(body["guest_token"].as_str().expect("a token"), id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_whoever_gives_without_one_is_not_kept() {
    let service = Service::start().await;
    for (visibility, kept) in [("ANONYMOUS", None), ("PUBLIC", Some("Ada"))] {
        let mut body = service.body();
        body["visibility"] = visibility.into();
        let made = service.made(&body).await;
        let name: Option<String> =
            sqlx::query_scalar("select public_name from pledges where pledge_id = $1")
                .bind(made.id.get())
                .fetch_one(&service.database.pool())
                .await
                .expect("the row");
        assert_eq!(name.as_deref(), kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_posts_with_one_key_make_one_pledge_and_one_reply() {
    let service = Service::start().await;
    let (key, body) = (key(), service.body());
    let replies = join_all((0..100).map(|_| service.pledge(&key, &body))).await;
    let mut bodies = HashSet::new();
    let mut replayed = 0;
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::CREATED);
        replayed += usize::from(
            reply
                .headers()
                .get("idempotent-replayed")
                .is_some_and(|value| value == "true"),
        );
        bodies.insert(reply.bytes().await.expect("the reply has a body"));
    }
    assert_eq!(bodies.len(), 1, "every reply has the same bytes");
    assert_eq!(replayed, 99);
    assert_eq!(service.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_body_is_refused() {
    let service = Service::start().await;
    let key = key();
    service.pledge(&key, &service.body()).await;
    let mut other = service.body();
    other["amount"]["amount"] = 2600.into();
    let reply = service.pledge(&key, &other).await;
    assert_eq!(reply.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem_code(reply).await, "idempotency_key_reused");
    // In one batch as well: the first of them wins, whichever it is.
    let key = crate::helpers::key();
    let (first, second) = (service.body(), other);
    let replies = join_all([service.pledge(&key, &first), service.pledge(&key, &second)]).await;
    let mut statuses: Vec<u16> = replies
        .iter()
        .map(|reply| reply.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    assert_eq!(service.count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_caller() {
    let service = Service::start().await;
    let (key, body) = (key(), service.body());
    let users = [UserId::new(), UserId::new()];
    let mut ids = HashSet::new();
    for user in [None, Some(users[0]), Some(users[1])] {
        let mut post = service.post(&key, &body);
        if let Some(user) = user {
            post = post.bearer_auth(testkit::user_token(user, Role::Donor));
        }
        let reply = post.send().await.expect("the service answers");
        assert_eq!(reply.status(), StatusCode::CREATED);
        let body: Value = reply.json().await.expect("the reply is JSON");
        ids.insert(body["pledge"]["id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(
        ids.len(),
        3,
        "guest and both accounts got pledges of their own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn white_space_and_member_order_do_not_make_another_body() {
    let service = Service::start().await;
    let key = key();
    let first = service
        .pledge(&key, &service.body())
        .await
        .bytes()
        .await
        .expect("a body");
    let pretty = format!(
        "{{ \"message\" : \"Go!\",\n\"visibility\":\"PUBLIC\", \"donor\": {{\"email\":\"ada@example.org\",\"name\":\"Ada\"}},
         \"amount\":{{\"currency\":\"USD\",\"amount\":2500}}, \"campaign_id\":\"{}\" }}",
        service.campaign.campaign_id
    );
    let again = service
        .running
        .client
        .post(service.running.at("/api/pledges"));
    let again = again
        .header("idempotency-key", format!("\"{key}\""))
        .header("content-type", "application/json")
        .body(pretty);
    let again = again.send().await.expect("the service answers");
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.bytes().await.expect("a body"), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_the_campaign_ended_still_gets_its_201() {
    let service = Service::start().await;
    let (key, body) = (key(), service.body());
    let first = service
        .pledge(&key, &body)
        .await
        .bytes()
        .await
        .expect("a body");
    service.clock.advance(Duration::days(2));
    let refused = service.pledge(&crate::helpers::key(), &body).await;
    assert_eq!(problem_code(refused).await, "campaign_ended");
    let again = service.pledge(&key, &body).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.bytes().await.expect("a body"), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_flushed_or_never_there_changes_nothing() {
    let service = Service::start().await;
    let (key, body) = (key(), service.body());
    let first = service
        .pledge(&key, &body)
        .await
        .bytes()
        .await
        .expect("a body");
    // A replica without any Redis answers the retry from PostgreSQL, also where it goes by the look-up of a refusal.
    let mut other = config(
        &service.database,
        service.kafka.clone(),
        service.clock.clone(),
    );
    other.cache.url = "redis://127.0.0.1:1".into();
    let replica = testkit::serve(|listener, life| pledge::run(other, listener, life)).await;
    for late in [false, true] {
        if late {
            service.clock.advance(Duration::days(2));
        }
        let again = replica
            .client
            .post(replica.at("/api/pledges"))
            .header("idempotency-key", &key)
            .json(&body);
        let again = again.send().await.expect("the replica answers");
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.bytes().await.expect("a body"), first);
    }
    assert_eq!(service.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_with_keys_in_opposite_order_do_not_deadlock() {
    let service = Service::start().await;
    let config = config(
        &service.database,
        service.kafka.clone(),
        service.clock.clone(),
    );
    let replica = testkit::serve(|listener, life| pledge::run(config, listener, life)).await;
    let body = service.body();
    let keys: Vec<String> = (0..200).map(|_| key()).collect();
    let here = keys.iter().map(|key| service.post(key, &body));
    let there = keys.iter().rev().map(|key| {
        replica
            .client
            .post(replica.at("/api/pledges"))
            .header("idempotency-key", key)
            .json(&body)
    });
    let posts: Vec<_> = here
        .zip(there)
        .flat_map(|(here, there)| [here.send(), there.send()])
        .collect();
    for reply in join_all(posts).await {
        let status = reply.expect("the replicas answer").status();
        // A twin that another process has not committed within 250 ms is told to come back.
        assert!(
            status == StatusCode::CREATED || status == StatusCode::CONFLICT,
            "{status}"
        );
    }
    assert_eq!(service.count().await, 200);
    for key in &keys {
        assert_eq!(
            service.pledge(key, &body).await.status(),
            StatusCode::CREATED
        );
    }
    assert_eq!(service.count().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pledge_and_contact_reach_kafka_and_only_the_contact_has_the_address() {
    let service = Service::start().await;
    let seen: std::sync::Arc<std::sync::Mutex<Vec<(String, String)>>> = std::sync::Arc::default();
    let sink = Sink(seen.clone());
    let kafka = chassis::kafka::Kafka::new(&service.kafka);
    kafka.consume(
        "test",
        &[topics::PLEDGE.into(), topics::CONTACT.into()],
        sink,
        service.running.life(),
    );
    service.pledge(&key(), &service.body()).await;
    let seen = testkit::eventually("both events arrive", async || {
        let seen = seen.lock().expect("nobody panicked").clone();
        (seen.len() == 2).then_some(seen)
    })
    .await;
    for (topic, payload) in seen {
        assert_eq!(
            payload.contains("ada@example.org"),
            topic == topics::CONTACT.name,
            "{topic}: {payload}"
        );
    }
    let left: i64 = testkit::eventually("the outbox is empty", async || {
        let left: i64 = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&service.database.pool())
            .await
            .expect("it can be counted");
        (left == 0).then_some(left)
    })
    .await;
    assert_eq!(left, 0);
}

struct Sink(std::sync::Arc<std::sync::Mutex<Vec<(String, String)>>>);

impl chassis::kafka::Handler for Sink {
    async fn handle(&self, batch: &[chassis::kafka::Message]) -> Result<(), chassis::kafka::Fault> {
        let texts = batch.iter().map(|message| {
            (
                message.topic.clone(),
                String::from_utf8_lossy(&message.payload).into_owned(),
            )
        });
        self.0.lock().expect("nobody panicked").extend(texts);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gives_without_saying_who_it_is() {
    use common::events::{UserEvent, UserKind, UserStatus};
    let service = Service::start().await;
    let user = UserId::new();
    let mut body = service.body();
    body.as_object_mut().expect("an object").remove("donor");
    let post = |body: &Value| {
        service
            .post(&key(), body)
            .bearer_auth(testkit::user_token(user, Role::Donor))
            .send()
    };
    let early = post(&body).await.expect("the service answers");
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(early.headers()["retry-after"], "1");
    assert_eq!(problem_code(early).await, "account_not_ready");
    let contact_id = common::ids::ContactId::new();
    let event = UserEvent {
        kind: UserKind::Registered,
        user_id: user,
        contact_id,
        donor_ref: "pseudonym".into(),
        role: Role::Donor,
        status: UserStatus::Active,
        version: 1,
        occurred_at: service.clock.now(),
    };
    testkit::publish(&service.kafka, &event).await;
    let reply = testkit::eventually("the account is known", async || {
        let reply = post(&body).await.expect("the service answers");
        (reply.status() == StatusCode::CREATED).then_some(reply)
    })
    .await;
    let made: Value = reply.json().await.expect("the reply is JSON");
    let ticket = signer()
        .open(
            made["ticket"].as_str().expect("a ticket"),
            service.clock.now(),
        )
        .expect("the ticket opens");
    assert_eq!(ticket.contact_id, contact_id);
    assert_eq!(ticket.donor_ref, "pseudonym");
    assert_eq!(ticket.donor_id, Some(user));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_campaign_takes_nothing_more() {
    let service = Service::start().await;
    let mut closed = service.campaign.clone();
    closed.kind = CampaignKind::Closed;
    closed.status = CampaignStatus::Completed;
    closed.version = 2;
    service.learn(&closed).await;
    let code = testkit::eventually("the refusal shows", async || {
        let reply = service.pledge(&key(), &service.body()).await;
        if reply.status() == StatusCode::CREATED {
            None
        } else {
            Some(problem_code(reply).await)
        }
    })
    .await;
    assert_eq!(code, "campaign_not_active");
}
