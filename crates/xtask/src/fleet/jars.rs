//! Apache Kafka's program files: resolved once by Maven, kept outside the checkout.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{run, settings, ui};

const POM: &str = include_str!("../../assets/pom.xml");
const VERSION: &str = "4.3.0";
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Where the jars lie once they are resolved.
pub(super) fn dir() -> PathBuf {
    settings::cache_dir().join(format!("kafka-{VERSION}"))
}

/// Whether no download is needed.
pub(super) fn are_here() -> bool {
    dir().is_dir()
}

/// The directory of the jars; downloads them where this machine has none yet. They are moved into place as a whole, so
/// a directory that is there is complete.
pub(super) fn resolve() -> Result<PathBuf> {
    let dir = dir();
    if dir.is_dir() {
        return Ok(dir);
    }
    let cache = settings::cache_dir();
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("kafka.lock"))?;
    lock.lock()?;
    if dir.is_dir() {
        return Ok(dir);
    }
    ui::step(&format!(
        "downloading Apache Kafka {VERSION} from Maven Central, once, about 43 MB"
    ));
    let work = cache.join(format!("kafka-{VERSION}.part"));
    let _absent = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let pom = work.join("pom.xml");
    fs::write(&pom, POM)?;
    let mvn = settings::find_program("mvn").context("Maven is not installed")?;
    run::captured(
        Command::new(mvn)
            .args(["-q", "-B", "--strict-checksums", "-f"])
            .arg(&pom)
            .args([COPY, "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", work.join("libs").display())),
    )
    .context("cannot download Apache Kafka: is the network there, and can Maven reach its repository? With Docker, `docker compose up --build` needs neither")?;
    fs::rename(work.join("libs"), &dir)?;
    let _absent = fs::remove_dir_all(&work);
    Ok(dir)
}
