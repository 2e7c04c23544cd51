//! Secrets, connection URLs, and what each process is told.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use xtask::fleet::{DatabaseUrl, Secrets};

use crate::helpers::Scratch;

#[test]
fn secrets_are_made_once_and_only_we_can_read_them() {
    let scratch = Scratch::new("secrets");
    let dir = scratch.path().join("secrets");
    let first = Secrets::load_or_create(&dir).unwrap();
    let second = Secrets::load_or_create(&dir).unwrap();
    assert_eq!(first.jwt_private_key, second.jwt_private_key);
    assert_eq!(first.admin_password, second.admin_password);
    assert_ne!(first.token_secret, first.donor_ref_secret);
    assert!(first.token_secret.len() >= 32);
    assert!(first.service_secret.len() >= 32);
    assert!(first.psp_secret_key.starts_with("sk_test_"));
    assert!(first.psp_webhook_secret.starts_with("whsec_"));
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    assert!(!format!("{first:?}").contains(&first.token_secret));
}

#[test]
fn the_public_key_belongs_to_the_private_one() {
    let scratch = Scratch::new("keys");
    let secrets = Secrets::load_or_create(scratch.path()).unwrap();
    let key = SigningKey::from_pkcs8_pem(&secrets.jwt_private_key).unwrap();
    let published: serde_json::Value = serde_json::from_str(&secrets.jwt_public_keys).unwrap();
    let public = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(published["main"].as_str().unwrap())
        .unwrap();
    assert_eq!(public, key.verifying_key().as_bytes());
}

#[test]
fn many_processes_agree_on_the_same_new_secrets() {
    let scratch = Scratch::new("race");
    let dir = scratch.path().join("secrets");
    let made: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Secrets::load_or_create(&dir).unwrap().admin_password))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(made.iter().all(|password| *password == made[0]));
}

#[test]
fn a_database_url_changes_its_parts_and_keeps_the_rest() {
    let url: DatabaseUrl = "postgresql://postgres:p%40ss@db.example:5433/main?sslmode=require"
        .parse()
        .unwrap();
    assert_eq!(url.password().unwrap(), "p@ss");
    assert_eq!(url.database(), "main");
    assert_eq!(
        url.with_role("pledge", "abc")
            .with_database("careforall")
            .to_string(),
        "postgres://pledge:abc@db.example:5433/careforall?sslmode=require"
    );
    assert_eq!(
        url.with_password(None).to_string(),
        "postgres://postgres@db.example:5433/main?sslmode=require"
    );
    for wrong in [
        "mysql://a@b/c",
        "postgres://host/db",
        "postgres://@host/db",
        "",
    ] {
        wrong.parse::<DatabaseUrl>().unwrap_err();
    }
}
