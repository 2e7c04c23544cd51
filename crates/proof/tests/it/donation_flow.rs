//! One donation from its first request to the mail, as the README walks through it, and its other ways.

use std::collections::BTreeSet;

use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{eventually, problem_code};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::harness::{Gift, Wish, World, as_a_client, calm, success};

#[test]
fn one_whole_donation_as_the_readme_walks_through_it() {
    calm(async |world| {
        // 1. The campaign is listed.
        let campaign = world.campaign().await;
        let list = success(world.get("/api/campaigns").send().await.expect("a list")).await;
        let listed = list["data"].as_array().expect("a list").iter();
        let shown = listed.clone().find(|listed| listed["id"] == *campaign);
        let shown = shown.unwrap_or_else(|| panic!("{campaign} is not in {list}"));
        assert_eq!(shown["status"], "ACTIVE");
        assert_eq!(shown["currency"], "USD");
        assert_eq!(
            shown["goal"],
            json!({ "amount": 1_000_000, "currency": "USD" })
        );

        // 8. Whoever watches the campaign will be told.
        let mut watcher = watch(world, &campaign).await;

        // 2. The pledge; the same call again gives the same bytes.
        let wish = Wish::new(&campaign, 2500);
        let gift = Gift::of(&wish, world.send(&wish).await).await;
        let again = world.send(&wish).await;
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(Gift::of(&wish, again).await.bytes, gift.bytes);
        let pledged: Value = serde_json::from_slice(&gift.bytes).expect("JSON");
        assert_eq!(pledged["pledge"]["status"], "PENDING");
        assert_eq!(pledged["pledge"]["campaign_id"], *campaign);
        assert_eq!(pledged["pledge"]["visibility"], "PUBLIC");
        assert_eq!(pledged["pledge"]["version"], 1);

        // 3. The payment, at once; asked again, the same payment and its one intent.
        let reply = world.open_reply(&gift, Uuid::new_v4()).await;
        assert_eq!(reply.status(), StatusCode::CREATED);
        let opened: Value = reply.json().await.expect("JSON");
        assert_eq!(opened["payment"]["id"], *gift.payment_id);
        assert_eq!(opened["payment"]["pledge_id"], *gift.id);
        assert_eq!(opened["payment"]["state"], "PENDING");
        assert_eq!(opened["payment"]["attempt"], 1);
        assert_eq!(
            opened["payment"]["amount"],
            json!({ "amount": 2500, "currency": "USD" })
        );
        let intent = world.open(&gift).await;
        assert_eq!(opened["client_secret"], *intent.client_secret);

        // 4. The donor pays at the provider, whose signed events come back through the gateway.
        let paid = success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        assert_eq!(paid["status"], "succeeded");

        // 5. Payment and pledge follow; whoever has no token, or another gift's, sees neither.
        world.until_payment(&gift, "CAPTURED").await;
        world.until_pledge(&gift, "COMPLETED").await;
        let other = world.pledge(&campaign, 100).await;
        for path in [
            format!("/api/payments/{}", gift.payment_id),
            format!("/api/pledges/{}", gift.id),
        ] {
            for token in [None, Some(&other.guest_token)] {
                let request = token.iter().fold(world.get(&path), |request, token| {
                    request.header("x-guest-token", token.as_str())
                });
                let reply = request.send().await.expect("an answer");
                assert_eq!(
                    reply.status(),
                    StatusCode::NOT_FOUND,
                    "{path} with {token:?}"
                );
                assert_eq!(problem_code(reply).await, "not_found");
            }
        }

        // 6. The totals, under both names, and the public wall.
        let totals = world.until_total(&campaign, "raised", 2500).await;
        assert_eq!(
            totals["raised"],
            json!({ "amount": 2500, "currency": "USD" })
        );
        assert_eq!(totals["captured"]["amount"], 2500);
        assert_eq!(totals["refunded"]["amount"], 0);
        assert_eq!(totals["donors"], 1);
        assert_eq!(totals["goal_pct"], 0);
        assert!(["cache", "database"].contains(&totals["source"].as_str().expect("a source")));
        let alias = world.get(&format!("/api/totals/{campaign}")).send().await;
        assert_eq!(
            success(alias.expect("totals")).await["raised"],
            totals["raised"]
        );
        assert_eq!(
            wall(world, &campaign, 1).await,
            [
                json!({ "name": "Ada", "amount": { "amount": 2500, "currency": "USD" }, "message": "Go!" })
            ]
        );

        // 7. One mail, by SMTP.
        let mail = world.until_mail(&wish.email).await;
        assert_eq!(mail["envelope_recipients"], json!([wish.email]));
        let letter = world.client.get(format!(
            "{}/api/message/{}",
            world.mail,
            mail["id"].as_str().expect("an id")
        ));
        let letter = success(letter.send().await.expect("the mailbox answers")).await;
        let text = letter["text"].as_str().expect("a text");
        assert!(
            text.contains("Dear Ada") && text.contains("25.00 USD"),
            "{text}"
        );
        world.until_heard().await;
        assert_eq!(world.mails(&wish.email).await.len(), 1);

        // 8. And the watcher was told.
        let pushed = eventually("the new total is pushed", async || {
            let message = watcher.next().await?.expect("the socket stays open");
            let Message::Text(text) = message else {
                return None;
            };
            let totals: Value = serde_json::from_str(&text).expect("JSON");
            (totals["raised"]["amount"] == 2500).then_some(totals)
        })
        .await;
        assert_eq!(pushed["type"], "totals");
        assert_eq!(pushed["campaign_id"], *campaign);
    });
}

