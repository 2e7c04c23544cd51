//! What we send, judged by Stripe's own `stripe-mock`, which checks it against their published document.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
    response::{IntoResponse, Response},
};
use chassis::{clock::Clock, lifecycle::Lifecycle};
use chrono::DateTime;
use common::{
    events::Capture,
    ids::{CampaignId, ContactId, PledgeId},
    money::{Currency, Extras, Money},
};
use payment::{
    Psp,
    domain::{Frozen, Origin, Payment},
    provider::{Failure, Stripe},
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::eventually;
use tokio::net::TcpListener;

use crate::{
    payouts::{paid_out, settled_by_nobody},
    world::{Plan, World},
};

/// The header of the provider's idempotency keys.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `stripe-mock`, as long as this lives.
struct Mock {
    process: Child,
    url: String,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Mock {
    /// Starts it on a free port, or says by name which test goes without it.
    #[expect(
        clippy::print_stderr,
        reason = "a test that checks nothing must say so"
    )]
    fn start(test: &str) -> Option<Self> {
        let Some(program) = chassis::env::Env::process().optional("CFA_STRIPE_MOCK") else {
            eprintln!(
                "{test}: skipped, CFA_STRIPE_MOCK is not set; `cargo xtask test` provides it"
            );
            return None;
        };
        let mut process = Command::new(program)
            // Without the second address every copy wants the same port.
            .args(["-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("stripe-mock starts");
        let output = process.stdout.take().expect("its output");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let url = lines.find_map(|line| {
            let address = line.split_once("at address: ")?.1;
            Some(format!("http://{}", address.trim()))
        });
        // It would end if nobody read what it says about each request.
        std::thread::spawn(move || lines.for_each(drop));
        let url = url.expect("it says where it listens");
        Some(Self { process, url })
    }

    fn client(&self) -> Stripe {
        let psp = Psp {
            url: self.url.clone(),
            secret_key: "sk_test_123".into(),
            webhook_secrets: Vec::new(),
            checkout_url: self.url.clone(),
            timeout: Duration::from_secs(20),
            breaker_rest: Duration::from_secs(1),
        };
        Stripe::new(&psp, 1_000, &Clock::system()).expect("a client")
    }
}

fn payment(capture: Capture, amount: Money) -> Payment {
    let origin = Origin {
        pledge_id: PledgeId::new(),
        campaign_id: CampaignId::new(),
        donor_id: None,
        donor_ref: "ref".to_owned(),
        contact_id: ContactId::new(),
        amount,
        extras: Extras::default(),
        capture,
        expires_at: DateTime::UNIX_EPOCH,
        traceparent: None,
    };
    Payment::first(origin, DateTime::UNIX_EPOCH).0
}

#[tokio::test]
async fn every_call_that_we_make_is_one_that_stripe_accepts() {
    let Some(mock) = Mock::start("every_call_that_we_make_is_one_that_stripe_accepts") else {
        return;
    };
    let stripe = mock.client();
    let amounts = [
        Money::new(2500, Currency::USD),
        Money::new(150_000, Currency::BDT),
    ];
    for capture in [Capture::Automatic, Capture::Manual] {
        for amount in amounts {
            let call = payment(capture, amount).frozen();
            let intent = stripe.open(&call).await.expect("Stripe takes the call");
            stripe
                .intent(&intent.id)
                .await
                .expect("Stripe takes the call");
        }
    }
}

/// The way to the provider, on which `stripe-mock` sees every request too.
#[derive(Clone)]
struct Witness {
    http: reqwest::Client,
    provider: String,
    judge: String,
    /// The kinds of requests that came by, such as `POST /v1/refunds`.
    seen: Arc<Mutex<BTreeSet<String>>>,
    /// The requests that were refused, with what was said of them.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    fn stand_at(self, listener: TcpListener, life: &Lifecycle) {
        let routes = Router::new().fallback(pass).with_state(self);
        let (life, stopping) = (life.clone(), life.clone());
        life.track(async move {
            let served = axum::serve(listener, routes);
            let until = async move { stopping.stopping().await };
            served.with_graceful_shutdown(until).await.unwrap();
        });
    }
}

/// Shows a request to the judge, and passes it on.
async fn pass(State(witness): State<Witness>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let to = |base: &str| {
        let mut sent = witness
            .http
            .request(parts.method.clone(), format!("{base}{}", parts.uri))
            .body(body.clone());
        for name in [AUTHORIZATION, CONTENT_TYPE, KEY] {
            if let Some(value) = parts.headers.get(&name) {
                sent = sent.header(name, value);
            }
        }
        sent.send()
    };
    let judged = to(&witness.judge).await.unwrap();
    let kind = format!("{} {}", parts.method, without_ids(parts.uri.path()));
    if !judged.status().is_success() {
        let said = judged.text().await.unwrap();
        let form = String::from_utf8_lossy(&body);
        let refused = format!("{} {} {form}: {said}", parts.method, parts.uri);
        witness.refused.lock().unwrap().push(refused);
    }
    witness.seen.lock().unwrap().insert(kind);
    let reply = to(&witness.provider).await.unwrap();
    let status = reply.status();
    (status, reply.bytes().await.unwrap()).into_response()
}

fn without_ids(path: &str) -> String {
    let is_id = |part: &&str| part.contains('_') && part.bytes().any(|it| it.is_ascii_digit());
    let parts = path.split('/');
    let parts = parts.map(|part| if is_id(&part) { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// A charge of the same account that is none of ours.
async fn strangers_charge(world: &World) -> String {
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("payment_method_types[]", "card"),
    ];
    let opened = world.dashboard("/v1/payment_intents", &form, None).await;
    let confirm = format!(
        "/v1/payment_intents/{}/confirm",
        opened["id"].as_str().unwrap()
    );
    let card = [("payment_method", "pm_card_visa")];
    let paid = world.dashboard(&confirm, &card, None).await;
    paid["latest_charge"].as_str().unwrap().to_owned()
}

/// The kinds of requests that the service can make of the provider.
const REQUESTS: [&str; 17] = [
    "GET /v1/balance_transactions",
    "GET /v1/balance_transactions/{id}",
    "GET /v1/charges/{id}",
    "GET /v1/disputes",
    "GET /v1/disputes/{id}",
    "GET /v1/events",
    "GET /v1/payment_intents",
    "GET /v1/payment_intents/{id}",
    "GET /v1/payouts",
    "GET /v1/refunds",
    "GET /v1/refunds/{id}",
    "POST /v1/disputes/{id}",
    "POST /v1/disputes/{id}/close",
    "POST /v1/payment_intents",
    "POST /v1/payment_intents/{id}/cancel",
    "POST /v1/payment_intents/{id}/capture",
    "POST /v1/refunds",
];

#[tokio::test]
async fn every_request_of_a_payments_whole_life_is_one_that_stripe_accepts() {
    let Some(mock) =
        Mock::start("every_request_of_a_payments_whole_life_is_one_that_stripe_accepts")
    else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan {
        through: Some(listener.local_addr().unwrap()),
        ..Plan::brisk()
    };
    let world = World::of(plan).await;
    let witness = Witness {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        provider: world.psp.url.clone(),
        judge: mock.url.clone(),
        seen: Arc::default(),
        refused: Arc::default(),
    };
    witness.clone().stand_at(listener, &world.life);

    let refunded = world.paid(2500, "pm_card_visa").await;
    world.refunded(&refunded, Some(700)).await;
    world.until_refunds(&refunded, &["SUCCEEDED"]).await;

    let held = world.gift_of(2600, Capture::Manual, None);
    let open = world.open(&held).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&held, "AUTHORIZED").await;
    let path = format!("/api/admin/payments/{}/capture", held.payment_id);
    let part = json!({"amount": {"amount": 1000, "currency": "USD"}});
    let captured = world.admin(Method::POST, &path, &part).await;
    assert_eq!(captured.status(), StatusCode::OK);

    let given_up = world.gift();
    world.open(&given_up).await;
    world.withdraw(&given_up).await;
    world.until(&given_up, "CANCELLED").await;

    for (answer, body) in [
        (
            "evidence",
            json!({"evidence": {"product_description": "a gift to a campaign"}}),
        ),
        ("accept", json!({})),
    ] {
        let disputed = world.paid(2700, "pm_card_visa").await;
        let dispute = world.complain(&disputed, &json!({})).await;
        world.nudge(&disputed).await;
        let path = format!("/api/admin/disputes/{dispute}/{answer}");
        eventually("the dispute is known and answered", async || {
            let answered = world.admin(Method::POST, &path, &body).await;
            answered.status().is_success().then_some(())
        })
        .await;
    }
    // What only the matching of accounts asks for: settlements that the provider does not list, and strangers' money.
    settled_by_nobody(&world, &refunded.gift).await;
    let charge = strangers_charge(&world).await;
    let form = [("charge", charge.as_str()), ("amount", "100")];
    world.dashboard("/v1/refunds", &form, None).await;
    let charge = strangers_charge(&world).await;
    let path = format!("/charges/{charge}/dispute");
    world.control(&path, &json!({})).await;
    eventually("every kind of request was made", async || {
        paid_out(&world).await;
        let seen = witness.seen.lock().unwrap().clone();
        let made = |kind: &&str| seen.contains(*kind);
        REQUESTS.iter().all(made).then_some(())
    })
    .await;
    let seen = witness.seen.lock().unwrap().clone();
    assert!(seen.iter().map(String::as_str).eq(REQUESTS), "{seen:?}");
    let refused = witness.refused.lock().unwrap().clone();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn a_parameter_that_stripe_does_not_know_would_be_refused() {
    let Some(mock) = Mock::start("a_parameter_that_stripe_does_not_know_would_be_refused") else {
        return;
    };
    let mut call: Frozen = payment(Capture::Automatic, Money::new(2500, Currency::USD)).frozen();
    call.request.extend_from_slice(b"&capture_methods=manual");
    let refused = mock.client().open(&call).await;
    assert!(
        matches!(refused, Err(Failure::Misconfigured(_))),
        "the judge looks at what it is sent: {refused:?}"
    );
}
