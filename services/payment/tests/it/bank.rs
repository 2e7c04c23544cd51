//! What the provider, the donor's bank and our own admins do about money that goes back.

use common::{
    auth::Role,
    events::Capture,
    ids::{CampaignId, UserId},
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, user_token};
use uuid::Uuid;

use crate::world::{Gift, Open, SECRET_KEY, World};

/// A gift that was paid, and its intent.
pub struct Paid {
    pub gift: Gift,
    pub open: Open,
}

impl World {
    /// Has the provider take a gift of this much, and waits until we know.
    pub async fn paid(&self, minor: i64, method: &str) -> Paid {
        self.paid_gift(self.gift_of(minor, Capture::Automatic, None), method)
            .await
    }

    pub async fn paid_gift(&self, gift: Gift, method: &str) -> Paid {
        let open = self.open(&gift).await;
        assert_eq!(
            self.psp.confirm(&open, method).await.status(),
            StatusCode::OK
        );
        // Who looks at the provider by himself may know it before, or even that the money is available.
        let known = self.verdict(&gift.captured(&open.intent)).await;
        assert!(
            ["APPLIED", "IMPLIED", "DUPLICATE", "STALE"].contains(&known.as_str()),
            "{known}"
        );
        Paid { gift, open }
    }

    /// Asks for a refund as this account.
    pub async fn refund_as(&self, who: &str, paid: &Paid, key: &str, body: &Value) -> Response {
        let path = format!("/api/payments/{}/refunds", paid.gift.payment_id);
        let request = self.service.client.post(self.service.at(&path));
        let request = request.bearer_auth(who).header("idempotency-key", key);
        request.json(body).send().await.unwrap()
    }

    /// An admin asks for a refund of this much, or of all that is left.
    pub async fn refund(&self, paid: &Paid, minor: Option<i64>) -> Response {
        let mut body = json!({"reason": "given by mistake"});
        if let Some(minor) = minor {
            body["amount"] = json!({"amount": minor, "currency": "USD"});
        }
        let key = Uuid::new_v4().to_string();
        self.refund_as(&admin(), paid, &key, &body).await
    }

    /// A refund that must be taken on.
    pub async fn refunded(&self, paid: &Paid, minor: Option<i64>) -> Value {
        let reply = self.refund(paid, minor).await;
        let status = reply.status();
        let body: Value = reply.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body
    }

    /// The payment's refunds as an admin sees them.
    pub async fn refunds(&self, paid: &Paid) -> Vec<Value> {
        let path = format!("/api/payments/{}/refunds", paid.gift.payment_id);
        let request = self.service.client.get(self.service.at(&path));
        let reply = request.bearer_auth(admin()).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        let body: Value = reply.json().await.unwrap();
        body["data"].as_array().unwrap().clone()
    }

    /// Waits until the payment's refunds stand so, in their order.
    pub async fn until_refunds(&self, paid: &Paid, statuses: &[&str]) -> Vec<Value> {
        eventually(&format!("refunds {statuses:?}"), async || {
            let refunds = self.refunds(paid).await;
            let are: Vec<&str> = refunds
                .iter()
                .filter_map(|r| r["status"].as_str())
                .collect();
            (are == statuses).then_some(refunds)
        })
        .await
    }

