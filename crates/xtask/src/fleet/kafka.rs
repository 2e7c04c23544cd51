//! A private Apache Kafka: one broker that is its own controller, no ZooKeeper.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{BackendOptions, Probe, Server, Spec, install, jars};
use crate::{run, settings};

/// Prepares a broker that is not started yet; formats its storage where that is new.
pub(super) fn prepare(options: &BackendOptions) -> Result<Server> {
    let java = install::java().context("no Java 17 or later is installed")?;
    let jars = jars::resolve()?;
    let home = options.run_dir.join("kafka");
    let data = home.join("data");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let config = home.join("server.properties");
    fs::write(&config, properties(options, &data))?;
    let base = java_arguments(options, &jars);
    if !data.join("meta.properties").is_file() {
        format(&java, &base, &config, &data)?;
    }
    let port = options.ports.kafka;
    let mut args = base;
    args.extend(["kafka.Kafka".to_owned(), path(&config)]);
    let mut server = Server::new(
        "kafka",
        format!("127.0.0.1:{port}"),
        port,
        Spec {
            program: java,
            args,
            env: Vec::new(),
            log: options.run_dir.join("logs/kafka.log"),
            run_dir: options.run_dir.clone(),
            owner: None,
        },
        Probe::Kafka(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
    );
    server.ports.push(options.ports.controller);
    server.data = Some(data);
    Ok(server)
}

/// A small heap and one collector thread leave the processors to the services. A broker without the second compiler is
/// ready in half the time.
fn java_arguments(options: &BackendOptions, jars: &Path) -> Vec<String> {
    let mut args = vec![
        format!("-Xmx{}m", options.kafka_heap_mb),
        "-XX:+UseSerialGC".to_owned(),
        "-Djava.awt.headless=true".to_owned(),
        // Native libraries are unpacked there; a killed broker would leave them in the machine's own directory.
        format!("-Djava.io.tmpdir={}", path(&options.run_dir.join("kafka"))),
        "-XX:-UsePerfData".to_owned(),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
    ];
    if options.brief {
        args.push("-XX:TieredStopAtLevel=1".to_owned());
    }
    args.extend(["-cp".to_owned(), format!("{}/*", jars.display())]);
    args
}

fn properties(options: &BackendOptions, data: &Path) -> String {
    let (port, controller) = (options.ports.kafka, options.ports.controller);
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
",
        data.display()
    )
}

fn format(java: &Path, base: &[String], config: &Path, data: &Path) -> Result<()> {
    if data.exists() {
        // What a killed format has left behind cannot be used.
        fs::remove_dir_all(data)?;
    }
    run::captured(
        Command::new(java)
            .args(base)
            .args(["kafka.tools.StorageTool", "format", "-t", &cluster_id()])
            .args(["-c", &path(config)])
            .env_clear()
            .envs(settings::inherited()),
    )
    .context("cannot format Kafka's storage")
    .map(drop)
}

/// Sixteen bytes as Kafka writes them. The tool takes a leading hyphen for an option, hence the fixed first bits.
fn cluster_id() -> String {
    let mut bytes = rand::random::<[u8; 16]>();
    bytes[0] &= 0x3f;
    URL_SAFE_NO_PAD.encode(bytes)
}

fn path(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().into_owned()
}