#[test]
fn a_browser_is_sent_to_a_real_page_and_pays_there() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 1500).await;
        let page = visit(world, &gift).await;
        // A second visit, and the API, lead to the same intent.
        assert_eq!(visit(world, &gift).await, page);
        assert_eq!(world.open(&gift).await.checkout_url, page);

        let html = world.client.get(&page).send().await.expect("a page");
        assert_eq!(html.status(), StatusCode::OK);
        let html = html.text().await.expect("a page");
        for part in ["15.00 USD", "value=\"pay\"", "value=\"decline\""] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        let (address, query) = page.split_once('?').expect("a query");
        let submit = world
            .client
            .post(address)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("{query}&action=pay"));
        let thanks = submit
            .send()
            .await
            .expect("a page")
            .text()
            .await
            .expect("a page");
        assert!(thanks.contains("Your payment was received"), "{thanks}");
        world.given_once(&gift).await;
    });
}

#[test]
fn a_held_payment_is_authorized_before_it_is_captured() {
    calm(async |world| {
        let campaign = world.campaign_with(json!({ "capture": "manual" })).await;
        let gift = world.pledge(&campaign, 4000).await;
        let intent = world.open(&gift).await;
        let held = success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        assert_eq!(held["status"], "requires_capture");
        world.until_payment(&gift, "AUTHORIZED").await;
        world.until_pledge(&gift, "AUTHORIZED").await;
        let totals = world.until_total(&campaign, "authorized", 4000).await;
        assert_eq!(totals["raised"]["amount"], 0, "what is held is not raised");
        assert_eq!(totals["donors"], 0);
        world.provider.capture(&intent).await;
        world.given_once(&gift).await;
        let totals = world.totals(&campaign).await.expect("totals");
        assert_eq!(totals["authorized"]["amount"], 0);
    });
}

#[test]
fn the_wall_shows_no_more_than_the_donor_allows() {
    calm(async |world| {
        let campaign = world.campaign().await;
        for (visibility, amount) in [
            ("PUBLIC", 1000),
            ("ANONYMOUS", 2000),
            ("HIDDEN_AMOUNT", 3000),
        ] {
            let mut wish = Wish::new(&campaign, amount);
            wish.body["visibility"] = json!(visibility);
            let gift = Gift::of(&wish, world.send(&wish).await).await;
            world.pay(&gift).await;
            world.until_payment(&gift, "CAPTURED").await;
        }
        world.until_total(&campaign, "raised", 6000).await;
        let shown: BTreeSet<String> = wall(world, &campaign, 3)
            .await
            .iter()
            .map(Value::to_string)
            .collect();
        let expected = [
            json!({ "name": "Ada", "amount": { "amount": 1000, "currency": "USD" }, "message": "Go!" }),
            json!({ "name": "Anonymous", "amount": { "amount": 2000, "currency": "USD" }, "message": "Go!" }),
            json!({ "name": "Ada", "amount": null, "message": "Go!" }),
        ];
        assert_eq!(shown, expected.iter().map(Value::to_string).collect());
    });
}

