//! A private PostgreSQL.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::{BackendOptions, Probe, Server, Spec, install};
use crate::{run, settings};

/// The home of the user `postgres`, as Debian's package makes it.
const ELSEWHERE: &str = "/var/lib/postgresql";

/// Prepares a PostgreSQL that is not started yet; makes its cluster where there is none.
pub(super) fn prepare(options: &BackendOptions, password: Option<&str>) -> Result<Server> {
    let bin = install::postgres_bin().context("PostgreSQL's initdb is not installed")?;
    let owner = owner()?;
    let data = data_dir(&options.run_dir, owner)?;
    if !data.join("PG_VERSION").is_file() {
        make_cluster(&bin, &data, owner, options.durable, password)?;
    }
    let port = options.ports.postgres;
    let mut server = Server::new(
        "postgres",
        format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        port,
        Spec {
            program: bin.join("postgres"),
            args: arguments(&bin, &data, port, options.durable)?,
            env: Vec::new(),
            log: options.run_dir.join("logs/postgres.log"),
            run_dir: options.run_dir.clone(),
            owner,
        },
        Probe::Postgres { bin, port },
    );
    server.data = Some(data);
    // Clients are sent away; SIGTERM would wait for them.
    server.farewell = Signal::SIGINT;
    Ok(server)
}

/// PostgreSQL refuses to run as root, so root runs it as the user that its package made.
fn owner() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres")?
        .context("PostgreSQL refuses to run as root and there is no user `postgres`; run this as another user")?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

/// `<run dir>/postgres`; or, where the other user cannot reach that, a directory of its own with a link from there.
fn data_dir(run_dir: &Path, owner: Option<(u32, u32)>) -> Result<PathBuf> {
    let here = run_dir.join("postgres");
    fs::create_dir_all(run_dir).with_context(|| format!("cannot make {}", run_dir.display()))?;
    let Some((user, group)) = owner else {
        fs::create_dir_all(&here)?;
        return Ok(here);
    };
    if run_dir.ancestors().all(is_passable) {
        fs::create_dir_all(&here).with_context(|| format!("cannot make {}", here.display()))?;
        chown(&here, Some(user), Some(group))?;
        return Ok(here);
    }
    let elsewhere = elsewhere(run_dir);
    fs::create_dir_all(&elsewhere)
        .with_context(|| format!("cannot make {}", elsewhere.display()))?;
    chown(&elsewhere, Some(user), Some(group))?;
    if here.read_link().ok().as_ref() != Some(&elsewhere) {
        let _absent = fs::remove_file(&here);
        std::os::unix::fs::symlink(&elsewhere, &here)?;
    }
    Ok(elsewhere)
}

/// Where the data of a run directory lies that the user `postgres` cannot reach. The name is the path itself.
fn elsewhere(run_dir: &Path) -> PathBuf {
    let name = run_dir.to_string_lossy().replace('/', "-");
    Path::new(ELSEWHERE).join(format!("careforall{name}"))
}

/// Removes the data of this run directory, wherever it lies.
pub(super) fn remove_data(run_dir: &Path) -> Result<()> {
    let here = run_dir.join("postgres");
    let target = here.read_link();
    if target.is_ok() {
        fs::remove_file(&here)?;
    }
    for dir in [target.unwrap_or_else(|_| here.clone()), elsewhere(run_dir)] {
        remove(&copy_of(&dir))?;
        remove(&dir)?;
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

/// Where the copy of a data directory lies: beside it.
fn copy_of(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push("-copy");
    name.into()
}

/// Copies the data of a running server, beside them and in place of an older copy.
pub(super) fn copy(server: &Server) -> Result<()> {
    let bin = install::postgres_bin().context("PostgreSQL's pg_basebackup is not installed")?;
    let data = server.data.as_ref().context("the server has no data")?;
    let copy = copy_of(data);
    remove(&copy)?;
    fs::create_dir(&copy).with_context(|| format!("cannot make {}", copy.display()))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700))?;
    let owner = server.spec.owner;
    chown(
        &copy,
        owner.map(|(user, _)| user),
        owner.map(|(_, group)| group),
    )?;
    let mut command = as_owner(Command::new(bin.join("pg_basebackup")), owner);
    command
        .args(["--host=127.0.0.1", "--username=postgres", "--no-password"])
        .arg(format!("--port={}", server.port()))
        .args(["--checkpoint=fast", "--wal-method=stream", "--no-sync"])
        .arg("-D")
        .arg(&copy);
    run::captured(&mut command).context("cannot copy PostgreSQL")?;
    Ok(())
}