    /// State, captured, refunded and lost. What is captured is settled a second later: here it is captured in any case,
    /// for a slow machine may find it either way.
    pub async fn amounts(&self, paid: &Paid) -> (String, i64, i64, i64) {
        sqlx::query_as(
            "select case state when 'COMPLETED' then 'CAPTURED' else state end,
                    captured_minor, refunded_minor, disputed_minor
             from payments where payment_id = $1",
        )
        .bind(paid.gift.payment_id.get())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub async fn until_amounts(&self, paid: &Paid, state: &str, refunded: i64, lost: i64) {
        let wanted = (state.to_owned(), refunded, lost);
        eventually(&format!("{wanted:?}"), async || {
            let (state, _, refunded, lost) = self.amounts(paid).await;
            ((state, refunded, lost) == wanted).then_some(())
        })
        .await;
    }

    /// What an account holds, in minor units.
    pub async fn balance(&self, account: &str) -> i64 {
        sqlx::query_scalar(
            "select coalesce(sum(amount_minor), 0)::bigint from ledger_entries where account = $1",
        )
        .bind(account)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The open matters of one kind, by what they are about.
    pub async fn matters(&self, kind: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select subject from exceptions where kind = $1 and closed_at is null order by subject",
        )
        .bind(kind)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Calls the provider as the merchant does in its own tools.
    pub async fn dashboard(&self, path: &str, form: &[(&str, &str)], key: Option<&str>) -> Value {
        let request = reqwest::Client::new().post(format!("{}{path}", self.psp.url));
        let request = request.bearer_auth(SECRET_KEY).form(form);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let body: Value = reply.json().await.unwrap();
        assert!(status.is_success(), "{body}");
        body
    }

    /// Everything of one kind that the provider lists of an intent.
    pub async fn at_provider(&self, what: &str, paid: &Paid) -> Vec<Value> {
        let url = format!(
            "{}/v1/{what}?payment_intent={}&limit=100",
            self.psp.url, paid.open.intent
        );
        let request = reqwest::Client::new().get(url).bearer_auth(SECRET_KEY);
        let listed: Value = request.send().await.unwrap().json().await.unwrap();
        listed["data"]
            .as_array()
            .unwrap_or_else(|| panic!("{listed}"))
            .clone()
    }

    /// One of the simulator's controls.
    pub async fn control(&self, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new().post(format!("{}/_sim{path}", self.psp.url));
        let reply = request.json(body).send().await.unwrap();
        let status = reply.status();
        let body: Value = reply.json().await.unwrap();
        assert!(status.is_success(), "{body}");
        body
    }

    /// The cardholder complains about a charge; gives the dispute.
    pub async fn complain(&self, paid: &Paid, body: &Value) -> String {
        let charges = self.at_provider("charges", paid).await;
        let charge = charges[0]["id"].as_str().unwrap();
        self.control(&format!("/charges/{charge}/dispute"), body)
            .await;
        let disputes = self.at_provider("disputes", paid).await;
        disputes[0]["id"].as_str().unwrap().to_owned()
    }

    /// The bank rules.
    pub async fn rule(&self, dispute: &str, status: &str) {
        self.control(&format!("/disputes/{dispute}"), &json!({"status": status}))
            .await;
    }

    /// The donor's bank moves a refund on.
    pub async fn settle(&self, psp_refund: &str, status: &str) {
        self.control(
            &format!("/refunds/{psp_refund}"),
            &json!({"status": status}),
        )
        .await;
    }

    /// Makes this campaign known, or moves it one step on, as its event does.
    pub async fn campaign(&self, id: CampaignId, organiser: UserId, status: &str) {
        sqlx::query(
            "insert into campaigns (campaign_id, organiser_id, status, version) values ($1, $2, $3, 1)
             on conflict (campaign_id) do update set status = excluded.status, version = campaigns.version + 1",
        )
        .bind(id.get())
        .bind(organiser.get())
        .bind(status)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Forgets a payment's refunds and every key, as a database does that was put back to an older copy.
    pub async fn forget_refunds(&self, paid: &Paid) {
        for forgotten in [
            "with gone as (delete from refunds where payment_id = $1)
             update payments set state = 'CAPTURED', refunded_minor = 0 where payment_id = $1",
            "delete from idempotency where $1::uuid is not null",
        ] {
            let forgotten = sqlx::query(forgotten).bind(paid.gift.payment_id.get());
            forgotten.execute(&self.pool).await.unwrap();
        }
    }

    /// Has the provider asked about a payment, as one of its events does.
    pub async fn nudge(&self, paid: &Paid) {
        let event = json!({
            "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "livemode": false,
            "type": "charge.refunded", "data": {"object": {"id": "ch_1", "payment_intent": paid.open.intent}},
        });
        assert_eq!(self.verdict(&event).await, "APPLIED");
    }
}

/// An admin's access token.
pub fn admin() -> String {
    user_token(UserId::new(), Role::Admin)
}