#[test]
fn an_account_gives_without_saying_who_it_is_and_has_a_history() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let mut wish = Wish::new(&campaign, 700);
        wish.email = format!("grace-{}@example.org", wish.key.simple());
        let token = world.account(&wish.email).await;
        wish.body
            .as_object_mut()
            .expect("an object")
            .remove("donor");
        // The account's registration reaches the pledge service as an event.
        let reply = as_a_client("the account is known", || {
            world
                .post("/api/pledges", wish.key, &wish.body)
                .bearer_auth(&token)
        });
        let gift = Gift::of(&wish, reply.await).await;
        world.pay(&gift).await;
        world.until_payment(&gift, "CAPTURED").await;
        world.until_mail(&wish.email).await;
        let mine = world
            .get("/api/pledges/me")
            .bearer_auth(&token)
            .send()
            .await;
        let mine = success(mine.expect("a history")).await;
        let mine = mine["data"].as_array().expect("a list");
        assert_eq!(mine.len(), 1, "{mine:?}");
        assert_eq!(mine[0]["id"], *gift.id);
        // Its own token shows the payment, another account's does not.
        let path = format!("/api/payments/{}", gift.payment_id);
        let own = world
            .get(&path)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(own.status(), StatusCode::OK);
        let stranger = world
            .account(&format!("eve-{}@example.org", wish.key.simple()))
            .await;
        let other = world
            .get(&path)
            .bearer_auth(stranger)
            .send()
            .await
            .expect("an answer");
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    });
}

#[test]
fn no_log_holds_an_address_a_token_or_a_secret() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 900).await;
        visit(world, &gift).await;
        let intent = world.pay(&gift).await;
        world.until_mail(&gift.wish.email).await;
        let secrets = [
            &gift.wish.email,
            &gift.ticket,
            &gift.guest_token,
            &intent.client_secret,
            &world.provider.webhook_secret,
            &world.secrets.admin_password,
        ];
        let logs = world.logs();
        let mailed = logs.iter().any(|(_, log)| log.contains("mail sent"));
        assert!(mailed, "there are logs");
        for (name, log) in logs {
            for secret in secrets {
                assert!(
                    !log.contains(secret.as_str()),
                    "the log of {name} holds {secret}"
                );
            }
        }
    });
}

/// The page that the payment's address sends a browser to.
async fn visit(world: &World, gift: &Gift) -> String {
    let reply = world
        .client
        .get(&gift.payment_url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    assert_eq!(reply.headers()["referrer-policy"], "no-referrer");
    reply.headers()["location"]
        .to_str()
        .expect("an address")
        .to_owned()
}

/// The public wall, once it holds so many gifts.
async fn wall(world: &World, campaign: &str, gifts: usize) -> Vec<Value> {
    eventually("the gifts are on the wall", async || {
        let reply = world
            .get(&format!("/api/campaigns/{campaign}/donations"))
            .send()
            .await
            .ok()?;
        let body: Value = reply.json().await.ok()?;
        let mut shown = body["data"].as_array()?.clone();
        for gift in &mut shown {
            gift.as_object_mut()?.remove("given_at")?;
        }
        (shown.len() >= gifts).then_some(shown)
    })
    .await
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn watch(world: &World, campaign: &str) -> Socket {
    let address = world.gateway.replacen("http", "ws", 1);
    let url = format!("{address}/api/ws?channel=campaign:{campaign}");
    let (socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("the channel opens");
    socket
}
