//! The table of finished replies: the durable half of idempotency.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use bytes::Bytes;
use chassis::{db::Tx, telemetry::metrics};
use http::StatusCode;
use sqlx::{PgConnection, Row};

use super::{Claim, Error, Reply};

static REPLAYS: LazyLock<prometheus::IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "idempotency_replays_total",
        "Requests that were answered with an earlier reply.",
        &[],
    )
});

/// What became of a claim.
#[derive(Debug)]
pub enum Joined {
    /// It is the first: the reply is stored in this transaction, which may commit.
    Stored,
    /// A twin was first and has committed: roll back and answer this.
    Replay(Reply),
}

/// A finished reply and the fingerprint of the request that got it.
#[derive(Clone, Debug)]
pub struct Stored {
    fingerprint: Vec<u8>,
    reply: Reply,
}

impl Stored {
    /// The reply, marked as a replay, if it belongs to the same body.
    ///
    /// # Errors
    /// [`Error::KeyReused`] if it does not.
    pub fn reply_for(self, claim: &Claim) -> Result<Reply, Error> {
        if self.fingerprint != claim.fingerprint() {
            return Err(Error::KeyReused);
        }
        REPLAYS.with_label_values::<&str>(&[]).inc();
        Ok(self.reply.replayed())
    }

    /// The form that Redis keeps: fingerprint, status, length of the headers, headers, body.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Reply {
            status, ref body, ..
        } = self.reply;
        let headers = self.reply.headers_json();
        let mut bytes = Vec::with_capacity(38 + headers.len() + body.len());
        bytes.extend_from_slice(&self.fingerprint);
        bytes.extend_from_slice(&status.as_u16().to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(headers.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(headers.as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote; anything else counts as not there.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fingerprint, rest) = bytes.split_at_checked(32)?;
        let (status, rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (headers, body) =
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let status = StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?;
        let headers = serde_json::from_slice(headers).ok()?;
        Some(Self {
            fingerprint: fingerprint.to_vec(),
            reply: Reply::new(status, headers, Bytes::copy_from_slice(body)),
        })
    }
}

/// The columns of the table's rows, for a statement that inserts many together with their effects: scopes,
/// fingerprints, statuses, headers and bodies, in the order of `finished`.
#[expect(
    clippy::type_complexity,
    reason = "five columns side by side, as unnest takes them"
)]
pub fn insert_columns<'a>(
    finished: impl Iterator<Item = (&'a Claim, &'a Reply)>,
) -> (
    Vec<Vec<u8>>,
    Vec<Vec<u8>>,
    Vec<i16>,
    Vec<String>,
    Vec<&'a [u8]>,
) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (claim, reply) in finished {
        columns.0.push(claim.scope().to_vec());
        columns.1.push(claim.fingerprint().to_vec());
        columns
            .2
            .push(i16::try_from(reply.status.as_u16()).unwrap_or(200));
        columns.3.push(reply.headers_json());
        columns.4.push(reply.body.as_ref());
    }
    columns
}

/// Stores the reply in the transaction of its effect, unless a twin was first. A twin that has not committed yet is
/// waited for, at most 250 ms.
///
/// # Errors
/// [`Error::InProgress`] when the twin is still running, [`Error::KeyReused`] when it had another body.
pub async fn join(tx: &mut Tx, claim: &Claim, reply: &Reply) -> Result<Joined, Error> {
    sqlx::query("set local lock_timeout = '250ms'")
        .execute(&mut **tx)
        .await?;
    let inserted = sqlx::query(
        "insert into idempotency (scope, fingerprint, status, headers, body) values ($1, $2, $3, $4::json, $5) on conflict do nothing",
    )
    .bind(claim.scope().as_slice())
    .bind(claim.fingerprint().as_slice())
    .bind(i16::try_from(reply.status.as_u16()).unwrap_or(200))
    .bind(reply.headers_json())
    .bind(reply.body.as_ref())
    .execute(&mut **tx)
    .await;
    let inserted = inserted.map_err(|error| {
        if is_lock_timeout(&error) {
            Error::InProgress
        } else {
            error.into()
        }
    })?;
    if inserted.rows_affected() == 1 {
        return Ok(Joined::Stored);
    }
    // The twin has committed, or the insert would have waited; a new statement sees it.
    let found = stored(tx, &[claim.scope()])
        .await?
        .remove(&claim.scope())
        .ok_or(Error::InProgress)?;
    found.reply_for(claim).map(Joined::Replay)
}

/// Stores replies whose keys are new, beside effects that are there or made in the same transaction, and gives the scopes
/// of those. In the order of the scopes, so that two replicas wait for each other instead of deadlocking.
///
/// # Errors
/// Whatever the database says.
pub async fn insert_new(
    connection: &mut PgConnection,
    finished: &[(&Claim, &Reply)],
) -> Result<HashSet<[u8; 32]>, sqlx::Error> {
    if finished.is_empty() {
        return Ok(HashSet::new());
    }
    let (scopes, fingerprints, statuses, headers, bodies) =
        insert_columns(finished.iter().copied());
    let inserted: Vec<Vec<u8>> = sqlx::query_scalar(
        "insert into idempotency (scope, fingerprint, status, headers, body)
         select scope, fingerprint, status, headers::json, body
         from unnest($1::bytea[], $2::bytea[], $3::smallint[], $4::text[], $5::bytea[])
              as f (scope, fingerprint, status, headers, body)
         order by scope
         on conflict do nothing
         returning scope",
    )
    .bind(scopes)
    .bind(fingerprints)
    .bind(statuses)
    .bind(headers)
    .bind(bodies)
    .fetch_all(connection)
    .await?;
    let exact = |scope: Vec<u8>| scope.try_into().ok();
    Ok(inserted.into_iter().filter_map(exact).collect())
}

/// The finished replies of these scopes. Called in a statement of its own after an insert that lost, because the
/// insert's own snapshot may not see the winner.
///
/// # Errors
/// Whatever the database says.
pub async fn stored(
    connection: &mut PgConnection,
    scopes: &[[u8; 32]],
) -> Result<HashMap<[u8; 32], Stored>, sqlx::Error> {
    let scopes: Vec<&[u8]> = scopes.iter().map(<[u8; 32]>::as_slice).collect();
    let rows = sqlx::query("select scope, fingerprint, status, headers::text as headers, body from idempotency where scope = any($1)")
        .bind(scopes)
        .fetch_all(connection)
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let scope: [u8; 32] = row
            .try_get::<Vec<u8>, _>("scope")?
            .try_into()
            .map_err(|_| sqlx::Error::Decode("a scope is not 32 bytes long".into()))?;
        let status = StatusCode::from_u16(row.try_get::<i16, _>("status")?.unsigned_abs())
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        let headers = serde_json::from_str(row.try_get("headers")?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        let reply = Reply::new(status, headers, row.try_get::<Vec<u8>, _>("body")?.into());
        found.insert(
            scope,
            Stored {
                fingerprint: row.try_get("fingerprint")?,
                reply,
            },
        );
    }
    Ok(found)
}

/// SQLSTATE 55P03: a lock was not available in time.
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "55P03")
}
