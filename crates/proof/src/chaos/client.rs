//! The donors' side of the wire: what is sent, under which key, and what the journal says about it.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    gifts::Gifts,
    wire::{Answer, Gift, LONGEST, Operation, Wire},
    world::World,
};
use crate::journal::Kind;

/// The card whose bank asks its owner first.
pub(super) const ASKING_CARD: &str = "pm_card_threeDSecure2Required";

/// The donors' common client.
pub(super) struct Client {
    pub(super) wire: Wire,
    gateway: String,
    provider: String,
    /// Gifts whose card was taken: what the operator may give back.
    pub(super) paid: Gifts,
    /// Gifts whose money is held: what the operator may take or let go.
    pub(super) held: Gifts,
    /// The campaign whose gifts are only held.
    patient: Uuid,
    hours: Hours,
    contradictions: Mutex<Vec<String>>,
}

/// How long donors give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    /// Until then in any case.
    pub(super) until: Instant,
    /// And until then, where what was acknowledged proves nothing yet.
    pub(super) at_most: Instant,
}

/// A pledge as its donor knows it.
#[derive(Clone, Debug)]
pub(super) struct Pledged {
    pub(super) gift: Gift,
    pub(super) pledge_id: Uuid,
    pub(super) payment_id: Uuid,
    ticket: String,
    pub(super) guest_token: String,
}

impl Client {
    /// A client that writes this journal.
    pub(super) fn new(world: &World, journal: &Path, hours: Hours) -> Result<Self> {
        Ok(Self {
            wire: Wire::new(journal)?,
            gateway: world.gateway.clone(),
            provider: world.provider.clone(),
            paid: Gifts::default(),
            held: Gifts::default(),
            patient: world.patient,
            hours,
            contradictions: Mutex::default(),
        })
    }

    /// Whether everybody still gives.
    pub(super) fn is_open(&self) -> bool {
        Instant::now() < self.hours.until
    }

    /// Whether it is still time to give back, and for those who stay to give.
    pub(super) fn is_needed(&self) -> bool {
        let in_time = Instant::now() < self.hours.at_most;
        self.is_open() || (in_time && !self.wire.acknowledged.is_enough())
    }

    /// Answers that cannot both be true, as far as donors have noticed.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let noted = self.contradictions.lock();
        noted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A pledge that is about to be made. Its donor has an address that nobody else has.
    pub(super) fn wish(
        &self,
        campaign: Uuid,
        amount: i64,
        tip: i64,
        covers_fee: bool,
    ) -> Operation {
        let gift = Gift {
            campaign,
            amount,
            tip,
            covers_fee,
            email: String::new(),
        };
        let mut wish = self.wire.operation(Kind::Pledge, gift);
        wish.gift.email = format!("donor-{}@example.org", wish.op);
        wish
    }

    /// Sends a wish, again and again with the same key, until it is answered; none when it is refused, or never
    /// answered.
    pub(super) async fn pledge(&self, wish: &Operation) -> Result<Option<Pledged>> {
        let answer = self.promise(wish, None, None).await?;
        Ok(answer.done().and_then(|body| pledged(wish, &body)))
    }

    /// Gives this much beside an earlier gift, as a guest who shows the token of that; `confirm` says that both are
    /// meant, as whoever asked about it wants it said.
    pub(super) async fn pledge_again(
        &self,
        earlier: &Pledged,
        amount: i64,
        confirm: Option<&str>,
    ) -> Result<Answer> {
        let mut wish = self.wish(earlier.gift.campaign, amount, 0, false);
        wish.after = confirm.is_none().then_some(earlier.pledge_id);
        self.promise(&wish, Some(&earlier.guest_token), confirm)
            .await
    }

    async fn promise(
        &self,
        wish: &Operation,
        guest: Option<&str>,
        confirm: Option<&str>,
    ) -> Result<Answer> {
        let mut body = json!({
            "campaign_id": wish.gift.campaign,
            "amount": { "amount": wish.gift.amount, "currency": "USD" },
            "donor": { "name": "Ada", "email": wish.gift.email },
            "visibility": if wish.op.is_multiple_of(3) { "ANONYMOUS" } else { "PUBLIC" },
            "cover_fee": wish.gift.covers_fee,
        });
        if wish.gift.tip > 0 {
            body["tip"] = json!({ "amount": wish.gift.tip, "currency": "USD" });
        }
        if let Some(confirm) = confirm {
            body["confirm"] = confirm.into();
        }
        let url = format!("{}/api/pledges", self.gateway);
        let request = || shown(guest, self.wire.post(&url, wish).json(&body));
        self.wire.persist(wish, request).await
    }

