//! A private Redis. It is only a cache, but an orderly end saves what it holds.

use std::fs;

use anyhow::{Context, Result};

use super::{BackendOptions, Probe, Server, Spec};
use crate::settings;

/// Prepares a Redis that is not started yet.
pub(super) fn prepare(options: &BackendOptions) -> Result<Server> {
    let program =
        settings::find_program("redis-server").context("redis-server is not installed")?;
    let data = options.run_dir.join("redis");
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let port = options.ports.redis;
    let config = data.join("redis.conf");
    // The title of the process stays as it is, because changing it would overwrite the mark in its environment.
    fs::write(
        &config,
        format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsave 3600 1\nappendonly no\nmaxmemory 256mb\n\
             maxmemory-policy volatile-lru\nset-proc-title no\nloglevel warning\n",
            data.display()
        ),
    )?;
    let mut server = Server::new(
        "redis",
        format!("redis://127.0.0.1:{port}"),
        port,
        Spec {
            program,
            args: vec![config.to_string_lossy().into_owned()],
            env: Vec::new(),
            log: options.run_dir.join("logs/redis.log"),
            run_dir: options.run_dir.clone(),
            owner: None,
        },
        Probe::Redis(port),
    );
    server.data = Some(data);
    Ok(server)
}
