//! What we send, judged by Stripe's own `stripe-mock`, which checks it against their published document.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chassis::clock::Clock;
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
