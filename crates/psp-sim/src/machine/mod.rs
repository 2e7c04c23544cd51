//! What a call, or the time, does to an intent. Pure: the state goes in, the state after it and its events come out.

mod authenticate;
mod bank;
mod cancel;
mod capture;
mod confirm;
mod create;
mod dispute;
mod refund;
mod time;

use crate::{
    error::ApiError,
    model::{Charge, Fact, Intent, Kind},
};

pub(crate) use authenticate::authenticate;
pub(crate) use bank::Bank;
pub(crate) use cancel::cancel;
pub(crate) use capture::{book, capture};
pub(crate) use confirm::confirm;
pub(crate) use create::create;
pub(crate) use dispute::{Opening, close, open, rule, submit};
pub(crate) use refund::{Wish, annotate, refund, settle};
pub(crate) use time::{due, pass};

/// What a call has done.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) intent: Intent,
    pub(crate) charge: Option<Charge>,
    /// The types of the events, and the refund or dispute that each is about.
    pub(crate) events: Vec<(&'static str, Option<String>)>,
    /// What the call is answered with.
    pub(crate) about: About,
    /// A decline changes the intent and refuses the call at the same time.
    pub(crate) refusal: Option<ApiError>,
}

/// The object that a call was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Intent,
    Refund(String),
    Dispute(String),
}

impl Change {
    /// A change of the intent itself or of its charge.
    fn of_intent(
        kind: Kind,
        intent: Intent,
        charge: Option<Charge>,
        events: &[&'static str],
    ) -> Self {
        Self {
            kind,
            intent,
            charge,
            events: events.iter().map(|name| (*name, None)).collect(),
            about: About::Intent,
            refusal: None,
        }
    }

    /// A change of the charge's refund or dispute; the intent stays as it is.
    fn of_charge(kind: Kind, fact: &Fact, charge: Charge, about: About) -> Self {
        Self {
            about,
            ..Self::of_intent(kind, fact.intent.clone(), Some(charge), &[])
        }
    }

    /// Tells of the refund or dispute `id`.
    fn tell(&mut self, name: &'static str, id: &str) {
        self.events.push((name, Some(id.to_owned())));
    }
}