/// Puts the copy in the place of the data of a server that does not run. Both are gone from where they were.
pub(super) fn put_back(server: &Server) -> Result<()> {
    let data = server.data.as_ref().context("the server has no data")?;
    let copy = copy_of(data);
    remove(data)?;
    fs::rename(&copy, data).with_context(|| format!("cannot put {} back", copy.display()))
}

/// Removes the data of every fleet below this run directory that lies outside of it.
pub(super) fn remove_data_of_fleets(run_dir: &Path) -> Result<()> {
    let prefix = format!("{}-", elsewhere(&run_dir.join("fleets")).display());
    for entry in fs::read_dir(ELSEWHERE).into_iter().flatten().flatten() {
        let dir = entry.path();
        if dir.to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
    }
    Ok(())
}

/// Whether every user may pass through the directory.
fn is_passable(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o001 == 0o001)
}

fn make_cluster(
    bin: &Path,
    data: &Path,
    owner: Option<(u32, u32)>,
    durable: bool,
    password: Option<&str>,
) -> Result<()> {
    // What a killed initdb has left behind cannot be used.
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;
    let mut command = as_owner(Command::new(bin.join("initdb")), owner);
    command
        // Text sorts by its bytes: compared without the C library, and alike in each of its versions.
        .args([
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--lc-collate=C",
        ])
        .arg("--no-instructions")
        .arg("-D")
        .arg(data);
    if !durable {
        command.arg("--no-sync");
    }
    let file = data.with_file_name(".postgres-password");
    match password {
        Some(password) => {
            fs::write(&file, password)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            chown(
                &file,
                owner.map(|(user, _)| user),
                owner.map(|(_, group)| group),
            )?;
            command
                .arg("--auth=scram-sha-256")
                .arg("--pwfile")
                .arg(&file);
        }
        None => {
            command.arg("--auth=trust");
        }
    }
    let made = run::captured(&mut command).context("cannot make a PostgreSQL cluster");
    let _absent = fs::remove_file(&file);
    made.map(drop)
}

fn as_owner(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    use std::os::unix::process::CommandExt;
    command.env_clear().envs(settings::inherited());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group).current_dir("/");
    }
    command
}

/// The settings, as arguments, so that they hold for a cluster of any age. TCP on loopback only.
fn arguments(bin: &Path, data: &Path, port: u16, durable: bool) -> Result<Vec<String>> {
    let major = major_version(bin)?;
    if major < 14 {
        bail!("PostgreSQL {major} is too old: 14 or later is needed");
    }
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        // A working set that does not fit makes each insert write out another table's page first, and its log before it.
        format!("shared_buffers={}", if durable { "1GB" } else { "256MB" }),
        "max_wal_size=4GB".to_owned(),
        "min_wal_size=4GB".to_owned(),
        "checkpoint_timeout=15min".to_owned(),
        format!("wal_compression={}", if major >= 15 { "lz4" } else { "on" }),
    ];
    if !durable {
        // For tests only: what a power cut could lose is thrown away anyway.
        settings.extend(
            [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "max_connections=600",
            ]
            .map(str::to_owned),
        );
    }
    let mut args = vec![
        "-D".to_owned(),
        data.to_string_lossy().into_owned(),
        "-p".to_owned(),
        port.to_string(),
    ];
    for setting in settings {
        args.extend(["-c".to_owned(), setting]);
    }
    Ok(args)
}

/// The 15 of `postgres (PostgreSQL) 15.18 (Debian ...)`.
fn major_version(bin: &Path) -> Result<u32> {
    let version = run::captured(Command::new(bin.join("postgres")).arg("--version"))?;
    version
        .split_whitespace()
        .find_map(|word| word.split(['.', 'r', 'b']).next()?.parse().ok())
        .with_context(|| format!("cannot tell the version of PostgreSQL from `{version}`"))
}
