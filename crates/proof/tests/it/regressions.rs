//! The six failures that CareForAll exists to make impossible (F1 to F6), and the ten defects that its forerunners
//! had in their own code (B1 to B10), each with the test that would have caught it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{eventually, problem_code};
use uuid::Uuid;

use crate::harness::{Gift, Intent, Wish, World, calm, event, now, rough, sign, success};

#[test]
fn f1_webhook_retries_never_charge_or_count_twice() {
    calm(async |world| {
        let (gift, intent) = opened(world, 2500).await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_payment(&gift, "CAPTURED").await;
        let events = world.provider.events_of(&intent.id).await;
        assert!(events.len() >= 3, "created, charged, succeeded: {events:?}");
        let again = events.iter().cycle().take(10 * events.len());
        for status in join_all(again.map(|event| world.provider.resend(event))).await {
            assert_eq!(status, Some(200), "what came before is taken as well");
        }
        world.given_once(&gift).await;
        let steps = "select count(*) from payment.payment_transitions where payment_id = $1";
        assert_eq!(
            world.count(steps, &gift.payment_id).await,
            2,
            "PENDING, AUTHORIZED, CAPTURED"
        );
    });
}

#[test]
fn f2_a_crash_between_database_write_and_publication_loses_nothing() {
    rough(async |world| {
        let wish = Wish::new(&world.campaign().await, 2700);
        world.arm("pledge", "pledge.after_commit").await;
        let lost = world.send(&wish).await;
        assert_eq!(lost.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(problem_code(lost).await, "upstream_closed");
        world.until_dead("pledge");
        let waiting: i64 = sqlx::query_scalar("select count(*) from pledge.outbox")
            .fetch_one(&world.db)
            .await
            .expect("the outbox can be read");
        assert_eq!(
            waiting, 2,
            "pledge and contact are written, and not published"
        );

        world.start_again("pledge");
        let reply = world.send_at_last(&wish).await;
        assert_eq!(reply.headers()["idempotent-replayed"], "true");
        let gift = Gift::of(&wish, reply).await;
        // The payment is made from the event alone.
        world.until_payment(&gift, "PENDING").await;
        world.pay(&gift).await;
        world.given_once(&gift).await;
        let pledges = "select count(*) from pledge.pledges where campaign_id = $1";
        assert_eq!(world.count(pledges, &wish.campaign).await, 1);
    });
}

#[test]
fn f3_captured_before_authorized_never_moves_back_and_no_total_is_negative() {
    rough(async |world| {
        let campaign = world.campaign_with(json!({ "capture": "manual" })).await;
        let gift = world.pledge(&campaign, 3300).await;
        let intent = world.open(&gift).await;
        world.until_quiet().await;
        world.provider.pause().await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.provider.capture(&intent).await;

        let captured = world
            .provider
            .event_of(&intent.id, "payment_intent.succeeded")
            .await;
        assert_eq!(world.provider.resend(&captured).await, Some(200));
        world.until_total(&campaign, "raised", 3300).await;
        let held = world
            .provider
            .event_of(&intent.id, "payment_intent.amount_capturable_updated")
            .await;
        assert_eq!(world.provider.resend(&held).await, Some(200));
        let payment = world.payment(&gift).await.expect("the payment");
        assert_eq!(
            payment["state"], "CAPTURED",
            "news from before move nothing"
        );
        world.provider.resume().await;
        world.given_once(&gift).await;

        let told = world.topics.records("cfa.totals.events.v1", &campaign);
        assert!(!told.is_empty());
        for totals in told {
            for bucket in ["raised", "pledged", "authorized", "captured", "refunded"] {
                let amount = totals.payload[bucket]["amount"]
                    .as_i64()
                    .expect("an amount");
                assert!(amount >= 0, "{bucket} in {}", totals.payload);
            }
        }
    });
}

#[test]
fn f4_one_trace_leads_from_the_pledges_request_to_the_mail() {
    calm(async |world| {
        let trace = Uuid::new_v4().simple().to_string();
        let wish = Wish::new(&world.campaign().await, 1100);
        let request = world
            .post("/api/pledges", wish.key, &wish.body)
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let gift = Gift::of(&wish, request.send().await.expect("an answer")).await;
        // From here on nobody sends the trace along but the services themselves. Whether the payment is made from the
        // pledge's event or, as here mostly, from the ticket because the donor is faster, makes no difference.
        world.pay(&gift).await;
        world.until_mail(&wish.email).await;
        let complete: BTreeSet<&str> = ["gateway", "pledge", "payment", "notification"].into();
        eventually(
            "every service on the way has told of its part",
            async || {
                let spans = world.spans.of(&trace);
                let services: BTreeSet<&str> =
                    spans.iter().map(|span| span.service.as_str()).collect();
                let mailed = spans
                    .iter()
                    .any(|span| span.service == "notification" && span.name == "mail.send");
                (mailed && services.is_superset(&complete)).then_some(())
            },
        )
        .await;
        for service in ["gateway", "pledge", "payment", "totals", "notification"] {
            let metrics = world.metrics(service).await;
            assert!(
                metrics.contains("http_request"),
                "{service} counts its requests: {metrics}"
            );
        }
    });
}

#[test]
fn f5_a_total_is_read_without_any_sum() {
    rough(async |world| {
        let campaign = world.campaign().await;
        for amount in [100, 250, 650] {
            world.pay(&world.pledge(&campaign, amount).await).await;
        }
        world.until_total(&campaign, "raised", 1000).await;
        world.until_quiet().await;
        // Whoever would add something up has to wait for this: every table that holds more than the one row.
        let mut closed = world.db.acquire().await.expect("a connection");
        sqlx::raw_sql(
            "begin; lock table totals.payment_watermarks, totals.campaign_donors, totals.donations,
                payment.payments, payment.payment_transitions, pledge.pledges in access exclusive mode",
        )
        .execute(&mut *closed)
        .await
        .expect("the tables can be locked");
        for source in ["database", "cache"] {
            if source == "database" {
                world.forget_cache().await;
            }
            let totals = eventually("the bytes kept for 50 ms are renewed", async || {
                let totals = world
                    .totals(&campaign)
                    .await
                    .expect("totals, never 0 for a miss");
                assert_eq!(totals["raised"]["amount"], 1000);
                (totals["source"] == source).then_some(totals)
            })
            .await;
            assert_eq!(totals["captured"]["amount"], 1000);
            assert_eq!(totals["donors"], 3);
        }
        sqlx::raw_sql("rollback")
            .execute(&mut *closed)
            .await
            .expect("the locks are given back");
    });
}

#[test]
fn f6_two_thousand_pledges_at_once_are_each_taken_or_put_off_and_the_totals_are_exact() {
    const BURST: usize = 2000;
    rough(async |world| {
        let campaign = world.campaign().await;
        let wishes: Vec<Wish> = (0..BURST).map(|_| Wish::new(&campaign, 150)).collect();
        let replies = join_all(wishes.iter().map(|wish| world.send(wish))).await;
        let mut put_off = Vec::new();
        for (wish, reply) in wishes.iter().zip(replies) {
            match reply.status() {
                StatusCode::CREATED => {}
                StatusCode::SERVICE_UNAVAILABLE => {
                    assert!(reply.headers().contains_key("retry-after"));
                    put_off.push(wish);
                }
                other => panic!("{other}: {}", reply.text().await.unwrap_or_default()),
            }
        }
        for wish in put_off {
            Gift::of(wish, world.send_at_last(wish).await).await;
        }
        let pledged = 150 * i64::try_from(BURST).expect("few");
        let totals = world.until_total(&campaign, "pledged", pledged).await;
        assert_eq!(totals["raised"]["amount"], 0, "a promise is not raised");
        world.until_quiet().await;
        let totals = world.totals(&campaign).await.expect("totals");
        assert_eq!(totals["pledged"]["amount"], pledged);
        let rows = "select count(*) from pledge.pledges where campaign_id = $1";
        assert_eq!(world.count(rows, &campaign).await, pledged / 150);
    });
}

#[test]
fn b1_a_crash_inside_the_webhooks_transaction_loses_no_payment() {
    rough(async |world| {
        let (gift, intent) = opened(world, 2900).await;
        world.until_quiet().await;
        world.provider.pause().await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        let captured = world
            .provider
            .event_of(&intent.id, "payment_intent.succeeded")
            .await;
        world.rearm("payment", "payment.in_webhook_tx");
        assert_ne!(world.provider.resend(&captured).await, Some(200));
        world.until_dead("payment");
        let judged = "select count(*) from payment.webhook_events
            where payment_id = $1 and kind = 'payment_intent.succeeded'";
        assert_eq!(
            world.count(judged, &gift.payment_id).await,
            0,
            "neither key nor effect is there"
        );

        world.start_again("payment");
        world.until_payment(&gift, "PENDING").await;
        world.provider.resume().await;
        world.given_once(&gift).await;
        assert_eq!(world.count(judged, &gift.payment_id).await, 1);
    });
}

#[test]
fn b2_ten_deliveries_of_one_event_at_the_same_moment_have_one_effect() {
    calm(async |world| {
        let (gift, intent) = opened(world, 1700).await;
        let body = event(
            "payment_intent.succeeded",
            &captured(world, &intent).await,
            now(),
        );
        let mut verdicts = BTreeMap::new();
        for verdict in join_all((0..10).map(|_| world.provider.deliver_signed(&body))).await {
            *verdicts.entry(verdict).or_insert(0) += 1;
        }
        let expected = [("DUPLICATE".to_owned(), 9), ("IMPLIED".to_owned(), 1)];
        assert_eq!(verdicts, expected.into());
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.given_once(&gift).await;
    });
}

#[test]
fn b2_a_hundred_posts_with_one_key_at_the_same_moment_are_one_pledge() {
    calm(async |world| {
        let wish = Wish::new(&world.campaign().await, 1300);
        let replies = join_all((0..100).map(|_| world.send_at_last(&wish))).await;
        let gifts = join_all(replies.into_iter().map(|reply| Gift::of(&wish, reply))).await;
        assert!(
            gifts.iter().all(|gift| gift.bytes == gifts[0].bytes),
            "one reply"
        );
        let pledges = "select count(*) from pledge.pledges where campaign_id = $1";
        assert_eq!(world.count(pledges, &wish.campaign).await, 1, "one pledge");
        world.pay(&gifts[0]).await;
        world.given_once(&gifts[0]).await;
    });
}

#[test]
fn b3_a_key_belongs_to_its_caller_and_to_its_body() {
    calm(async |world| {
        let wish = Wish::new(&world.campaign().await, 1400);
        let mut ids = HashSet::new();
        let guest = Gift::of(&wish, world.send(&wish).await).await;
        ids.insert(guest.id.clone());
        for name in ["grace", "alan"] {
            let token = world
                .account(&format!("{name}-{}@example.org", wish.key.simple()))
                .await;
            let request = world
                .post("/api/pledges", wish.key, &wish.body)
                .bearer_auth(token);
            let gift = Gift::of(&wish, request.send().await.expect("an answer")).await;
            assert!(!String::from_utf8_lossy(&gift.bytes).contains(&guest.guest_token));
            ids.insert(gift.id);
        }
        assert_eq!(
            ids.len(),
            3,
            "guest and accounts do not see each other's replies"
        );
        let mut other = wish.clone();
        other.body["message"] = "Go on!".into();
        let refused = world.send(&other).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem_code(refused).await, "idempotency_key_reused");
        let again = Gift::of(&wish, world.send(&wish).await).await;
        assert_eq!(again.bytes, guest.bytes);
    });
}

