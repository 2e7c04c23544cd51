//! The append-only file that is both the witness of every charge and the memory of the simulator.
//!
//! One task writes: it takes whatever lines wait, appends them, makes the disk keep them with one `fdatasync` (unless it
//! need not be durable), and only then tells each waiter. A line cut short by a crash was never answered, and is cut off
//! at the next start.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use chassis::lifecycle::Lifecycle;
use tokio::sync::{mpsc, oneshot};

use crate::model::{Fact, Line, PayoutFact};

/// How many lines one `fdatasync` covers at most.
const BATCH: usize = 1024;

/// The lines can no longer be written; the process is about to end.
#[derive(Debug)]
pub(crate) struct Lost;

struct Entry {
    line: Vec<u8>,
    kept: Option<oneshot::Sender<()>>,
}

/// The way into the file.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::UnboundedSender<Entry>);

impl Journal {
    /// Opens the file, or makes it, hands every line that it holds to `replay` and starts its writer.
    pub(crate) fn open(
        path: &Path,
        durable: bool,
        life: &Lifecycle,
        replay: impl FnMut(Line),
    ) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            // It holds client secrets.
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open the ledger {}", path.display()))?;
        file.try_lock().with_context(|| {
            format!("the ledger {} is in use by another process", path.display())
        })?;
        read(&mut file, replay)
            .with_context(|| format!("cannot read the ledger {}", path.display()))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        life.spawn("ledger", write(file, durable, receiver));
        Ok(Self(sender))
    }

    /// Appends a line and waits until it would survive a crash.
    pub(crate) async fn append(&self, line: &Line<&Fact, &PayoutFact>) -> Result<(), Lost> {
        let (kept, wait) = oneshot::channel();
        self.0
            .send(Entry {
                line: encode(line),
                kept: Some(kept),
            })
            .map_err(|_| Lost)?;
        wait.await.map_err(|_| Lost)
    }

    /// Appends a line that may be lost in a crash.
    pub(crate) fn note(&self, line: &Line<&Fact, &PayoutFact>) {
        // A closed channel means that the process is ending; such a line is then as good as lost in a crash.
        let _ = self.0.send(Entry {
            line: encode(line),
            kept: None,
        });
    }
}

fn encode(line: &Line<&Fact, &PayoutFact>) -> Vec<u8> {
    // Keys are strings and values plain, so this cannot fail.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}

fn read(file: &mut File, mut replay: impl FnMut(Line)) -> anyhow::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 20, &*file);
    let mut text = Vec::new();
    let mut good: u64 = 0;
    for number in 1.. {
        text.clear();
        let length = reader.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(());
        }
        if text.last() != Some(&b'\n') {
            tracing::warn!(
                number,
                "the last line of the ledger was cut short by a crash; it is dropped"
            );
            break;
        }
        let line = serde_json::from_slice(&text)
            .with_context(|| format!("line {number} is not readable"))?;
        replay(line);
        good += length as u64;
    }
    file.set_len(good)?;
    file.sync_data()?;
    Ok(())
}

async fn write(
    mut file: File,
    durable: bool,
    mut entries: mpsc::UnboundedReceiver<Entry>,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut buffer = Vec::new();
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        buffer.clear();
        for entry in &batch {
            buffer.extend_from_slice(&entry.line);
        }
        // Waiters only need the disk when at least one of them was promised it.
        let sync = durable && batch.iter().any(|entry| entry.kept.is_some());
        let work = move || -> std::io::Result<_> {
            file.write_all(&buffer)?;
            if sync {
                file.sync_data()?;
            }
            Ok((file, buffer))
        };
        (file, buffer) = tokio::task::spawn_blocking(work)
            .await?
            .context("the ledger cannot be written")?;
        for entry in batch.drain(..) {
            if let Some(kept) = entry.kept {
                // The waiter runs in a task that nobody cancels; should it be gone all the same, the fact stays.
                let _ = kept.send(());
            }
        }
    }
    Ok(())
}