    /// Opens the payment of a pledge under a key of its own; gives the intent's client secret.
    pub(super) async fn open(&self, pledged: &Pledged) -> Result<Option<String>> {
        let operation = self.about(pledged, Kind::Payment, None);
        let body = json!({ "pledge_id": pledged.pledge_id, "ticket": pledged.ticket });
        let url = format!("{}/api/payments", self.gateway);
        let request = || self.wire.post(&url, &operation).json(&body);
        let answer = self.wire.persist(&operation, request).await?.done();
        Ok(answer.and_then(|body| Some(body["client_secret"].as_str()?.to_owned())))
    }

    /// Pays at the provider, as the provider's library in a browser does. Says whether the card was taken.
    pub(super) async fn confirm(
        &self,
        pledged: &Pledged,
        secret: &str,
        card: &str,
    ) -> Result<bool> {
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let holds = pledged.gift.campaign == self.patient;
        let kind = match card {
            ASKING_CARD => Kind::Challenge,
            _ if holds => Kind::Hold,
            _ => Kind::Confirm,
        };
        let operation = self.about(pledged, kind, Some(intent));
        let url = format!("{}/v1/payment_intents/{intent}/confirm", self.provider);
        let form = [("client_secret", secret), ("payment_method", card)];
        let request = || self.wire.http.post(&url).form(&form);
        let is_taken = self
            .wire
            .persist(&operation, request)
            .await?
            .done()
            .is_some();
        if is_taken {
            let kept = if holds { &self.held } else { &self.paid };
            kept.add(pledged);
        }
        Ok(is_taken)
    }

    /// Proves to the bank who pays, as the page does that the provider sends the payer to. Clicking again does no harm.
    pub(super) async fn prove(&self, secret: &str) {
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let url = format!("{}/authenticate/{intent}", self.provider);
        let form = [("client_secret", secret), ("action", "authenticate")];
        for _ in 0..5 {
            let sent = self.wire.http.post(&url).form(&form).send().await;
            if sent.is_ok_and(|reply| reply.status().is_success()) {
                return;
            }
            tokio::time::sleep(LONGEST).await;
        }
    }

    /// Calls a gift off.
    pub(super) async fn cancel(&self, pledged: &Pledged) -> Result<()> {
        let operation = self.about(pledged, Kind::Cancel, None);
        let url = format!("{}/api/pledges/{}/cancel", self.gateway, pledged.pledge_id);
        let guest = Some(pledged.guest_token.as_str());
        let request = || shown(guest, self.wire.post(&url, &operation));
        self.wire.persist(&operation, request).await?;
        Ok(())
    }

    /// Reads a page; a guest shows the token.
    pub(super) async fn look(&self, path: &str, guest: Option<&str>) -> Result<()> {
        let operation = self.wire.order(Kind::Look, Uuid::nil());
        let request = self.wire.http.get(format!("{}{path}", self.gateway));
        self.wire.attempt(&operation, shown(guest, request)).await?;
        Ok(())
    }

    /// Notes two answers that cannot both be true.
    pub(super) fn contradict(&self, what: String) {
        let mut noted = self.contradictions.lock();
        noted.as_mut().map_or_else(|_| (), |noted| noted.push(what));
    }

    /// Something that is to be done about a gift.
    pub(super) fn about(&self, pledged: &Pledged, kind: Kind, intent: Option<&str>) -> Operation {
        Operation {
            pledge_id: Some(pledged.pledge_id),
            payment_id: Some(pledged.payment_id),
            intent: intent.map(str::to_owned),
            ..self.wire.operation(kind, pledged.gift.clone())
        }
    }
}

/// The request of somebody who shows the guest token of a gift.
fn shown(guest: Option<&str>, request: RequestBuilder) -> RequestBuilder {
    match guest {
        Some(token) => request.header("x-guest-token", token),
        None => request,
    }
}

fn pledged(wish: &Operation, body: &Value) -> Option<Pledged> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Pledged {
        gift: wish.gift.clone(),
        pledge_id: body["pledge"]["id"].as_str()?.parse().ok()?,
        payment_id: body["payment_id"].as_str()?.parse().ok()?,
        ticket: text(&body["ticket"])?,
        guest_token: text(&body["guest_token"])?,
    })
}