#[test]
fn b3_a_retry_gets_its_reply_after_the_campaign_has_ended() {
    calm(async |world| {
        let gift = world.pledge(&world.campaign().await, 1400).await;
        let campaign = &gift.wish.campaign;
        world
            .administer(&format!("/api/campaigns/{campaign}/close"), &json!({}))
            .await;
        eventually("the campaign takes no more gifts", async || {
            let late = world.send(&Wish::new(campaign, 1400)).await;
            (late.status() == StatusCode::CONFLICT).then_some(())
        })
        .await;
        let again = world.send(&gift.wish).await;
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(Gift::of(&gift.wish, again).await.bytes, gift.bytes);
    });
}

#[test]
fn b4_captured_while_pending_is_counted_and_the_missing_step_is_implied() {
    calm(async |world| {
        // With automatic capture the provider never tells of an authorization.
        let (gift, intent) = opened(world, 1600).await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.given_once(&gift).await;
        let id: Uuid = gift.payment_id.parse().expect("an id");
        let steps: Vec<(String, String, bool)> = sqlx::query_as(
            "select from_state, to_state, implied from payment.payment_transitions where payment_id = $1 order by id",
        )
        .bind(id)
        .fetch_all(&world.db)
        .await
        .expect("the history can be read");
        let step = |from: &str, to: &str, implied| (from.to_owned(), to.to_owned(), implied);
        assert_eq!(
            steps,
            [
                step("PENDING", "AUTHORIZED", true),
                step("AUTHORIZED", "CAPTURED", false)
            ]
        );
        let told = world.topics.records("cfa.payment.events.v1", &gift.id);
        let captured = told
            .iter()
            .find(|event| event.payload["state"] == "CAPTURED");
        assert_eq!(
            captured.expect("it was told").payload["implied"],
            json!(["AUTHORIZED"])
        );
    });
}

