//! Bad input through the gateway: each a problem with its own stable code, never a 500, and nothing stored.

use common::{
    auth::{Issuer, Role},
    ids::UserId,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use testkit::problem_code;
use uuid::Uuid;

use crate::harness::{Wish, World, calm, event, now, sign};

#[test]
fn bad_pledges_are_refused_each_with_its_code_and_nothing_is_stored() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let good = || Wish::new(&campaign, 1000).body;
        let with = |pointer: &str, value: Value| {
            let mut body = good();
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
            body.pointer_mut(parent).expect("the object is there")[field] = value;
            body.to_string()
        };
        let amount = |amount: Value| with("/amount/amount", amount);
        let raw_amount = |number: &str| good().to_string().replace("1000", number);
        let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let long = "x".repeat(65 << 10);
        let (draft, closed, ended) = (
            world.draft(json!({})).await,
            closed(world).await,
            ended(world).await,
        );
        let out_of_range = [0, -1, 99, i64::MAX].map(|minor| amount(minor.into()));
        let (one_half, text) = (amount(1.5.into()), amount("25".into()));
        let too_many = raw_amount("9223372036854775808");
        let currency = |code: &str| with("/amount/currency", code.into());
        let of = |campaign: String| with("/campaign_id", campaign.into());
        let two_lines = |pointer: &str| with(pointer, "a@b.example\r\nBcc: e@b.example".into());
        let malformed = [
            "{".into(),
            String::new(),
            "{}{}".into(),
            raw_amount("1e400"),
        ];
        let invalid = [
            with("/is_admin", true.into()),
            with("/amount/exponent", 2.into()),
            of("first".into()),
        ];
        let cases: [(u16, &str, &[String]); 15] = [
            (400, "malformed_json", &malformed),
            (400, "malformed_json", &[nested]),
            (413, "body_too_large", &[with("/message", long.into())]),
            (422, "invalid_body", &invalid),
            (422, "amount_out_of_range", &out_of_range),
            (422, "invalid_amount", &[too_many, one_half, text]),
            (422, "unknown_currency", &[currency("XQX")]),
            (422, "currency_mismatch", &[currency("EUR")]),
            (404, "campaign_not_found", &[of(Uuid::new_v4().to_string())]),
            (409, "campaign_not_active", &[of(draft), of(closed)]),
            (409, "campaign_ended", &[of(ended)]),
            (422, "donor_required", &[with("/donor", Value::Null)]),
            (422, "invalid_email", &[with("/donor/email", "ada@".into())]),
            (422, "invalid_email", &[two_lines("/donor/email")]),
            (422, "invalid_name", &[two_lines("/donor/name")]),
        ];
        for (status, code, texts) in cases {
            for text in texts {
                let request = pledges(world).header("content-type", "application/json");
                let request = request.header("idempotency-key", Uuid::new_v4().to_string());
                let what: String = text.chars().take(300).collect();
                refused(&what, request.body(text.clone()), status, code).await;
            }
        }

        let without = pledges(world).json(&good());
        refused("no key", without, 400, "idempotency_key_missing").await;
        let long = "k".repeat(300);
        for key in ["1234567", "my-very-own-key", &long, "key\twith\ttabs"] {
            let request = pledges(world).header("idempotency-key", key);
            refused(key, request.json(&good()), 400, "idempotency_key_invalid").await;
        }

        let keyed = |method: Method| {
            let url = format!("{}/api/pledges", world.gateway);
            let key = Uuid::new_v4().to_string();
            world
                .client
                .request(method, url)
                .header("idempotency-key", key)
        };
        let plain = keyed(Method::POST).header("content-type", "text/plain");
        let plain = plain.body(good().to_string());
        refused("another type", plain, 415, "unsupported_media_type").await;
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let request = keyed(method.clone()).json(&good());
            refused(method.as_str(), request, 405, "method_not_allowed").await;
        }
        let before_time = format!(
            "/api/campaigns/{campaign}/donations?cursor=-300000000000000000.{}",
            Uuid::nil()
        );
        for (path, status, code) in [
            ("/api/pledgez", 404, "not_found"),
            ("/api/pledges/1", 404, "not_found"),
            ("/api/campaigns?limit=all", 400, "invalid_query"),
            (&before_time, 400, "invalid_cursor"),
            ("/api/ws?channel=everything", 400, "invalid_channel"),
        ] {
            refused(path, world.get(path), status, code).await;
        }

        let stored = "select count(*) from pledge.pledges where campaign_id = $1";
        assert_eq!(world.count(stored, &campaign).await, 0, "nothing is stored");
    });
}

