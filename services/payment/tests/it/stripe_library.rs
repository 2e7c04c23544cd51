//! Our check of signatures beside that of Stripe's own library.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use chassis::clock::Clock;
use payment::signature::verify;
use serde_json::json;

use crate::world::{WEBHOOK_SECRET, sign, sign_with};

const BODY: &str = r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded"}"#;

/// Reads headers and bodies and says of each whether it is believed.
const PROGRAM: &str = "
import json, sys
from stripe import SignatureVerificationError, WebhookSignature
told = json.load(sys.stdin)
def believes(header, body):
    try:
        return WebhookSignature.verify_header(body, header, told['secret'], 300)
    except SignatureVerificationError:
        return False
print(json.dumps([believes(*one) for one in told['deliveries']]))
";

/// What Stripe's library says, or the name of the test that goes without it.
#[expect(
    clippy::print_stderr,
    reason = "a test that checks nothing must say so"
)]
fn stripes_verdicts(test: &str, deliveries: &[(String, &str)]) -> Option<Vec<bool>> {
    let Some(library) = chassis::env::Env::process().optional("CFA_STRIPE_PYTHON") else {
        eprintln!("{test}: skipped, CFA_STRIPE_PYTHON is not set; `cargo xtask test` provides it");
        return None;
    };
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .env("PYTHONPATH", library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let told = json!({ "secret": WEBHOOK_SECRET, "deliveries": deliveries });
    let mut input = python.stdin.take().expect("its input");
    input.write_all(told.to_string().as_bytes()).expect("read");
    drop(input);
    let said = python.wait_with_output().expect("it ends");
    assert!(said.status.success(), "python3 failed");
    Some(serde_json::from_slice(&said.stdout).expect("verdicts"))
}

fn ours(deliveries: &[(String, &str)], now: i64) -> Vec<bool> {
    let secrets = [WEBHOOK_SECRET.into()];
    let verdict = |(header, body): &(String, &str)| verify(header, body.as_bytes(), &secrets, now);
    deliveries
        .iter()
        .map(|delivery| verdict(delivery).is_ok())
        .collect()
}

#[test]
fn stripes_library_believes_what_we_believe() {
    let now = Clock::system().now().timestamp();
    let good = sign(BODY, now);
    let (time, v1) = good.split_once(',').unwrap();
    let foreign = sign_with(&"whsec_foreign".into(), BODY, now);
    let noise = format!("v1={}", "00".repeat(32));
    let deliveries = [
        (good.clone(), BODY),
        (good.clone(), r#"{"id":"evt_2"}"#),
        (sign(BODY, now - 200), BODY),
        (sign(BODY, now - 400), BODY),
        (foreign.clone(), BODY),
        (format!("{foreign},{v1}"), BODY),
        (format!("{time},{noise},{v1}"), BODY),
        (format!("{time},{noise}"), BODY),
        (format!("{v1},{time}"), BODY),
        (format!("{good},v0=00,scheme=of_tomorrow"), BODY),
        (format!("{time},v0={}", &v1[3..]), BODY),
        (time.to_owned(), BODY),
        (v1.to_owned(), BODY),
        (format!("t=soon,{v1}"), BODY),
        (format!("t={},{v1}", now - 1), BODY),
        (String::new(), BODY),
        ("garbage".to_owned(), BODY),
        (sign("Grüße", now), "Grüße"),
    ];
    let ours = ours(&deliveries, now);
    let believed = ours.iter().filter(|believed| **believed).count();
    assert_eq!(believed, 7);
    let test = "stripes_library_believes_what_we_believe";
    if let Some(stripe) = stripes_verdicts(test, &deliveries) {
        for (index, (header, _)) in deliveries.iter().enumerate() {
            assert_eq!(ours[index], stripe[index], "{header:?}");
        }
    }
}

#[test]
fn a_signature_from_the_future_is_refused_although_stripes_library_would_take_it() {
    let now = Clock::system().now().timestamp();
    let deliveries = [(sign(BODY, now + 400), BODY)];
    assert_eq!(ours(&deliveries, now), [false]);
    let test = "a_signature_from_the_future_is_refused_although_stripes_library_would_take_it";
    if let Some(stripe) = stripes_verdicts(test, &deliveries) {
        assert_eq!(stripe, [true], "the one difference that is meant");
    }
}
