use std::collections::{BTreeSet, HashMap};

/// When something happens by itself, to which intent or payout. Derived from their facts, so never kept on disk.
#[derive(Default)]
pub(crate) struct Alarms {
    due: BTreeSet<(i64, String)>,
    by_id: HashMap<String, i64>,
}

impl Alarms {
    /// Replaces the alarm of `id`; `at` is in Unix milliseconds.
    pub(super) fn set(&mut self, id: &str, at: Option<i64>) {
        if let Some(old) = self.by_id.remove(id) {
            self.due.remove(&(old, id.to_owned()));
        }
        if let Some(at) = at {
            self.by_id.insert(id.to_owned(), at);
            self.due.insert((at, id.to_owned()));
        }
    }

    /// The ids whose time has come at `now`, the most overdue first.
    pub(crate) fn overdue(&self, now: i64) -> Vec<String> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, id)| id.clone()).collect()
    }
}
