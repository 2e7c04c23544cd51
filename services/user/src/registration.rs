//! Opening an account, whoever asks for it: a visitor, or an installation that needs its first admin.

use chassis::{clock::Clock, db::Db, telemetry};
use common::{
    auth::tokens::donor_ref,
    events::{ContactState, Role, UserEvent, UserKind, UserStatus},
    ids::{ContactId, UserId},
    outbox,
};

use secrecy::SecretString;

use common::contact::{Email, Name};

use crate::{
    db::accounts::{self, NewAccount},
    error::Error,
};

/// Opens accounts.
#[derive(Clone)]
pub struct Registrar {
    /// Where they lie.
    pub db: Db,
    /// When they are opened.
    pub clock: Clock,
    /// Makes the pseudonym under which their gifts are counted.
    pub donor_ref_secret: SecretString,
}

impl Registrar {
    /// Opens the account and tells of it, in one transaction; gives nothing when the address has an account already.
    pub async fn open(
        &self,
        email: &Email,
        name: &Name,
        password_hash: &str,
        role: Role,
    ) -> Result<Option<UserId>, Error> {
        let (user_id, contact_id, at) = (UserId::new(), ContactId::new(), self.clock.now());
        let account = NewAccount {
            user_id: user_id.get(),
            contact_id: contact_id.get(),
            email: email.as_str(),
            email_key: email.key(),
            name: name.as_str(),
            password_hash,
            role: role.as_str(),
            at,
        };
        let mut tx = self.db.begin().await?;
        if !accounts::insert(&mut tx, &account).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        let cause = telemetry::traceparent();
        let registered = UserEvent {
            kind: UserKind::Registered,
            user_id,
            contact_id,
            donor_ref: donor_ref(&self.donor_ref_secret, email.key()),
            role,
            status: UserStatus::Active,
            version: 1,
            occurred_at: at,
        };
        outbox::enqueue(&mut tx, &registered, cause.clone()).await?;
        let contact = ContactState {
            contact_id,
            name: name.as_str().to_owned(),
            email: email.as_str().to_owned(),
            version: 1,
            occurred_at: at,
        };
        outbox::enqueue(&mut tx, &contact, cause).await?;
        tx.commit().await?;
        tracing::info!(user.id = %user_id, role = role.as_str(), "account opened");
        Ok(Some(user_id))
    }
}
