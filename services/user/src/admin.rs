//! The first admin, without whom nobody could approve a campaign.

use anyhow::Context;
use common::events::Role;

use common::contact::Name;

use crate::{
    config::FirstAdmin, db::accounts, error::Error, password::Hasher, registration::Registrar,
};

/// Opens the admin's account where the address has none. Several replicas may do so at once: one of them succeeds.
///
/// An account that exists is left as it is: configuration must not overwrite a password that its holder has
/// changed, nor promote somebody who registered the address first.
pub async fn ensure(
    registrar: &Registrar,
    hasher: &Hasher,
    admin: FirstAdmin,
) -> anyhow::Result<()> {
    match accounts::role_of(registrar.db.pool(), admin.email.key())
        .await?
        .as_deref()
    {
        Some("ADMIN") => return Ok(()),
        Some(_) => {
            tracing::warn!(
                "the account with the address in ADMIN_EMAIL is not an admin's, and stays so"
            );
            return Ok(());
        }
        None => {}
    }
    let name = Name::parse("Admin").map_err(anyhow::Error::msg)?;
    let hash = hasher.hash(admin.password).await.map_err(Error::from)?;
    let opened = registrar
        .open(&admin.email, &name, &hash, Role::Admin)
        .await;
    opened.context("cannot open the first admin's account")?;
    Ok(())
}
