//! Sessions: an access token that is believed for 15 minutes, and a refresh token that works once.
//!
//! Rotation keeps used tokens with their family, so that detecting a stolen token needs no other shape.

use chassis::{clock::Clock, db::Db};
use chrono::{DateTime, Duration, Utc};
use common::{auth::Issuer, auth::Role, ids::UserId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{
        accounts::Account,
        sessions::{self, StoredToken},
    },
    error::Error,
};

/// How long a refresh token waits to be used, in days.
const REFRESH_DAYS: i64 = 7;

/// A pair of tokens and whose they are.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// JWT (EdDSA) for the `Authorization: Bearer` header.
    access_token: String,
    /// Opaque; send it to `/api/auth/refresh` once, before it is seven days old.
    refresh_token: String,
    /// How long the access token lives, in seconds.
    #[schema(example = 900)]
    expires_in: i64,
    /// The account.
    user: User,
}

/// An account as its holder sees it.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// Its id.
    id: UserId,
    /// The address as entered.
    email: String,
    /// The holder's name.
    name: String,
    /// What it may do.
    role: Role,
}

impl TryFrom<Account> for User {
    type Error = Error;

    fn try_from(account: Account) -> Result<Self, Error> {
        let Account {
            user_id,
            email,
            name,
            role,
        } = account;
        let role = role
            .parse()
            .map_err(|error| Error::Internal(format!("account {user_id}: {error}")))?;
        Ok(Self {
            id: user_id.into(),
            email,
            name,
            role,
        })
    }
}

/// Begins, continues and ends sessions.
#[derive(Clone)]
pub struct Sessions {
    /// Where they lie.
    pub db: Db,
    /// When they begin and end.
    pub clock: Clock,
    /// Signs their access tokens.
    pub issuer: Issuer,
}

impl Sessions {
    /// Begins a session for an account whose password was right.
    pub async fn begin(&self, account: Account) -> Result<Session, Error> {
        let now = self.clock.now();
        let token = RefreshToken::new();
        sessions::open(
            self.db.pool(),
            Uuid::now_v7(),
            account.user_id,
            &token.stored(now),
        )
        .await?;
        self.session(account, token, now)
    }

    /// Continues a session: the token is used up and the session goes on with its successor.
    pub async fn rotate(&self, presented: &str) -> Result<Session, Error> {
        let now = self.clock.now();
        let next = RefreshToken::new();
        let account =
            sessions::rotate(self.db.pool(), &digest(presented), &next.stored(now)).await?;
        let Some(account) = account else {
            tracing::info!("refresh token refused");
            return Err(Error::InvalidRefreshToken);
        };
        self.session(account, next, now)
    }

    /// Ends a session, if the token is of one. Its access token lives to its end.
    pub async fn end(&self, presented: &str) -> Result<(), Error> {
        Ok(sessions::end(self.db.pool(), &digest(presented), self.clock.now()).await?)
    }

    fn session(
        &self,
        account: Account,
        refresh: RefreshToken,
        now: DateTime<Utc>,
    ) -> Result<Session, Error> {
        let user = User::try_from(account)?;
        let access_token = self
            .issuer
            .access(user.id, user.role, now)
            .map_err(|error| Error::Internal(error.to_owned()))?;
        Ok(Session {
            access_token,
            refresh_token: refresh.0,
            expires_in: Issuer::lifetime(),
            user,
        })
    }
}

/// 256 random bits in hex, known to the client alone.
struct RefreshToken(String);

impl RefreshToken {
    fn new() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    fn stored(&self, now: DateTime<Utc>) -> StoredToken {
        StoredToken {
            hash: digest(&self.0),
            issued_at: now,
            expires_at: now + Duration::days(REFRESH_DAYS),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