#[test]
fn b5_events_are_ordered_by_what_they_mean_not_by_the_providers_clock() {
    calm(async |world| {
        let campaign = world.campaign_with(json!({ "capture": "manual" })).await;
        let gift = world.pledge(&campaign, 1500).await;
        let intent = world.open(&gift).await;
        let mut held = world.provider.intent(&intent.id).await;
        held["status"] = "requires_capture".into();
        held["amount_capturable"] = 1500.into();
        let held = |at| event("payment_intent.amount_capturable_updated", &held, at);
        let taken = captured(world, &intent).await;
        let taken = |at| event("payment_intent.succeeded", &taken, at);
        assert_eq!(world.provider.deliver_signed(&held(now())).await, "APPLIED");
        assert_eq!(
            world.provider.deliver_signed(&taken(now() - 3600)).await,
            "APPLIED",
            "older, and yet later"
        );
        assert_eq!(
            world.provider.deliver_signed(&held(now() + 3600)).await,
            "STALE",
            "newer, and yet before"
        );
        let payment = world.payment(&gift).await.expect("the payment");
        assert_eq!(payment["state"], "CAPTURED");
        world.until_total(&campaign, "raised", 1500).await;
    });
}

#[test]
fn b6_state_history_and_event_are_written_together_or_not_at_all() {
    calm(async |world| {
        let (gift, intent) = opened(world, 2100).await;
        let campaign = &gift.wish.campaign;
        let body = event(
            "payment_intent.succeeded",
            &captured(world, &intent).await,
            now(),
        );
        world.provider.until_delivered(&intent.id).await;
        world.until_heard().await;
        // From now on the outbox takes nothing about this gift.
        poison(world, &gift.id).await;
        let signature = sign(&world.provider.webhook_secret, now(), &body);
        let failed = world.provider.deliver(&body, Some(&signature)).await;
        assert!(
            failed.status().is_server_error(),
            "200 would end the provider's tries"
        );
        let payment = world.payment(&gift).await.expect("the payment");
        assert_eq!(payment["state"], "PENDING");
        let written = "select (select count(*) from payment.payment_transitions where payment_id = $1)
                            + (select count(*) from payment.webhook_events where payment_id = $1 and verdict = 'IMPLIED')";
        assert_eq!(
            world.count(written, &gift.payment_id).await,
            0,
            "no step, and no verdict"
        );

        antidote(world, &gift.id).await;
        assert_eq!(world.provider.deliver_signed(&body).await, "IMPLIED");
        assert_eq!(world.count(written, &gift.payment_id).await, 3);
        world.until_total(campaign, "raised", 2100).await;
    });
}

