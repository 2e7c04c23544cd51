//! `cfa.contact.state.v1`: who is behind a contact id. Nobody else reads it.

use std::collections::BTreeMap;

use chassis::kafka::{Fault, Message};
use common::{events::ContactState, ids::ContactId};

use crate::{App, db::contacts};

/// Keeps the newest name and address of each contact, and forgets those that were deleted.
pub async fn apply(app: &App, messages: impl Iterator<Item = &Message>) -> Result<(), Fault> {
    let mut newest: BTreeMap<ContactId, Option<ContactState>> = BTreeMap::new();
    for message in messages {
        if message.payload.is_empty() {
            let deleted = message
                .key
                .parse()
                .map_err(|_| Fault::permanent("the key is not a contact id"))?;
            newest.insert(deleted, None);
            continue;
        }
        let contact: ContactState = message.json()?;
        must_be_writable(&contact)?;
        let known = newest.entry(contact.contact_id).or_default();
        if known
            .as_ref()
            .is_none_or(|known| known.version < contact.version)
        {
            *known = Some(contact);
        }
    }
    let deleted: Vec<_> = newest
        .iter()
        .filter(|(_, state)| state.is_none())
        .map(|(id, _)| id.get())
        .collect();
    let changed: Vec<_> = newest.into_values().flatten().collect();
    contacts::upsert(app.db.pool(), &changed).await?;
    contacts::delete(app.db.pool(), &deleted).await?;
    Ok(())
}

/// Producers check this at the door; a message that passed them anyway must not reach a mail header.
fn must_be_writable(contact: &ContactState) -> Result<(), Fault> {
    if contact
        .name
        .chars()
        .chain(contact.email.chars())
        .any(char::is_control)
    {
        return Err(Fault::permanent(
            "a contact's name or address has control characters",
        ));
    }
    Ok(())
}