#[test]
fn bad_access_tokens_are_refused_before_anything_else_happens() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let issuer = Issuer::new("main", &world.secrets.jwt_private_key.clone().into())
            .expect("the fleet's key");
        let at = |offset: i64| chrono::DateTime::from_timestamp(now() + offset, 0).expect("a time");
        let token = |issuer: &Issuer, offset| {
            issuer
                .access(UserId::new(), Role::Admin, at(offset))
                .expect("a token")
        };
        let good = token(&issuer, 0);
        let (_, signed) = good.split_once('.').expect("a header");
        let (claims, signature) = signed.split_once('.').expect("claims");
        // {"alg":"none","typ":"JWT","kid":"main"} and the same with HS256.
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoibWFpbiJ9";
        let hs256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im1haW4ifQ";
        let tokens: [(&str, String); 8] = [
            ("alg none", format!("{none}.{claims}.")),
            (
                "alg none with a signature",
                format!("{none}.{claims}.{signature}"),
            ),
            ("another algorithm", format!("{hs256}.{claims}.{signature}")),
            ("another key", token(&testkit::other_issuer(), 0)),
            ("expired", token(&issuer, -Issuer::lifetime() - 1)),
            ("cut short", good[..good.len() - 2].to_owned()),
            ("no token", "let-me-in".to_owned()),
            ("an empty one", String::new()),
        ];
        for (what, token) in tokens {
            let wish = Wish::new(&campaign, 1000);
            let bearer = format!("Bearer {token}");
            let request = world
                .post("/api/pledges", wish.key, &wish.body)
                .header("authorization", bearer.trim_end());
            let reply = request.send().await.expect("an answer");
            assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{what}");
            assert_eq!(problem_code(reply).await, "invalid_token", "{what}");
        }
        // A good token of the wrong role is another matter.
        let donor = issuer
            .access(UserId::new(), Role::Donor, at(0))
            .expect("a token");
        let path = format!("/api/admin/campaigns/{campaign}/approve");
        let request = world
            .post(&path, Uuid::new_v4(), &json!({ "reason": "mine" }))
            .bearer_auth(donor);
        refused("a donor at an admin's door", request, 403, "forbidden").await;
        let request = world.post(&path, Uuid::new_v4(), &json!({ "reason": "mine" }));
        refused("nobody at an admin's door", request, 401, "unauthenticated").await;
        let stored = "select count(*) from pledge.pledges where campaign_id = $1";
        assert_eq!(world.count(stored, &campaign).await, 0, "nothing is stored");
    });
}

#[test]
fn bad_payments_are_refused_each_with_its_code_and_no_intent_is_made() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let (mine, other) = (
            world.pledge(&campaign, 600).await,
            world.pledge(&campaign, 700).await,
        );
        let mut forged = mine.ticket.clone();
        forged.replace_range(..1, if forged.starts_with('A') { "B" } else { "A" });
        let cases = [
            (
                "no ticket",
                json!({ "pledge_id": mine.id }),
                403,
                "ticket_required",
            ),
            (
                "a forged ticket",
                json!({ "pledge_id": mine.id, "ticket": forged }),
                403,
                "ticket_invalid",
            ),
            (
                "another's ticket",
                json!({ "pledge_id": mine.id, "ticket": other.ticket }),
                403,
                "ticket_invalid",
            ),
            (
                "a guest token as ticket",
                json!({ "pledge_id": mine.id, "ticket": mine.guest_token }),
                403,
                "ticket_invalid",
            ),
            (
                "an amount",
                json!({ "pledge_id": mine.id, "ticket": mine.ticket, "amount": 1 }),
                422,
                "invalid_body",
            ),
            (
                "no pledge",
                json!({ "ticket": mine.ticket }),
                422,
                "invalid_body",
            ),
        ];
        for (what, body, status, code) in cases {
            refused(
                what,
                world.post("/api/payments", Uuid::new_v4(), &body),
                status,
                code,
            )
            .await;
        }
        let checkout = |gift: &str, ticket: &str| {
            world.get(&format!("/api/payments/{gift}/checkout?ticket={ticket}"))
        };
        refused(
            "a forged link",
            checkout(&mine.payment_id, &forged),
            403,
            "ticket_invalid",
        )
        .await;
        refused(
            "another's link",
            checkout(&mine.payment_id, &other.ticket),
            403,
            "ticket_invalid",
        )
        .await;
        refused(
            "a link without a ticket",
            world.get(&format!("/api/payments/{}/checkout", mine.payment_id)),
            403,
            "ticket_required",
        )
        .await;
        assert_eq!(
            world.provider.intents_of(&mine.payment_id).await,
            [] as [Value; 0]
        );
    });
}