#[test]
fn b7_two_relays_publish_each_event_once_and_in_order() {
    const GIFTS: usize = 60;
    calm(async |world| {
        let campaign = world.campaign().await;
        let gifts = join_all((0..GIFTS).map(|_| world.pledge(&campaign, 200))).await;
        world
            .until_total(
                &campaign,
                "pledged",
                200 * i64::try_from(GIFTS).expect("few"),
            )
            .await;
        for gift in &gifts[..5] {
            world.pay(gift).await;
            world.until_pledge(gift, "COMPLETED").await;
        }
        world.until_heard().await;
        let told = world.topics.all("cfa.pledge.events.v1");
        let mut ids = HashSet::new();
        for gift in &gifts {
            let of_gift: Vec<_> = told.iter().filter(|event| event.key == gift.id).collect();
            let versions: Vec<i64> = of_gift.iter().map(|event| event.version()).collect();
            let in_order: Vec<i64> = (1..=versions.len())
                .map(|n| n.try_into().expect("few"))
                .collect();
            assert!(!versions.is_empty(), "{} was never told", gift.id);
            assert_eq!(
                versions, in_order,
                "each version of {} once, in order",
                gift.id
            );
            assert!(
                of_gift.iter().all(|event| ids.insert(&event.event_id)),
                "each event has an id of its own"
            );
        }
    });
}

