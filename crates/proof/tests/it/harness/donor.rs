//! What donors do, and what they and the public get to see.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use super::world::{World, success};

/// What a donor asks for: the same every time it is sent.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Made before the first try.
    pub key: Uuid,
    /// For which campaign.
    pub campaign: String,
    /// How much, in minor units.
    pub amount: i64,
    /// An address that nobody else has.
    pub email: String,
    /// The request.
    pub body: Value,
}

/// A pledge that was taken.
#[derive(Clone, Debug)]
pub struct Gift {
    /// What was asked for.
    pub wish: Wish,
    /// The pledge's id.
    pub id: String,
    /// The id of its first payment.
    pub payment_id: String,
    /// Where a browser pays.
    pub payment_url: String,
    /// Opens the payment.
    pub ticket: String,
    /// Shows pledge and payment.
    pub guest_token: String,
    /// The reply, byte for byte.
    pub bytes: Vec<u8>,
}

/// What the donor's browser pays with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The provider's id.
    pub id: String,
    /// Pays it.
    pub client_secret: String,
    /// The page to pay on.
    pub checkout_url: String,
}

impl Wish {
    /// A gift of Ada's, in US dollars.
    pub fn new(campaign: &str, amount: i64) -> Self {
        let key = Uuid::new_v4();
        let email = format!("ada-{}@example.org", key.simple());
        let body = json!({
            "campaign_id": campaign,
            "amount": { "amount": amount, "currency": "USD" },
            "donor": { "name": "Ada", "email": email },
            "visibility": "PUBLIC",
            "message": "Go!",
        });
        Self {
            key,
            campaign: campaign.to_owned(),
            amount,
            email,
            body,
        }
    }
}

impl Gift {
    /// Reads the reply to a wish, which must be a 201.
    pub async fn of(wish: &Wish, reply: Response) -> Self {
        let status = reply.status();
        let bytes = reply.bytes().await.expect("a body").to_vec();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(status, StatusCode::CREATED, "{text}");
        let body: Value = serde_json::from_slice(&bytes).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            wish: wish.clone(),
            id: text(&body["pledge"]["id"]),
            payment_id: text(&body["payment_id"]),
            payment_url: text(&body["payment_url"]),
            ticket: text(&body["ticket"]),
            guest_token: text(&body["guest_token"]),
            bytes,
        }
    }
}

impl Intent {
    /// Reads the reply to an opened payment, which must be a 201.
    pub async fn of(reply: Response) -> Self {
        let status = reply.status();
        let text = reply.text().await.expect("a body");
        assert_eq!(status, StatusCode::CREATED, "{text}");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        let client_secret = text("client_secret");
        let (id, _) = client_secret
            .split_once("_secret_")
            .expect("a client secret");
        Self {
            id: id.to_owned(),
            checkout_url: text("checkout_url"),
            client_secret,
        }
    }
}

