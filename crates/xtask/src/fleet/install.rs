//! Finds the programs that a fleet stands on, and installs what is missing where that needs no password.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use super::{Attach, jars};
use crate::settings::find_program;
use crate::{interrupt, run, ui};

/// Something that must be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A C compiler and make: librdkafka is built from source.
    Compiler,
    /// PostgreSQL's server.
    Postgres,
    /// PostgreSQL's command line client.
    Psql,
    /// Redis' server.
    Redis,
    /// Java 17 or later.
    Java,
    /// Maven, to download Kafka.
    Maven,
    /// nginx, to check its configuration.
    Nginx,
}

impl Need {
    /// What building and running the whole fleet needs, without what the user's own servers make unnecessary.
    fn of_a_fleet(attach: &Attach) -> Vec<Self> {
        let mut needs = vec![Self::Compiler, Self::Psql];
        if attach.database_url.is_none() {
            needs.push(Self::Postgres);
        }
        if attach.redis_url.is_none() {
            needs.push(Self::Redis);
        }
        if attach.kafka.is_none() {
            needs.push(Self::Java);
            if !jars::are_here() {
                needs.push(Self::Maven);
            }
        }
        needs
    }

    fn is_met(self) -> bool {
        match self {
            Self::Compiler => find_program("cc").is_some() && find_program("make").is_some(),
            Self::Postgres => postgres_bin().is_some(),
            Self::Psql => psql().is_some(),
            Self::Redis => find_program("redis-server").is_some(),
            Self::Java => java().is_some(),
            Self::Maven => find_program("mvn").is_some(),
            Self::Nginx => find_program("nginx").is_some(),
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Compiler => "build-essential",
            Self::Postgres => "postgresql",
            Self::Psql => "postgresql-client",
            Self::Redis => "redis-server",
            Self::Java => java_package(),
            Self::Maven => "maven",
            Self::Nginx => "nginx",
        }
    }

    /// The system service that the package starts by itself.
    fn service(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("postgresql"),
            Self::Redis => Some("redis-server"),
            Self::Nginx => Some("nginx"),
            _ => None,
        }
    }
}

/// The directory of PostgreSQL's newest server programs.
pub fn postgres_bin() -> Option<PathBuf> {
    let newest = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max_by_key(|(version, _)| *version)
        .map(|(_, bin)| bin);
    newest.or_else(|| Some(find_program("initdb")?.parent()?.to_owned()))
}

/// PostgreSQL's command line client, that of the server where there is one.
pub fn psql() -> Option<PathBuf> {
    postgres_bin()
        .map(|bin| bin.join("psql"))
        .filter(|file| file.is_file())
        .or_else(|| find_program("psql"))
}

/// Java, if it is 17 or later.
pub fn java() -> Option<PathBuf> {
    let home = crate::settings::var("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    [home.filter(|file| file.is_file()), find_program("java")]
        .into_iter()
        .flatten()
        .find(|java| java_major(java).is_some_and(|major| major >= 17))
}

/// The 17 of `openjdk version "17.0.15" 2025-04-15`; of `"1.8.0_1"`, the 1.
fn java_major(java: &Path) -> Option<u32> {
    let output = run::output(Command::new(java).arg("-version")).ok()?;
    let text = run::text(&output);
    let version = text.split('"').nth(1)?;
    version.split(['.', '-', '+']).next()?.parse().ok()
}

/// The newest Java runtime that the package lists can give, of those that Debian and Ubuntu have.
fn java_package() -> &'static str {
    const NAMES: [&str; 3] = [
        "openjdk-25-jre-headless",
        "openjdk-21-jre-headless",
        "openjdk-17-jre-headless",
    ];
    let available = |name: &&&str| {
        // A package that others only mention has a policy as well, without a candidate.
        run::output(Command::new("apt-cache").args(["policy", **name])).is_ok_and(|output| {
            let text = run::text(&output);
            text.contains("Candidate:") && !text.contains("Candidate: (none)")
        })
    };
    NAMES
        .iter()
        .find(available)
        .unwrap_or(&"default-jre-headless")
}

