//! The only place of this crate that reads its environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The variable with a trimmed, non-empty value, or nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "a command line tool has no chassis::env; this is its one reader"
)]
pub fn var(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// What a started process may see of our environment: where programs and certificates are, and how to log.
/// Everything else is given to it by name, so a stray `DATABASE_URL` of the shell cannot reach a service.
#[expect(
    clippy::disallowed_methods,
    reason = "a command line tool has no chassis::env; this is its one reader"
)]
pub fn inherited() -> Vec<(String, String)> {
    const NAMES: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "JAVA_HOME"];
    const PREFIXES: [&str; 4] = ["RUST_", "OTEL_", "SSL_CERT_", "LC_"];
    std::env::vars()
        .filter(|(name, _)| {
            NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|p| name.starts_with(p))
        })
        .collect()
}

/// The variables by which cargo tells a program of its package.
#[expect(
    clippy::disallowed_methods,
    reason = "a command line tool has no chassis::env; these are only taken away from others"
)]
pub fn of_our_package() -> Vec<String> {
    const PREFIXES: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

/// The nearest directory, from the current one upward, that holds the workspace.
pub fn workspace_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    here.ancestors()
        .find(|dir| dir.join("migrations/bootstrap.sql").is_file())
        .map(Path::to_path_buf)
        .with_context(|| format!("no CareForAll workspace at or above {}", here.display()))
}

/// Where a fleet keeps its data, logs and secrets: `CFA_RUN_DIR`, else `.run` in the workspace.
pub fn run_dir(root: &Path) -> PathBuf {
    var("CFA_RUN_DIR").map_or_else(
        || root.join(".run"),
        |dir| {
            let dir = PathBuf::from(dir);
            if dir.is_absolute() {
                dir
            } else {
                root.join(dir)
            }
        },
    )
}

/// What survives the checkout: `$XDG_CACHE_HOME/careforall`, else `~/.cache/careforall`.
pub fn cache_dir() -> PathBuf {
    var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| var("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("careforall")
}

/// The first program of that name on `PATH` or in the directories of the system administrator.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(OsStr::new(name)))
        .find(|file| file.is_file())
}
