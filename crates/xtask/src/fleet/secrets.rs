//! Secrets: made at first run, each in a file of its own that only we can read, never in the repository.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};

/// The services that have a schema, each with the name of its role.
pub(super) const ROLES: [(&str, &str); 6] = [
    ("user", "users"),
    ("campaign", "campaign"),
    ("pledge", "pledge"),
    ("payment", "payment"),
    ("totals", "totals"),
    ("notification", "notification"),
];

/// Everything that must not be known outside.
#[derive(Clone)]
pub struct Secrets {
    /// Password of PostgreSQL's superuser.
    pub postgres: String,
    /// PKCS#8 PEM of the Ed25519 key that signs access tokens.
    pub jwt_private_key: String,
    /// JSON object from key id to public key, as services read it.
    pub jwt_public_keys: String,
    /// Signs tickets and guest tokens.
    pub token_secret: String,
    /// What one of our services shows to another.
    pub service_secret: String,
    /// Makes a donor countable without an e-mail address.
    pub donor_ref_secret: String,
    /// Our key at the payment provider.
    pub psp_secret_key: String,
    /// Signs the payment provider's webhooks.
    pub psp_webhook_secret: String,
    /// E-mail address of the first administrator; no secret.
    pub admin_email: String,
    /// Password of the first administrator.
    pub admin_password: String,
    roles: Vec<(&'static str, String)>,
}

impl Secrets {
    /// Reads the secrets of this directory and makes those that are missing.
    pub fn load_or_create(dir: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
        let secret = |name: &str, prefix: &str| {
            kept(dir, name, || {
                Ok(format!(
                    "{prefix}{}",
                    hex::encode(rand::random::<[u8; 32]>())
                ))
            })
        };
        let jwt_private_key = kept(dir, "jwt-private-key.pem", new_signing_key)?;
        let mut roles = Vec::new();
        for (service, role) in ROLES {
            roles.push((service, secret(&format!("db-{role}"), "")?));
        }
        Ok(Self {
            postgres: secret("db-postgres", "")?,
            jwt_public_keys: public_keys(&jwt_private_key)?,
            jwt_private_key,
            token_secret: secret("token-secret", "")?,
            service_secret: secret("service-secret", "")?,
            donor_ref_secret: secret("donor-ref-secret", "")?,
            psp_secret_key: secret("psp-secret-key", "sk_test_")?,
            psp_webhook_secret: secret("psp-webhook-secret", "whsec_")?,
            admin_email: "admin@careforall.example".to_owned(),
            admin_password: secret("admin-password", "")?,
            roles,
        })
    }

    /// Each service that has a role in PostgreSQL, with the role's password.
    pub fn role_passwords(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.roles
            .iter()
            .map(|(service, password)| (*service, password.as_str()))
    }

    /// The role of a service in PostgreSQL and its password; nothing for a service without one.
    pub fn role(&self, service: &str) -> Option<(&'static str, &str)> {
        let (_, role) = ROLES.iter().find(|(name, _)| *name == service)?;
        let (_, password) = self.roles.iter().find(|(name, _)| *name == service)?;
        Some((role, password))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// The content of the file; makes it first where it does not exist. It appears whole or not at all.
fn kept(dir: &Path, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
    let path = dir.join(name);
    if let Ok(text) = fs::read_to_string(&path) {
        return Ok(text);
    }
    let part = dir.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
    let text = make()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Two processes may make it at once; the first wins and the other reads what it made.
    let made = fs::hard_link(&part, &path);
    fs::remove_file(&part)?;
    if made.is_err() {
        return fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()));
    }
    Ok(text)
}

/// A new Ed25519 key in the form that `openssl genpkey` writes, which every reader understands.
fn new_signing_key() -> Result<String> {
    let pair = KeypairBytes {
        secret_key: rand::random(),
        public_key: None,
    };
    Ok(pair.to_pkcs8_pem(LineEnding::LF)?.to_string())
}

/// The public keys that services verify access tokens with, by key id.
fn public_keys(private_key: &str) -> Result<String> {
    let key = SigningKey::from_pkcs8_pem(private_key).ok().context(
        "jwt-private-key.pem is no Ed25519 key in PKCS#8 PEM; remove it to have a new one made",
    )?;
    let public = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    Ok(serde_json::json!({ "main": public }).to_string())
}