#[test]
fn bad_webhooks_are_refused_and_leave_no_trace() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 1000).await;
        let intent = world.open(&gift).await;
        let mut paid = world.provider.intent(&intent.id).await;
        paid["status"] = "succeeded".into();
        paid["amount_received"] = 1000.into();
        let body = event("payment_intent.succeeded", &paid, now());
        let secret = &world.provider.webhook_secret;
        let good = sign(secret, now(), &body);
        // The same JSON in another order is not what was signed.
        let reordered = {
            let value: Value = serde_json::from_str(&body).expect("JSON");
            let mut members: Vec<_> = value.as_object().expect("an object").iter().collect();
            members.reverse();
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            format!("{{{}}}", members.join(","))
        };
        let cases: [(&str, &str, Option<String>); 9] = [
            ("no signature", &body, None),
            ("an empty one", &body, Some(String::new())),
            (
                "another secret",
                &body,
                Some(sign("whsec_of_somebody_else", now(), &body)),
            ),
            ("no secret", &body, Some(sign("", now(), &body))),
            ("301 s old", &body, Some(sign(secret, now() - 301, &body))),
            (
                "from the future",
                &body,
                Some(sign(secret, now() + 360, &body)),
            ),
            ("re-ordered", &reordered, Some(good.clone())),
            ("another time", &body, Some(good.replacen("t=", "t=1", 1))),
            (
                "another version",
                &body,
                Some(good.replacen("v1=", "v0=", 1)),
            ),
        ];
        for (what, body, signature) in cases {
            let reply = world.provider.deliver(body, signature.as_deref()).await;
            assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{what}");
            assert_eq!(problem_code(reply).await, "bad_signature", "{what}");
        }
        for malformed in ["no JSON", "{}", "[]", "{\"id\":1,\"type\":2}"] {
            let reply = world
                .provider
                .deliver(malformed, Some(&sign(secret, now(), malformed)))
                .await;
            assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{malformed}");
            assert_eq!(problem_code(reply).await, "malformed_event", "{malformed}");
        }
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(257 * 1024));
        let reply = world
            .provider
            .deliver(&long, Some(&sign(secret, now(), &long)))
            .await;
        assert_eq!(problem_code(reply).await, "body_too_large");

        let trace = "select count(*) from payment.webhook_events where payment_id = $1 and kind <> 'payment_intent.created'";
        assert_eq!(
            world.count(trace, &gift.payment_id).await,
            0,
            "nothing is stored"
        );
        let payment = world.payment(&gift).await.expect("the payment");
        assert_eq!(payment["state"], "PENDING");
    });
}

fn pledges(world: &World) -> RequestBuilder {
    world.client.post(format!("{}/api/pledges", world.gateway))
}

async fn refused(what: &str, request: RequestBuilder, status: u16, code: &str) {
    let reply = request.send().await.expect("the gateway answers");
    assert_eq!(reply.status().as_u16(), status, "{what}: {reply:?}");
    assert_eq!(problem_code(reply).await, code, "{what}");
}

async fn closed(world: &World) -> String {
    let campaign = world.campaign().await;
    world
        .administer(&format!("/api/campaigns/{campaign}/close"), &json!({}))
        .await;
    world.until_pledge_knows(&campaign, "COMPLETED").await;
    campaign
}

/// A campaign whose time is over, as the pledge service knows it.
async fn ended(world: &World) -> String {
    let campaign = world.campaign().await;
    let id: Uuid = campaign.parse().expect("an id");
    sqlx::query(
        "update pledge.campaigns set ends_at = now() - interval '1 second' where campaign_id = $1",
    )
    .bind(id)
    .execute(&world.db)
    .await
    .expect("the projection can be written");
    campaign
}
