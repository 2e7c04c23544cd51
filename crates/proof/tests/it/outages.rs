//! PostgreSQL, Redis and Kafka go away and come back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{RequestBuilder, StatusCode};
use testkit::{eventually, problem_code};
use uuid::Uuid;
use xtask::fleet::Backends;

use crate::harness::{Gift, Wish, World, counted, rough, success};

const SERVICES: [&str; 6] = [
    "user",
    "campaign",
    "pledge",
    "payment",
    "totals",
    "notification",
];

#[test]
fn without_kafka_gifts_are_taken_and_paid_and_all_is_told_in_order_when_it_is_back() {
    rough(async |world| {
        let campaign = world.campaign().await;
        world.until_quiet().await;
        world.stop_backend(Backends::kafka);
        let mut gifts = Vec::new();
        let mut traces = Vec::new();
        for _ in 0..10 {
            let wish = Wish::new(&campaign, 500);
            let trace = Uuid::new_v4().simple().to_string();
            let request = world
                .post("/api/pledges", wish.key, &wish.body)
                .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
            let gift = Gift::of(&wish, request.send().await.expect("an answer")).await;
            traces.push(trace);
            // The event cannot have come, so the payment is opened by the ticket.
            let intent = world.open(&gift).await;
            success(world.provider.confirm(&intent, "pm_card_visa").await).await;
            world.until_payment(&gift, "CAPTURED").await;
            gifts.push(gift);
        }
        let waiting = world.outbox_rows().await.expect("the outbox can be read");
        assert!(
            waiting >= 40,
            "pledge, contact and two of each payment wait: {waiting}"
        );
        for service in ["pledge", "payment"] {
            let ready = world.client.get(format!("{}/readyz", world.url(service)));
            let ready = ready.send().await.expect("an answer").status();
            assert_eq!(ready, StatusCode::OK, "{service} takes gifts all the same");
            eventually("the age of what waits is told", async || {
                let metrics = world.metrics(service).await;
                (counted(&metrics, "outbox_lag_seconds", "") > 0.0).then_some(())
            })
            .await;
        }

        world.start_backend(Backends::kafka);
        let totals = world.until_total(&campaign, "raised", 5000).await;
        assert_eq!(totals["donors"], 10);
        for gift in &gifts {
            world.until_pledge(gift, "COMPLETED").await;
            world.until_mail(&gift.wish.email).await;
        }
        world.until_quiet().await;
        for topic in ["cfa.pledge.events.v1", "cfa.payment.events.v1"] {
            let told = world.topics.all(topic);
            for gift in &gifts {
                let mut versions: Vec<i64> = Vec::new();
                for event in told.iter().filter(|event| event.key == gift.id) {
                    if versions.last() != Some(&event.version()) {
                        versions.push(event.version());
                    }
                }
                let in_order: Vec<i64> = (1..=versions.len())
                    .map(|n| n.try_into().expect("few"))
                    .collect();
                assert_eq!(versions, in_order, "{topic} of {}", gift.id);
                assert!(versions.len() >= 2, "{topic} of {}", gift.id);
            }
        }
        for gift in &gifts {
            assert_eq!(world.mails(&gift.wish.email).await.len(), 1);
        }
        // The ticket has carried the trace past the event that was late.
        eventually("each trace leads to its mail", async || {
            let mailed = |trace: &String| {
                world
                    .spans
                    .of(trace)
                    .iter()
                    .any(|span| span.name == "mail.send")
            };
            traces.iter().all(mailed).then_some(())
        })
        .await;
    });
}

#[test]
fn without_postgresql_every_service_says_so_within_two_seconds_and_recovers_by_itself() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 2000).await;
        let intent = world.open(&gift).await;
        world.until_quiet().await;
        let processes = SERVICES.map(|service| world.pid(service));
        let aside = set_aside(world);
        world.stop_backend(Backends::postgres);

        let wish = Wish::new(&campaign, 800);
        let other = Uuid::new_v4();
        let requests: [(&str, RequestBuilder); 5] = [
            ("a pledge", world.post("/api/pledges", wish.key, &wish.body)),
            (
                "a payment",
                world.post(
                    "/api/payments",
                    other,
                    &serde_json::json!({ "pledge_id": gift.id, "ticket": gift.ticket }),
                ),
            ),
            ("the campaigns", world.get("/api/campaigns")),
            (
                "the wall",
                world.get(&format!("/api/campaigns/{campaign}/donations")),
            ),
            (
                "a look at a payment",
                world
                    .get(&format!("/api/payments/{}", gift.payment_id))
                    .header("x-guest-token", &gift.guest_token),
            ),
        ];
        join_all(requests.map(async |(what, request)| {
            let asked = Instant::now();
            let reply = request.send().await.expect("an answer");
            let took = asked.elapsed();
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
            assert!(reply.headers().contains_key("retry-after"), "{what}");
            assert_eq!(problem_code(reply).await, "unavailable", "{what}");
            assert!(took < Duration::from_secs(2), "{what} took {took:?}");
        }))
        .await;
        // The money is taken while we cannot note it: the provider keeps its events for us.
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;

        world.start_backend(Backends::postgres);
        let late = Gift::of(&wish, world.send_at_last(&wish).await).await;
        world.until_payment(&gift, "CAPTURED").await;
        world.pay(&late).await;
        world.until_payment(&late, "CAPTURED").await;
        world.until_total(&campaign, "raised", 2800).await;
        world.until_quiet().await;
        for gift in [&gift, &late] {
            assert_eq!(world.provider.charges_of(&gift.payment_id).await.len(), 1);
            world.until_mail(&gift.wish.email).await;
            assert_eq!(world.mails(&gift.wish.email).await.len(), 1);
        }
        assert_eq!(
            SERVICES.map(|service| world.pid(service)),
            processes,
            "no service was restarted"
        );
        // What could not be written meanwhile was waited for, and not set aside.
        assert_eq!(set_aside(world), aside);
    });
}

/// How many messages were given up, of each topic.
fn set_aside(world: &World) -> [usize; 3] {
    [
        "cfa.campaign.state.v1.dlq",
        "cfa.pledge.events.v1.dlq",
        "cfa.payment.events.v1.dlq",
    ]
    .map(|topic| world.topics.all(topic).len())
}

#[test]
fn without_redis_or_with_an_emptied_one_every_result_is_the_same() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 1200).await;
        let key = Uuid::new_v4();
        let intent = world.open_with(&gift, key).await;

        world.forget_cache().await;
        let again = world.send(&gift.wish).await;
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(Gift::of(&gift.wish, again).await.bytes, gift.bytes);

        world.stop_backend(Backends::redis);
        let again = world.send(&gift.wish).await;
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(Gift::of(&gift.wish, again).await.bytes, gift.bytes);
        let mut reused = gift.wish.clone();
        reused.body["amount"]["amount"] = 1300.into();
        let refused = world.send(&reused).await;
        assert_eq!(problem_code(refused).await, "idempotency_key_reused");
        assert_eq!(world.open_with(&gift, key).await, intent);
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        let totals = world.until_total(&campaign, "raised", 1200).await;
        assert_eq!(totals["source"], "database");
        world.given_once(&gift).await;

        // What Redis knew from before does not come back.
        world.start_backend(Backends::redis);
        world.given_once(&gift).await;
        assert_eq!(
            Gift::of(&gift.wish, world.send(&gift.wish).await)
                .await
                .bytes,
            gift.bytes
        );
    });
}
