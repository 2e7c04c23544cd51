//! Telling the merchant: events go out signed, in each intent's order, again and again until they are acknowledged.

mod dispatcher;
mod forgery;
mod post;
mod signature;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

pub(crate) use dispatcher::Dispatcher;
pub(crate) use post::{Endpoint, Sent};

use crate::{faults::Faults, store::Notice};

pub(crate) enum Command {
    Emit(Vec<Arc<Notice>>),
    Resend(Arc<Notice>, oneshot::Sender<Sent>),
    Pause(bool, oneshot::Sender<()>),
    Faults(Option<Box<Faults>>, oneshot::Sender<()>),
    State(oneshot::Sender<State>),
}

/// How the dispatcher is set.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    pub(crate) paused: bool,
    pub(crate) faults: Option<Faults>,
}

/// The way to the dispatcher. Commands take effect in the order in which they are given.
#[derive(Clone)]
pub(crate) struct Webhooks(mpsc::UnboundedSender<Command>);

impl Webhooks {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Has the events of one fact sent.
    pub(crate) fn emit(&self, notices: Vec<Arc<Notice>>) {
        // Once the dispatcher is gone the process is ending; the ledger still knows what was not delivered.
        let _ = self.0.send(Command::Emit(notices));
    }

    /// Sends an event once more, now, and says how it went; `None` while the process ends.
    pub(crate) async fn resend(&self, notice: Arc<Notice>) -> Option<Sent> {
        self.ask(|reply| Command::Resend(notice, reply)).await
    }

    /// Stops sending, or goes on with it. In force once this returns.
    pub(crate) async fn pause(&self, paused: bool) {
        self.ask(|reply| Command::Pause(paused, reply)).await;
    }

    /// Sets what goes wrong with events that come about from now on.
    pub(crate) async fn misbehave(&self, faults: Option<Faults>) {
        let faults = faults.map(Box::new);
        self.ask(|reply| Command::Faults(faults, reply)).await;
    }

    /// How the dispatcher is set; `None` while the process ends.
    pub(crate) async fn state(&self) -> Option<State> {
        self.ask(Command::State).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).ok()?;
        answer.await.ok()
    }
}
