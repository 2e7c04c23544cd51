//! Stripe's signature scheme.

use payment::signature::{BadSignature, verify};
use secrecy::SecretString;

use crate::world::{WEBHOOK_SECRET, sign, sign_with};

const NOW: i64 = 1_700_000_000;
const BODY: &str = r#"{"id":"evt_1","type":"payment_intent.succeeded"}"#;

fn secrets() -> Vec<SecretString> {
    vec!["whsec_next".into(), WEBHOOK_SECRET.into()]
}

fn check(header: &str, body: &str) -> Result<(), BadSignature> {
    verify(header, body.as_bytes(), &secrets(), NOW)
}

#[test]
fn the_documented_scheme_verifies() {
    // Computed apart from this code: printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_of_these_tests
    let tag = "70e66a35d2cf6f69708ff6048956873a2de675fb4d23ac1ed6d51a44452c7950";
    assert_eq!(check(&format!("t=1700000000,v1={tag}"), "{}"), Ok(()));
}

#[test]
fn any_secret_and_any_signature_of_a_rotation_will_do() {
    let old = sign(BODY, NOW);
    let new = sign_with(&"whsec_next".into(), BODY, NOW);
    let foreign = sign_with(&"whsec_foreign".into(), BODY, NOW);
    assert_eq!(check(&old, BODY), Ok(()));
    assert_eq!(check(&new, BODY), Ok(()));
    assert_eq!(check(&foreign, BODY), Err(BadSignature::Forged));
    let v1 = old.split_once(',').unwrap().1;
    assert_eq!(check(&format!("{foreign},{v1}"), BODY), Ok(()));
    assert_eq!(check(&format!("{foreign},{v1},v0=00"), BODY), Ok(()));
}

#[test]
fn at_most_five_signatures_are_tried() {
    let good = sign(BODY, NOW);
    let (time, v1) = good.split_once(',').unwrap();
    let noise = |count: usize| format!(",v1={}", "00".repeat(32)).repeat(count);
    assert_eq!(check(&format!("{time}{},{v1}", noise(4)), BODY), Ok(()));
    assert_eq!(
        check(&format!("{time}{},{v1}", noise(5)), BODY),
        Err(BadSignature::Forged)
    );
}

#[test]
fn the_time_may_be_five_minutes_off_on_both_sides() {
    for (off, verified) in [
        (-300, true),
        (300, true),
        (-301, false),
        (301, false),
        (i64::MIN / 2, false),
    ] {
        let expected = if verified {
            Ok(())
        } else {
            Err(BadSignature::Untimely)
        };
        assert_eq!(check(&sign(BODY, NOW + off), BODY), expected, "{off} s");
    }
}

#[test]
fn what_has_not_the_form_is_malformed() {
    let v1 = sign(BODY, NOW).split_once(',').unwrap().1.to_owned();
    let odd = v1[..v1.len() - 1].to_owned();
    let table = [
        String::new(),
        "garbage".to_owned(),
        "t=1700000000".to_owned(),
        v1.clone(),
        format!("t=,{v1}"),
        format!("t=soon,{v1}"),
        format!("t=1700000000,t=1700000000,{v1}"),
        format!("t=1700000000,{odd}"),
        "t=1700000000,v1=zz".to_owned(),
        "t=1700000000,v0=00".to_owned(),
    ];
    for header in table {
        assert_eq!(
            check(&header, BODY),
            Err(BadSignature::Malformed),
            "{header:?}"
        );
    }
}

#[test]
fn the_bytes_are_signed_and_not_what_they_mean() {
    let header = sign(BODY, NOW);
    let reordered = r#"{"type":"payment_intent.succeeded","id":"evt_1"}"#;
    let spaced = r#"{"id": "evt_1","type":"payment_intent.succeeded"}"#;
    for body in [reordered, spaced, "", "{}"] {
        assert_eq!(check(&header, body), Err(BadSignature::Forged), "{body}");
    }
}