/// Repeats a request as a good client does: the same one, for as long as the answer is that it may be tried again.
pub async fn as_a_client(what: &str, request: impl Fn() -> reqwest::RequestBuilder) -> Response {
    eventually(what, async || {
        let reply = request().send().await.ok()?;
        let again = [
            StatusCode::CONFLICT,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        (!again.contains(&reply.status())).then_some(reply)
    })
    .await
}

impl World {
    /// Sends a wish once.
    pub async fn send(&self, wish: &Wish) -> Response {
        let sent = self.post("/api/pledges", wish.key, &wish.body).send().await;
        sent.expect("the gateway answers")
    }

    /// Sends a wish until it is answered.
    pub async fn send_at_last(&self, wish: &Wish) -> Response {
        as_a_client("the pledge is answered", || {
            self.post("/api/pledges", wish.key, &wish.body)
        })
        .await
    }

    /// Pledges.
    pub async fn pledge(&self, campaign: &str, amount: i64) -> Gift {
        let wish = Wish::new(campaign, amount);
        Gift::of(&wish, self.send_at_last(&wish).await).await
    }

    /// Opens the payment of a gift once, under a key of its own.
    pub async fn try_open(&self, gift: &Gift, key: Uuid) -> Response {
        let sent = self.opening(gift, key).send().await;
        sent.expect("the gateway answers")
    }

    /// Opens the payment of a gift.
    pub async fn open(&self, gift: &Gift) -> Intent {
        self.open_with(gift, Uuid::new_v4()).await
    }

    /// The same under a given key.
    pub async fn open_with(&self, gift: &Gift, key: Uuid) -> Intent {
        Intent::of(self.open_reply(gift, key).await).await
    }

    /// Opens the payment of a gift until that is answered.
    pub async fn open_reply(&self, gift: &Gift, key: Uuid) -> Response {
        as_a_client("the payment is opened", || self.opening(gift, key)).await
    }

    fn opening(&self, gift: &Gift, key: Uuid) -> reqwest::RequestBuilder {
        let body = json!({ "pledge_id": gift.id, "ticket": gift.ticket });
        self.post("/api/payments", key, &body)
    }

    /// Opens the payment of a gift and pays it with a good card.
    pub async fn pay(&self, gift: &Gift) -> Intent {
        let intent = self.open(gift).await;
        let paid = success(self.provider.confirm(&intent, "pm_card_visa").await).await;
        assert!(
            paid["status"] == "succeeded" || paid["status"] == "requires_capture",
            "{paid}"
        );
        intent
    }

    /// The payment, as its donor sees it.
    pub async fn payment(&self, gift: &Gift) -> Option<Value> {
        self.as_guest(gift, &format!("/api/payments/{}", gift.payment_id))
            .await
    }

    /// The pledge, as its donor sees it.
    pub async fn pledge_of(&self, gift: &Gift) -> Option<Value> {
        self.as_guest(gift, &format!("/api/pledges/{}", gift.id))
            .await
    }

    async fn as_guest(&self, gift: &Gift, path: &str) -> Option<Value> {
        let request = self.get(path).header("x-guest-token", &gift.guest_token);
        let reply = request.send().await.ok()?;
        (reply.status() == StatusCode::OK).then_some(())?;
        reply.json().await.ok()
    }

    /// Waits until the payment stands in this state, and gives it.
    pub async fn until_payment(&self, gift: &Gift, state: &str) -> Value {
        eventually(&format!("the payment is {state}"), async || {
            self.payment(gift)
                .await
                .filter(|payment| payment["state"] == state)
        })
        .await
    }

    /// Waits until the pledge has this status, and gives it.
    pub async fn until_pledge(&self, gift: &Gift, status: &str) -> Value {
        eventually(&format!("the pledge is {status}"), async || {
            self.pledge_of(gift)
                .await
                .filter(|pledge| pledge["status"] == status)
        })
        .await
    }

    /// The totals of a campaign, once they are known.
    pub async fn totals(&self, campaign: &str) -> Option<Value> {
        let reply = self
            .get(&format!("/api/campaigns/{campaign}/totals"))
            .send()
            .await
            .ok()?;
        (reply.status() == StatusCode::OK).then_some(())?;
        reply.json().await.ok()
    }

    /// Waits until a bucket of the totals holds this amount, and gives the totals.
    pub async fn until_total(&self, campaign: &str, bucket: &str, amount: i64) -> Value {
        eventually(&format!("{bucket} is {amount}"), async || {
            let totals = self.totals(campaign).await?;
            (totals[bucket]["amount"] == amount).then_some(totals)
        })
        .await
    }

    /// The mails to an address.
    pub async fn mails(&self, email: &str) -> Vec<Value> {
        let request = self.client.get(format!("{}/api/messages", self.mail));
        let mails = success(request.send().await.expect("the mailbox answers")).await;
        let mails = mails.as_array().expect("a list").iter();
        mails
            .filter(|mail| mail["to"][0]["email"] == email)
            .cloned()
            .collect()
    }

    /// Waits for a mail to an address.
    pub async fn until_mail(&self, email: &str) -> Value {
        eventually("the mail comes", async || self.mails(email).await.pop()).await
    }

    /// Waits until everything that was published before has had its effect: a gift that comes after it is counted
    /// and thanked for, and each topic has one partition.
    pub async fn until_heard(&self) {
        let campaign = self.sentinels.get_or_init(|| self.campaign()).await;
        let gift = self.pledge(campaign, 100).await;
        self.pay(&gift).await;
        self.until_mail(&gift.wish.email).await;
        eventually("a later gift is counted", async || {
            let counted = "select count(*) from totals.payment_watermarks where payment_id = $1 and captured = 100";
            (self.count(counted, &gift.payment_id).await == 1).then_some(())
        })
        .await;
    }

    /// Proves that a paid gift, alone in its campaign, was given exactly once, whatever happened on the way: one
    /// intent, one charge, one mail, and the exact total.
    pub async fn given_once(&self, gift: &Gift) {
        let amount = gift.wish.amount;
        let payment = self.until_payment(gift, "CAPTURED").await;
        assert_eq!(payment["captured"]["amount"], amount);
        self.until_pledge(gift, "COMPLETED").await;
        self.until_total(&gift.wish.campaign, "raised", amount)
            .await;
        self.until_mail(&gift.wish.email).await;

        let intents = self.provider.intents_of(&gift.payment_id).await;
        assert_eq!(intents.len(), 1, "one intent: {intents:?}");
        self.provider
            .until_delivered(intents[0]["id"].as_str().expect("an id"))
            .await;
        self.until_heard().await;

        let charges = self.provider.charges_of(&gift.payment_id).await;
        assert_eq!(charges.len(), 1, "one charge: {charges:?}");
        assert_eq!(charges[0]["captured"], amount);
        let totals = self.totals(&gift.wish.campaign).await.expect("totals");
        for (bucket, expected) in [("raised", amount), ("captured", amount), ("pledged", 0)] {
            assert_eq!(totals[bucket]["amount"], expected, "{totals}");
        }
        assert_eq!(totals["donors"], 1, "{totals}");
        let payments = "select count(*) from payment.payments where pledge_id = $1";
        assert_eq!(self.count(payments, &gift.id).await, 1, "one payment");
        let mails = self.mails(&gift.wish.email).await;
        assert_eq!(mails.len(), 1, "one mail: {mails:?}");
    }
}
