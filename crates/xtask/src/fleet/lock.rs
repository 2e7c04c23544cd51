//! One launcher at a time in a run directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::Identity;

/// Held by the command that starts and stops processes of a run directory. It ends with its process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    const FILE: &'static str = "lock";

    /// Takes the lock; nothing when another process holds it.
    pub fn take(run_dir: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(run_dir)
            .with_context(|| format!("cannot make {}", run_dir.display()))?;
        let path = run_dir.join(Self::FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let own = Identity::of(std::process::id().cast_signed());
        file.seek(SeekFrom::Start(0))?;
        file.set_len(0)?;
        file.write_all(serde_json::to_string(&own)?.as_bytes())?;
        Ok(Some(Self { _file: file }))
    }

    /// The process that wrote its name into the lock last, if it still runs.
    pub fn holder(run_dir: &Path) -> Option<Identity> {
        let text = fs::read_to_string(run_dir.join(Self::FILE)).ok()?;
        let identity: Option<Identity> = serde_json::from_str(&text).ok()?;
        identity.filter(|identity| identity.is_alive())
    }
}
