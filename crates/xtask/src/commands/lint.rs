//! `cargo xtask lint`: every check that needs no running service, each by the tool that knows best.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::fleet::install::{self, Need};
use crate::fleet::{Ports, Probe, Server, Spec, cargo};
use crate::settings::{self, find_program};
use crate::tidy::{self, Tree};
use crate::{interrupt, run, ui};

/// How one check ended.
enum Outcome {
    Clean,
    Broken,
    Skipped(String),
}

type Check = (&'static str, fn(&Path) -> Result<Outcome>);

const CHECKS: [Check; 12] = [
    ("cargo fmt", |root| {
        attached(cargo(root).args(["fmt", "--all", "--check"]))
    }),
    ("tidy", tidy),
    ("cargo clippy", |root| {
        attached(cargo(root).args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("cargo doc", |root| {
        let mut command = cargo(root);
        command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
        attached(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("cargo deny", deny),
    ("advisories", advisories),
    ("nginx.conf", nginx),
    ("prometheus.yml", prometheus),
    ("docker-compose.yml", compose),
    ("grafana", grafana),
    ("loadtest", k6),
    (".github/workflows", actionlint),
];

/// Runs every check, names what it skipped and why, and tells whether all others are clean.
pub fn lint() -> Result<bool> {
    let root = settings::workspace_root()?;
    let mut outcomes = Vec::new();
    for (name, check) in CHECKS {
        interrupt::check()?;
        ui::step(name);
        let outcome = check(&root).unwrap_or_else(|error| {
            ui::fail(&error);
            Outcome::Broken
        });
        outcomes.push((name, outcome));
    }
    interrupt::check()?;
    ui::say("");
    for (name, outcome) in &outcomes {
        match outcome {
            Outcome::Clean => ui::done(name),
            Outcome::Broken => ui::say(&format!("{} {name}", ui::paint(ui::Colour::Red, " no"))),
            Outcome::Skipped(why) => ui::warn(&format!("{name} skipped: {why}")),
        }
    }
    Ok(!outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Broken)))
}

fn attached(command: &mut Command) -> Result<Outcome> {
    Ok(if run::attached(command)?.success() {
        Outcome::Clean
    } else {
        Outcome::Broken
    })
}

/// Runs a tool that talks too much when all is well.
fn quietly(command: &mut Command) -> Result<Outcome> {
    run::captured(command).map(|_| Outcome::Clean)
}

fn absent(tool: &str) -> Outcome {
    Outcome::Skipped(format!("{tool} is not installed"))
}

fn tidy(root: &Path) -> Result<Outcome> {
    let findings = tidy::check(&Tree::read(root)?);
    for finding in &findings {
        ui::say(&finding.to_string());
    }
    Ok(if findings.is_empty() {
        Outcome::Clean
    } else {
        Outcome::Broken
    })
}

/// What the lock file alone can tell.
fn deny(root: &Path) -> Result<Outcome> {
    if find_program("cargo-deny").is_none() {
        return Ok(absent("cargo-deny"));
    }
    let checks = ["check", "bans", "licenses", "sources"];
    attached(
        cargo(root)
            .args(["deny", "--log-level", "warn"])
            .args(checks),
    )
}

/// Known weaknesses, from a database that must be fetched.
fn advisories(root: &Path) -> Result<Outcome> {
    if find_program("cargo-deny").is_none() {
        return Ok(absent("cargo-deny"));
    }
    let output =
        run::output(cargo(root).args(["deny", "--log-level", "warn", "check", "advisories"]))?;
    if output.status.success() {
        return Ok(Outcome::Clean);
    }
    let text = run::text(&output);
    if text.contains("failed to fetch advisory database") {
        return Ok(Outcome::Skipped(
            "the advisory database cannot be reached".to_owned(),
        ));
    }
    ui::say(&text);
    Ok(Outcome::Broken)
}

/// Checks the syntax, then starts the edge on a free port and asks it: its own health, and a page behind a gateway that is
/// not there, which must be refused as a problem.
fn nginx(root: &Path) -> Result<Outcome> {
    if let Err(error) = install::ensure(&[Need::Nginx]) {
        return Ok(Outcome::Skipped(format!(
            "nginx is not installed: {error:#}"
        )));
    }
    let program = find_program("nginx").context("nginx was installed and is not found")?;
    let scratch = Scratch::new("nginx")?;
    let ports = Ports::free()?;
    let config = fs::read_to_string(root.join("nginx.conf")).context("cannot read nginx.conf")?;
    let config = config
        .replace(
            "listen 8000;",
            &format!("listen 127.0.0.1:{};", ports.gateway),
        )
        .replace(
            "server 127.0.0.1:8080;",
            &format!("server 127.0.0.1:{};", ports.user),
        );
    let file = scratch.0.join("nginx.conf");
    fs::write(&file, config)?;
    let args = ["-p".into(), path(&scratch.0), "-c".into(), path(&file)];
    run::captured(Command::new(&program).args(["-t", "-q"]).args(&args))?;

    let url = format!("http://127.0.0.1:{}", ports.gateway);
    let spec = Spec {
        program,
        args: args
            .into_iter()
            .chain(["-g".into(), "daemon off;".into()])
            .collect(),
        env: Vec::new(),
        log: scratch.0.join("nginx.log"),
        run_dir: scratch.0.clone(),
        owner: None,
    };
    let probe = Probe::Http(format!("{url}/edge/health"));
    let mut edge = Server::new("nginx", url, ports.gateway, spec, probe);
    edge.start()?;
    let refusal = get(&format!("{}/api/campaigns", edge.url))?;
    edge.stop();
    let code = serde_json::from_str::<serde_json::Value>(&refusal)
        .ok()
        .map(|problem| problem["code"].clone());
    if code != Some("upstream_unavailable".into()) {
        bail!("the edge without a gateway answered {refusal}");
    }
    Ok(Outcome::Clean)
}

fn get(url: &str) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .http_status_as_error(false)
        .build()
        .into();
    Ok(agent.get(url).call()?.body_mut().read_to_string()?)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn prometheus(root: &Path) -> Result<Outcome> {
    let Some(promtool) = find_program("promtool") else {
        return Ok(absent("promtool (package prometheus)"));
    };
    quietly(
        Command::new(promtool)
            .args(["check", "config"])
            .arg(root.join("prometheus.yml")),
    )
}

/// The compose command line may be a plugin of docker or a program of its own; neither needs a running engine here.
fn compose(root: &Path) -> Result<Outcome> {
    let file = root.join("docker-compose.yml");
    for (program, subcommand) in [("docker", Some("compose")), ("docker-compose", None)] {
        let Some(program) = find_program(program) else {
            continue;
        };
        let command = || {
            let mut command = Command::new(&program);
            command.args(subcommand);
            command
        };
        if run::output(command().arg("version"))?.status.success() {
            return quietly(command().arg("-f").arg(&file).args(["config", "--quiet"]));
        }
    }
    Ok(absent("docker compose"))
}

/// Dashboards are JSON that Grafana reads at its start; one that is no JSON is silently missing there.
fn grafana(root: &Path) -> Result<Outcome> {
    for file in files_below(&root.join("grafana"), "json")? {
        let text = fs::read_to_string(&file)?;
        serde_json::from_str::<serde_json::Value>(&text)
            .with_context(|| format!("{} is no json", file.display()))?;
    }
    Ok(Outcome::Clean)
}

fn k6(root: &Path) -> Result<Outcome> {
    let Some(k6) = find_program("k6") else {
        return Ok(absent("k6"));
    };
    for file in files_below(&root.join("loadtest"), "js")? {
        // Files below lib/ are parts of the others.
        if file.parent().is_none_or(|dir| dir.ends_with("lib")) {
            continue;
        }
        run::captured(Command::new(&k6).arg("inspect").arg(&file))?;
    }
    Ok(Outcome::Clean)
}

fn actionlint(root: &Path) -> Result<Outcome> {
    let Some(actionlint) = find_program("actionlint") else {
        return Ok(absent("actionlint"));
    };
    for extension in ["yml", "yaml"] {
        for file in files_below(&root.join(".github/workflows"), extension)? {
            run::captured(Command::new(&actionlint).arg("-no-color").arg(file))?;
        }
    }
    Ok(Outcome::Clean)
}

/// The files below a directory that have this extension, in order.
fn files_below(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A directory that ends with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("careforall-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("logs"))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _absent = fs::remove_dir_all(&self.0);
    }
}
