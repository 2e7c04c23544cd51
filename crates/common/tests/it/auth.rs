//! Tokens: what verifies, and everything that must not.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::clock::Clock;
use chrono::Duration;
use common::{
    auth::{
        Role, TokenError, Verifier,
        tokens::{Signer, Ticket, TicketError, donor_ref},
    },
    events::Capture,
    ids::{CampaignId, ContactId, PledgeId, UserId},
    money::{Currency, Extras, Money},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

#[test]
fn a_token_verifies_until_its_last_second() {
    let clock = Clock::fixed(Clock::system().now());
    let verifier =
        Verifier::new(&testkit::public_keys(), clock.clone()).expect("the keys are valid");
    let user = UserId::new();
    let token = testkit::issuer()
        .access(user, Role::Admin, clock.now())
        .expect("it can be signed");
    let identity = verifier.verify(&token).expect("it is valid");
    assert_eq!((identity.user_id, identity.role), (user, Role::Admin));
    clock.advance(Duration::minutes(15) - Duration::seconds(1));
    assert!(verifier.verify(&token).is_ok());
    // Remembered as verified, and still refused once its time is over.
    clock.advance(Duration::seconds(1));
    assert_eq!(verifier.verify(&token), Err(TokenError::Expired));
}

#[test]
fn whatever_is_not_our_token_is_refused() {
    let verifier = testkit::verifier();
    let user = UserId::new();
    let now = Clock::system().now();
    let good = testkit::user_token(user, Role::Donor);
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = |iss: &str, aud: &str, typ: &str| json!({"iss": iss, "aud": aud, "sub": user, "role": "DONOR", "iat": now.timestamp(), "exp": now.timestamp() + 60, "jti": UserId::new(), "typ": typ});
    // An attacker who signs by HMAC with the public key as the secret.
    let public: serde_json::Value = serde_json::from_str(&testkit::public_keys()).expect("JSON");
    let secret = URL_SAFE_NO_PAD
        .decode(public["main"].as_str().expect("a key"))
        .expect("base64url");
    let header = Header {
        kid: Some("main".into()),
        ..Header::new(Algorithm::HS256)
    };
    let confused = jsonwebtoken::encode(
        &header,
        &claims("careforall", "careforall", "access"),
        &EncodingKey::from_secret(&secret),
    )
    .expect("it signs");
    let refused = [
        ("empty", String::new()),
        ("not a token", "a.b.c".into()),
        (
            "alg none",
            format!(
                "{}.{}.",
                encode(json!({"alg": "none", "kid": "main"})),
                parts[1]
            ),
        ),
        (
            "alg none with the signature",
            format!(
                "{}.{}.{}",
                encode(json!({"alg": "none", "kid": "main"})),
                parts[1],
                parts[2]
            ),
        ),
        ("an HMAC by the public key", confused),
        (
            "another key",
            testkit::other_issuer()
                .access(user, Role::Admin, now)
                .expect("it signs"),
        ),
        (
            "an unknown key id",
            format!(
                "{}.{}.{}",
                encode(json!({"alg": "EdDSA", "kid": "../main"})),
                parts[1],
                parts[2]
            ),
        ),
        (
            "no key id",
            format!(
                "{}.{}.{}",
                encode(json!({"alg": "EdDSA"})),
                parts[1],
                parts[2]
            ),
        ),
        (
            "changed claims",
            format!(
                "{}.{}.{}",
                parts[0],
                encode(claims("careforall", "careforall", "access")),
                parts[2]
            ),
        ),
        ("cut short", good[..good.len() - 4].to_owned()),
        ("very long", "a".repeat(100_000)),
    ];
    for (what, token) in refused {
        assert_eq!(verifier.verify(&token), Err(TokenError::Invalid), "{what}");
    }
    assert!(verifier.verify(&good).is_ok());
}

#[test]
fn bad_public_keys_are_named_at_the_start() {
    for keys in ["", "[]", r#"{"main":"!"}"#, r#"{"main":"c2hvcnQ"}"#] {
        assert!(Verifier::new(keys, Clock::system()).is_err(), "{keys}");
    }
}

fn ticket() -> Ticket {
    let now = Clock::system().now();
    Ticket {
        pledge_id: PledgeId::new(),
        campaign_id: CampaignId::new(),
        contact_id: ContactId::new(),
        donor_id: None,
        donor_ref: "pseudonym".into(),
        amount: Money::new(2500, Currency::parse("USD").expect("USD is a currency")),
        extras: Extras::default(),
        capture: Capture::Automatic,
        pledge_expires_at: now + Duration::minutes(30),
        expires_at: now + Duration::minutes(30),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    }
}

#[test]
fn a_ticket_opens_unchanged_until_it_expires_and_only_with_its_secret() {
    let signer = Signer::new(&testkit::token_secret());
    let ticket = ticket();
    let signed = signer.ticket(&ticket);
    let now = ticket.expires_at - Duration::seconds(1);
    assert_eq!(signer.open(&signed, now), Ok(ticket.clone()));
    assert_eq!(
        signer.open(&signed, ticket.expires_at),
        Err(TicketError::Expired)
    );
    let (payload, tag) = signed.split_once('.').expect("two parts");
    let richer = URL_SAFE_NO_PAD.encode(
        serde_json::to_vec(&Ticket {
            amount: Money::new(1, ticket.amount.currency),
            ..ticket.clone()
        })
        .expect("JSON"),
    );
    let other = Signer::new(&"another secret of tests, long enough too".to_owned().into());
    for forged in [
        format!("{richer}.{tag}"),
        payload.to_owned(),
        format!("{payload}."),
        other.ticket(&ticket),
        String::new(),
        "x.y".into(),
    ] {
        assert_eq!(
            signer.open(&forged, now),
            Err(TicketError::Invalid),
            "{forged}"
        );
    }
}

#[test]
fn a_guest_token_opens_its_own_pledge_and_no_label_passes_for_another() {
    let signer = Signer::new(&testkit::token_secret());
    let (mine, others) = (PledgeId::new(), PledgeId::new());
    let token = signer.guest_token(mine);
    assert_eq!(
        token,
        signer.guest_token(mine),
        "a replayed reply carries it again"
    );
    assert!(signer.is_guest_of(&token, mine));
    assert!(!signer.is_guest_of(&token, others));
    assert!(!signer.is_guest_of("", mine) && !signer.is_guest_of("!", mine));
    let signed = signer.ticket(&ticket());
    assert!(!signer.is_guest_of(signed.split_once('.').expect("two parts").1, mine));
}

#[test]
fn a_guest_token_names_its_pledge_and_nothing_else_names_one() {
    let signer = Signer::new(&testkit::token_secret());
    let pledge = PledgeId::new();
    let token = signer.guest_token(pledge);
    assert_eq!(signer.guest_of(&token), Some(pledge));
    // The id is in clear: without the tag, with another's, or with a part of it, the token is worth nothing.
    for end in 0..token.len() {
        assert_eq!(signer.guest_of(&token[..end]), None, "{end}");
    }
    let other = signer.guest_token(PledgeId::new());
    assert_eq!(
        signer.guest_of(&format!("{}{}", &token[..22], &other[22..])),
        None
    );
    assert_eq!(signer.guest_of(&format!("{token}AAAA")), None);
}

#[test]
fn a_confirmation_is_good_for_one_thing_and_a_while() {
    let signer = Signer::new(&testkit::token_secret());
    let now = Clock::system().now();
    let token = signer.confirmation(b"this", now + Duration::minutes(10));
    assert!(signer.is_confirmed(&token, b"this", now));
    assert!(!signer.is_confirmed(&token, b"that", now));
    assert!(!signer.is_confirmed(&token, b"this", now + Duration::minutes(10)));
    for other in ["", "!", &token[..20], &signer.guest_token(PledgeId::new())] {
        assert!(!signer.is_confirmed(other, b"this", now), "{other}");
    }
}

#[test]
fn a_donor_has_one_pseudonym_however_the_address_is_written() {
    let secret = testkit::token_secret();
    assert_eq!(
        donor_ref(&secret, " Ada@Example.org "),
        donor_ref(&secret, "ada@example.org")
    );
    assert_ne!(
        donor_ref(&secret, "ada@example.org"),
        donor_ref(&secret, "eve@example.org")
    );
    assert!(!donor_ref(&secret, "ada@example.org").contains("ada"));
}
