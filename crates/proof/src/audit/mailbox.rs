//! The mailbox: which payments donors were thanked for.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::DateTime;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::bench::Bench;

/// How many mails the mailbox keeps; with so many, older ones may be gone.
const KEPT: usize = 10_000;
/// How many are asked for at once.
const AT_ONCE: usize = 16;
/// What the Message-ID of a thank-you ends with; a payment's id stands before it.
const OURS: &str = "@careforall";

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mailbox {
    /// Mails, copies included.
    pub(super) mails: usize,
    /// Whether none was dropped for want of room.
    pub(super) complete: bool,
}

#[derive(Deserialize)]
struct Listed {
    id: Uuid,
}

#[derive(Deserialize)]
struct Mail {
    /// Of the mail's own date, in seconds since 1970.
    time: i64,
    headers: HashMap<String, String>,
}

/// Lays the mails that we sent out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, url: &str) -> Result<Mailbox> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let list = get(&client, format!("{url}/api/messages")).await?;
    let list: Vec<Listed> = serde_json::from_slice(&list)?;
    let complete = list.len() < KEPT;
    let fetch = |Listed { id }: Listed| {
        let request = get(&client, format!("{url}/api/message/{id}"));
        async move { Ok::<Mail, anyhow::Error>(serde_json::from_slice(&request.await?)?) }
    };
    let mails: Vec<Mail> = stream::iter(list)
        .map(fetch)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let ours: Vec<String> = mails.iter().filter_map(row).collect();
    let mails = ours.len();
    bench
        .fill("copy mails (payment_id, at) from stdin", ours.into_iter())
        .await?;
    Ok(Mailbox { mails, complete })
}

async fn get(client: &reqwest::Client, url: String) -> Result<Vec<u8>> {
    let reply = client.get(&url).send().await?.error_for_status()?;
    let body = reply.bytes().await.with_context(|| url)?;
    Ok(body.to_vec())
}

fn row(mail: &Mail) -> Option<String> {
    let named = |(name, _): &(&String, &String)| name.eq_ignore_ascii_case("message-id");
    let (_, id) = mail.headers.iter().find(named)?;
    let id = id.trim().trim_matches(['<', '>']).strip_suffix(OURS)?;
    let payment: Uuid = id.parse().ok()?;
    let at = DateTime::from_timestamp(mail.time, 0)?;
    Some(format!("{payment}\t{}", at.to_rfc3339()))
}