/// Those of the needs that are not met.
pub fn missing(needs: &[Need]) -> Vec<Need> {
    needs
        .iter()
        .copied()
        .filter(|need| !need.is_met())
        .collect()
}

/// Installs and downloads what a fleet needs and this machine has not, before anything is built or started.
pub fn ensure_fleet(attach: &Attach) -> Result<()> {
    ensure(&Need::of_a_fleet(attach))?;
    if attach.kafka.is_none() {
        jars::resolve()?;
    }
    interrupt::check()
}

/// Installs what is missing. Where that needs a password, or there is no apt, the error says what to do instead.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let absent = missing(needs);
    if absent.is_empty() {
        return Ok(());
    }
    let Some(apt) = Apt::find() else {
        bail!(advice(&absent));
    };
    apt.update()?;
    let packages: Vec<&str> = absent.iter().map(|need| need.package()).collect();
    ui::step(&format!("installing {} with apt-get", packages.join(", ")));
    if let Err(error) = apt.install(&packages) {
        bail!("{error:#}\n{}", advice(&absent));
    }
    for service in absent.iter().filter_map(|need| need.service()) {
        apt.leave_stopped(service);
    }
    let still = missing(needs);
    if !still.is_empty() {
        bail!(advice(&still));
    }
    ui::done("installed");
    Ok(())
}

fn advice(absent: &[Need]) -> String {
    let packages: Vec<&str> = absent.iter().map(|need| need.package()).collect();
    format!(
        "not installed: {}. Install it with\n    sudo apt-get update && sudo apt-get install --no-install-recommends {}\n\
         and run this again; or run everything in containers with\n    docker compose up --build",
        packages.join(", "),
        packages.join(" ")
    )
}

/// apt-get where it may be used without a password.
struct Apt {
    sudo: bool,
}

impl Apt {
    fn find() -> Option<Self> {
        find_program("apt-get")?;
        if geteuid().is_root() {
            return Some(Self { sudo: false });
        }
        let passwordless = Command::new(find_program("sudo")?)
            .args(["-n", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        passwordless.then_some(Self { sudo: true })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = if self.sudo {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
            sudo
        } else {
            Command::new(program)
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn update(&self) -> Result<()> {
        interrupt::check()?;
        ui::step("reading apt's package lists");
        if let Err(error) = run::captured(self.command("apt-get").arg("update")) {
            // The lists that are there may be good enough.
            ui::warn(&format!("{error:#}"));
        }
        interrupt::check()
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        let quiet = Quiet::begin(self)?;
        let installed = run::captured(
            self.command("apt-get")
                .args(["install", "-y", "--no-install-recommends"])
                .args(packages),
        );
        drop(quiet);
        interrupt::check()?;
        installed.map(drop)
    }

    /// Packages enable their service for the next start of the machine; we only want the programs.
    fn leave_stopped(&self, service: &str) {
        if Path::new("/run/systemd/system").is_dir() {
            let _unknown = run::output(
                self.command("systemctl")
                    .args(["disable", "--now", service]),
            );
        }
    }
}

/// While this lives, packages do not start services. Debian asks `policy-rc.d` before it starts one.
struct Quiet<'a> {
    apt: &'a Apt,
    ours: bool,
}

impl<'a> Quiet<'a> {
    const FILE: &'static str = "/usr/sbin/policy-rc.d";

    fn begin(apt: &'a Apt) -> Result<Self> {
        let ours = !Path::new(Self::FILE).exists();
        if ours {
            let script =
                std::env::temp_dir().join(format!("careforall-policy-{}", std::process::id()));
            fs::write(&script, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            let placed = run::captured(apt.command("cp").arg("-p").arg(&script).arg(Self::FILE));
            fs::remove_file(&script)?;
            placed?;
        }
        Ok(Self { apt, ours })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        if self.ours {
            let _absent = run::output(self.apt.command("rm").args(["-f", Self::FILE]));
        }
    }
}
