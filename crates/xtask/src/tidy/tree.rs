//! The files that the checks look at.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root of the workspace.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub what: String,
}

impl Finding {
    pub(super) fn new(path: &str, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Text files by their path from the root of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// A tree made up for a test.
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self(
            files
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        )
    }

    /// The workspace, without what is built, run or kept by git. Files that are no text are left out.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add(root, root)?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, dir: &Path) -> Result<()> {
        const SKIPPED: [&str; 4] = [".git", ".run", "target", "node_modules"];
        for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            if SKIPPED.contains(&name.to_string_lossy().as_ref()) {
                continue;
            }
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.add(root, &path)?;
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(root)?.to_string_lossy().into_owned();
                self.0.insert(path, text);
            }
        }
        Ok(())
    }

    /// Every file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files that are no tests.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files()
            .filter(|(path, _)| is_rust(path) && path.contains("/src/"))
    }

    /// One file.
    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

pub(super) fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// The service that a source file belongs to, and its path below `src`.
pub(super) fn in_service(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("services/")?.split_once("/src/")
}
