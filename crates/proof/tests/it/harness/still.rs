//! A fleet that has come to rest: gifts were given, everything has settled, and then the services were ended.

use std::{path::PathBuf, sync::PoisonError};

use proof::audit::{Report, Sources, audit};
use testkit::eventually;
use uuid::Uuid;
use xtask::fleet::{DatabaseUrl, Psql, SERVICES};

use super::world::World;

/// A copy of a fleet's database, which a test may change as it likes.
pub struct Copy {
    /// What the audit is told; a test may name other witnesses.
    pub sources: Sources,
    url: DatabaseUrl,
    name: String,
}

impl World {
    /// The witnesses of this fleet.
    pub fn sources(&self) -> Sources {
        let fleet = self.fleet();
        Sources {
            database_url: fleet.database_url().to_string(),
            brokers: Some(fleet.brokers().to_owned()),
            topic_prefix: fleet.topic_prefix().to_owned(),
            ledger: fleet.run_dir().join("psp/ledger.jsonl"),
            mail_url: Some(self.mail.clone()),
            logs: Some(fleet.run_dir().join("logs")),
            lost: None,
            journal: None,
        }
    }

    /// A folder of this fleet's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.fleet().run_dir().join(name)
    }

    /// Ends the services, so that nobody mends what a test breaks. The simulators go on.
    pub async fn rest(&self) {
        self.until_quiet().await;
        tokio::task::block_in_place(|| {
            let mut fleet = self.fleet();
            for service in SERVICES {
                fleet.terminate(service);
            }
        });
        self.db.close().await;
        // What is left of this fleet needs no processor.
        drop(
            self.slot
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// A copy of the database. The services must have ended.
    pub async fn copy(&self) -> Copy {
        Copy::when_free(self.sources()).await
    }
}

impl Copy {
    fn of(sources: Sources) -> anyhow::Result<Self> {
        let original: DatabaseUrl = sources.database_url.parse()?;
        let name = format!("copy_{}", Uuid::new_v4().simple());
        let make = format!("create database {name} template {}", original.database());
        let copy = Self {
            url: original.with_database(&name),
            sources: Sources {
                database_url: original.with_database(&name).to_string(),
                ..sources
            },
            name,
        };
        copy.elsewhere(&make)?;
        Ok(copy)
    }

    /// Another copy of this one.
    pub async fn again(&self) -> Self {
        Self::when_free(self.sources.clone()).await
    }

    /// A copy, as soon as the last session in the original has ended.
    async fn when_free(sources: Sources) -> Self {
        eventually("nobody is in the database", async || {
            Self::of(sources.clone()).ok()
        })
        .await
    }

    /// What the database answers to a statement.
    pub fn ask(&self, sql: &str) -> String {
        let asked = Psql::new(&self.url).and_then(|psql| psql.query(sql));
        asked.unwrap_or_else(|error| panic!("{error:#} in {sql}"))
    }

    /// Changes the copy as superuser, with every trigger and constraint trigger asleep.
    pub fn change(&self, sql: &str) {
        let asleep = format!("set session_replication_role = replica; {sql}");
        let psql = Psql::new(&self.url).expect("psql");
        psql.query(&asleep)
            .unwrap_or_else(|error| panic!("{error:#} in {sql}"));
    }

    /// What the audit says.
    pub async fn audit(&self) -> Report {
        audit(&self.sources).await.expect("everybody can be asked")
    }

    fn elsewhere(&self, sql: &str) -> anyhow::Result<String> {
        Psql::new(&self.url.with_database("postgres"))?.query(sql)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be dropped now goes with the server.
        let _gone = self.elsewhere(&format!(
            "drop database if exists {} with (force)",
            self.name
        ));
    }
}