#[test]
fn b8_an_expired_cache_entry_never_becomes_a_wrong_total() {
    calm(async |world| {
        let campaign = world.campaign().await;
        world.pay(&world.pledge(&campaign, 1000).await).await;
        world.until_total(&campaign, "raised", 1000).await;
        world.forget_total(&campaign).await;
        world.pay(&world.pledge(&campaign, 500).await).await;
        world.until_total(&campaign, "raised", 1500).await;
        let kept = world
            .kept_total(&campaign)
            .await
            .expect("the change was written through");
        assert_eq!(
            kept["captured"], 1500,
            "the whole total, not what was added: {kept}"
        );
        world.forget_total(&campaign).await;
        let totals = eventually("the total is read from the database", async || {
            let totals = world.totals(&campaign).await?;
            assert_eq!(totals["raised"]["amount"], 1500);
            (totals["source"] == "database").then_some(totals)
        });
        assert_eq!(totals.await["donors"], 2);
    });
}

#[test]
fn b9_what_is_published_while_nobody_listens_is_heard_later() {
    rough(async |world| {
        let (gift, intent) = opened(world, 2300).await;
        world.until_quiet().await;
        for listener in ["totals", "notification"] {
            world.kill(listener);
        }
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_pledge(&gift, "COMPLETED").await;
        eventually("everything is published", async || {
            (world.outbox_rows().await == Some(0)).then_some(())
        })
        .await;
        assert_eq!(world.mails(&gift.wish.email).await.len(), 0);
        for listener in ["totals", "notification"] {
            world.start_again(listener);
        }
        world.given_once(&gift).await;
    });
}

