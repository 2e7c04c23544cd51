//! What several tests need.

use std::path::{Path, PathBuf};

/// A directory of its own that ends with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory; every user may pass through it, as PostgreSQL may run as another one.
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("careforall-{name}-{}", uuid::Uuid::new_v4()));
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
