//! What several tests need.

use std::path::{Path, PathBuf};

/// A directory of its own that ends with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory below the one that `cargo xtask test` clears, so that what a killed test leaves is found again.
    pub fn new(name: &str) -> Self {
        let base =
            xtask::settings::var("CFA_RUN_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let name = format!("careforall-{name}-{}", uuid::Uuid::new_v4());
        let dir = base.join("fleets").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
