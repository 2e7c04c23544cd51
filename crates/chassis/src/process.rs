//! The `main` of every service: read the environment, bind, run, stop on a signal.

use std::{
    future::Future,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{env::Env, lifecycle::Lifecycle, telemetry};

/// The argument of a process that is to recover instead of serving, and the option that says since when.
const RECOVER: [&str; 2] = ["recover", "--since"];
/// How long a process that was told to end still takes requests: whoever sends them has to notice that it is not ready.
const LEAVE_MS: u64 = 1000;
/// How long blocking calls of libraries may go on after the last task.
const LINGER: Duration = Duration::from_secs(1);

/// Runs the service `name` until SIGTERM or SIGINT; a second signal ends it at once. After the first it is not ready
/// any more, takes requests for `STOP_AFTER_MS` (default 1000) all the same, and then ends what is open.
///
/// `LISTEN` says where it serves, by default `127.0.0.1:default_port`. With the argument `--health` the
/// process instead asks a running one whether it is ready and exits with 0 or 1, which is what containers use.
pub fn main<C, F>(
    name: &'static str,
    default_port: u16,
    read: fn(&mut Env) -> C,
    run: impl FnOnce(C, TcpListener, Lifecycle) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut env = Env::process();
    let listen = env.parsed(
        "LISTEN",
        SocketAddr::from((Ipv4Addr::LOCALHOST, default_port)),
    );
    if std::env::args().any(|argument| argument == "--health") {
        return if is_ready(listen) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let config = read(&mut env);
    lived(name, env, config, async move |config, life| {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}"))?;
        run(config, listener, life).await
    })
}

/// [`main`] of a service with a database. With the arguments `recover --since TIME` the process does not serve: it brings
/// the service back to the truth after its database was put back to a copy that was made then, or later, and exits. No
/// other process of the service may run meanwhile.
pub fn main_with_recovery<C, F, R>(
    name: &'static str,
    default_port: u16,
    read: fn(&mut Env) -> C,
    run: impl FnOnce(C, TcpListener, Lifecycle) -> F,
    recover: impl FnOnce(C, Lifecycle, DateTime<Utc>) -> R,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
    R: Future<Output = anyhow::Result<()>>,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_none_or(|first| first != RECOVER[0]) {
        return main(name, default_port, read, run);
    }
    let since = match &arguments[1..] {
        [option, time] if option == RECOVER[1] => time.parse::<DateTime<Utc>>().ok(),
        _ => None,
    };
    let Some(since) = since else {
        let usage = anyhow::anyhow!("say `recover --since 2026-01-31T12:00:00Z`");
        return fail(name, &usage);
    };
    let mut env = Env::process();
    let config = read(&mut env);
    lived(name, env, config, async |config, life| {
        recover(config, life, since).await
    })
}

/// Lives a process from its configuration to its exit code.
fn lived<C>(
    name: &'static str,
    mut env: Env,
    config: C,
    live: impl AsyncFnOnce(C, Lifecycle) -> anyhow::Result<()>,
) -> ExitCode {
    let threads = env.parsed("TOKIO_WORKER_THREADS", 2);
    let leave = Duration::from_millis(env.parsed("STOP_AFTER_MS", LEAVE_MS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let started = env
        .finish(config)
        .map_err(anyhow::Error::from)
        .and_then(|config| Ok((config, runtime?)));
    let (config, runtime) = match started {
        Ok(started) => started,
        Err(error) => return fail(name, &error),
    };
    let outcome = runtime.block_on(async {
        let _telemetry = telemetry::init(name)?;
        let life = Lifecycle::new();
        stop_on_signal(&life, leave)?;
        let outcome = live(config, life.clone()).await;
        life.stop();
        let code = life.finish().await;
        outcome.map(|()| code)
    });
    runtime.shutdown_timeout(LINGER);
    outcome.unwrap_or_else(|error| fail(name, &error))
}

/// Says on standard error why the process cannot go on; telemetry may not exist yet.
fn fail(name: &str, error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
    ExitCode::FAILURE
}

/// The first signal has the process leave, and a moment later asks every task to end; a second one does not wait for them.
#[expect(
    clippy::disallowed_methods,
    reason = "a tracked task would itself hold up the shutdown that it waits for"
)]
fn stop_on_signal(life: &Lifecycle, leave: Duration) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let life = life.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if life.is_leaving() {
                std::process::exit(1);
            }
            tracing::info!("stopping");
            life.leave();
            let life = life.clone();
            tokio::spawn(async move {
                tokio::time::sleep(leave).await;
                life.stop();
            });
        }
    });
    Ok(())
}

/// Asks the process at `listen` for `/readyz` with plain sockets: a health check must be cheap to start.
fn is_ready(listen: SocketAddr) -> bool {
    let address = if listen.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()))
    } else {
        listen
    };
    let limit = Duration::from_secs(2);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
