//! Log files: their end for an error message, and their growth for the terminal.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::run;

/// How many lines of a log an error message shows.
const LINES: usize = 15;

/// How many bytes the file has now; 0 when it does not exist.
pub fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The end of what was written to the file after `from`, introduced by its path.
pub fn tail(path: &Path, from: u64) -> String {
    let text = read_from(path, from).unwrap_or_default();
    if text.trim().is_empty() {
        return format!("; nothing was written to {}", path.display());
    }
    format!(
        "; the end of {}:\n{}",
        path.display(),
        run::end_of(&text, LINES)
    )
}

/// Reads the new lines of a file again and again.
#[derive(Debug)]
pub struct Follower {
    /// The name that its lines carry.
    pub name: String,
    path: PathBuf,
    at: u64,
    rest: String,
}

impl Follower {
    /// Follows the file from its present end.
    pub fn new(name: &str, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            at: size(path),
            rest: String::new(),
        }
    }

    /// The whole lines that were written since the last call.
    pub fn lines(&mut self) -> Vec<String> {
        let now = size(&self.path);
        if now < self.at {
            // Somebody emptied the file.
            self.at = 0;
        }
        let Some(text) = read_from(&self.path, self.at) else {
            return Vec::new();
        };
        self.at += text.len() as u64;
        self.rest.push_str(&text);
        let Some(end) = self.rest.rfind('\n') else {
            return Vec::new();
        };
        let whole: Vec<String> = self.rest[..end].lines().map(str::to_owned).collect();
        self.rest.drain(..=end);
        whole
    }
}

fn read_from(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    // A line may be cut in the middle of a character; only whole lines are taken as text.
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    bytes.truncate(whole);
    String::from_utf8(bytes)
        .ok()
        .or_else(|| Some(String::new()))
}