#[test]
fn b10_a_signed_webhook_is_believed_only_as_far_as_our_own_record() {
    calm(async |world| {
        let (gift, intent) = opened(world, 1000).await;
        let (other, _) = opened(world, 5000).await;
        let paid = captured(world, &intent).await;
        let with = |changes: Value| {
            let mut paid = paid.clone();
            let Value::Object(changes) = changes else {
                panic!("changes are an object")
            };
            paid.as_object_mut().expect("an object").extend(changes);
            event("payment_intent.succeeded", &paid, now())
        };
        let strange = format!("pi_{}", Uuid::new_v4().simple());
        let named = |payment: &str| json!({ "payment_id": payment });
        let cases = [
            (
                "a smaller amount",
                with(json!({ "amount": 1, "amount_received": 1 })),
                "QUARANTINED",
            ),
            (
                "a larger amount",
                with(json!({ "amount": 9000, "amount_received": 9000 })),
                "QUARANTINED",
            ),
            (
                "more taken than asked for",
                with(json!({ "amount_received": 1001 })),
                "QUARANTINED",
            ),
            (
                "less taken than asked for",
                with(json!({ "amount_received": 999 })),
                "CONFLICT",
            ),
            (
                "nothing taken",
                with(json!({ "amount_received": 0 })),
                "QUARANTINED",
            ),
            (
                "another currency",
                with(json!({ "currency": "jpy" })),
                "QUARANTINED",
            ),
            (
                "a type that its status contradicts",
                with(json!({ "status": "canceled" })),
                "QUARANTINED",
            ),
            (
                "another payment's name",
                with(json!({ "metadata": named(&other.payment_id) })),
                "CONFLICT",
            ),
            (
                "another intent for it",
                with(json!({ "id": strange })),
                "CONFLICT",
            ),
            (
                "nobody's payment",
                with(json!({ "id": strange, "metadata": named(&Uuid::new_v4().to_string()) })),
                "PARKED",
            ),
            (
                "a type of tomorrow",
                event("payment_intent.teleported", &paid, now()),
                "IGNORED",
            ),
        ];
        for (what, body, verdict) in cases {
            assert_eq!(
                world.provider.deliver_signed(&body).await,
                verdict,
                "{what}"
            );
            for gift in [&gift, &other] {
                let payment = world.payment(gift).await.expect("the payment");
                assert_eq!(payment["state"], "PENDING", "{what}");
            }
        }
        // An impossible step is answered as well, or the provider would repeat it for days.
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_payment(&gift, "CAPTURED").await;
        let mut canceled = paid.clone();
        canceled["status"] = "canceled".into();
        let canceled = event("payment_intent.canceled", &canceled, now());
        assert_eq!(world.provider.deliver_signed(&canceled).await, "CONFLICT");
        world.given_once(&gift).await;
        let totals = world.totals(&other.wish.campaign).await.expect("totals");
        assert_eq!(totals["raised"]["amount"], 0);
    });
}

/// A gift, alone in its campaign, whose payment is open.
async fn opened(world: &World, amount: i64) -> (Gift, Intent) {
    let gift = world.pledge(&world.campaign().await, amount).await;
    let intent = world.open(&gift).await;
    (gift, intent)
}

/// The intent as it will be when it is paid.
async fn captured(world: &World, intent: &Intent) -> Value {
    let mut paid = world.provider.intent(&intent.id).await;
    paid["status"] = "succeeded".into();
    paid["amount_received"] = paid["amount"].clone();
    paid
}

/// Makes payment's outbox refuse every event with this key.
async fn poison(world: &World, key: &str) {
    sqlx::raw_sql(
        "create table public.poison (key text primary key);
         create function public.refuse_poison() returns trigger language plpgsql security definer as $$
         begin
             if exists (select from public.poison where key = new.key) then
                 raise exception 'poison' using errcode = 'check_violation';
             end if;
             return new;
         end
         $$;
         create trigger refuse_poison before insert on payment.outbox
             for each row execute function public.refuse_poison()",
    )
    .execute(&world.db)
    .await
    .expect("the trigger can be made");
    sqlx::query("insert into public.poison values ($1)")
        .bind(key)
        .execute(&world.db)
        .await
        .expect("the key can be noted");
}

async fn antidote(world: &World, key: &str) {
    sqlx::query("delete from public.poison where key = $1")
        .bind(key)
        .execute(&world.db)
        .await
        .expect("the key can be forgotten");
}
