//! Clients of the library end on a thread of their own.

use std::{ops::Deref, thread};

use tokio::sync::oneshot;

/// A client of the library. Dropped, it ends where nobody waits for it: that takes answers of the broker and joins
/// threads, and a group's member that is assigned partitions in that very moment may not come to an end at all
/// (librdkafka issue 4884). A runtime would wait with it for ever, since it drops what its tasks hold.
pub(super) struct Client<C: Send + 'static>(Option<C>);

impl<C: Send + 'static> Client<C> {
    pub(super) const fn new(client: C) -> Self {
        Self(Some(client))
    }

    /// Ends the client after a last use of it; the answer comes when both are done.
    pub(super) fn end(mut self, last: impl FnOnce(&C) + Send + 'static) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        if let Some(client) = self.0.take() {
            elsewhere(move || {
                last(&client);
                drop(client);
                let _ = done.send(());
            });
        }
        ended
    }
}

impl<C: Send + 'static> Deref for Client<C> {
    type Target = C;

    #[expect(clippy::expect_used, reason = "it is taken by what consumes the value")]
    fn deref(&self) -> &C {
        self.0.as_ref().expect("a client is there until it ends")
    }
}

impl<C: Send + 'static> Drop for Client<C> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            elsewhere(move || drop(client));
        }
    }
}

fn elsewhere(end: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("kafka client ends".to_owned());
    if let Err(error) = thread.spawn(end) {
        tracing::warn!(error = %error, "a kafka client could not be ended on a thread of its own");
    }
}
