//! A request's body on its way through: streamed, bounded, and remembered only where it may have to be sent again.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::Body as Source;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body that can be read by one upstream after another, as long as nothing of it is lost.
pub struct Tape(Option<Arc<Mutex<Reel>>>);

struct Reel {
    source: Source,
    /// The length that the sender declared, in bytes.
    declared: Option<u64>,
    /// What came so far, where it is kept.
    kept: Vec<Bytes>,
    /// Whether what comes is kept. It costs no copy, and never more than `limit` bytes.
    keep: bool,
    passed: u64,
    limit: u64,
    state: State,
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was asked for yet.
    Untouched,
    /// Some of it came.
    Open,
    /// All of it came.
    Finished,
    /// More came than is allowed.
    TooLarge,
    /// The sender broke off.
    Broken,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More came than is allowed.
    #[error("the body is too large")]
    TooLarge,
    /// The sender broke off.
    #[error("the body ended early")]
    Broken(#[source] axum::Error),
}

impl Tape {
    /// Takes the body of a request, of which `limit` bytes may pass; `keep` says whether it may be needed again.
    pub fn new(source: Source, limit: u64, keep: bool) -> Self {
        if source.is_end_stream() {
            return Self(None);
        }
        let declared = source.size_hint().exact();
        let state = State::Untouched;
        Self(Some(Arc::new(Mutex::new(Reel {
            source,
            declared,
            kept: Vec::new(),
            keep,
            passed: 0,
            limit,
            state,
        }))))
    }

    /// A body from the beginning.
    pub fn play(&self) -> Playback {
        let declared = self.0.as_deref().and_then(|reel| lock(reel).declared);
        Playback {
            reel: self.0.clone(),
            next: 0,
            declared,
        }
    }

    /// How far the body has come.
    pub fn state(&self) -> State {
        self.0
            .as_deref()
            .map_or(State::Finished, |reel| lock(reel).state)
    }

    /// Whether the body can be sent once more.
    pub fn is_whole(&self) -> bool {
        self.0.as_deref().is_none_or(|reel| {
            let reel = lock(reel);
            reel.state == State::Untouched
                || reel.keep && matches!(reel.state, State::Open | State::Finished)
        })
    }
}

/// One reading of a [`Tape`].
pub struct Playback {
    reel: Option<Arc<Mutex<Reel>>>,
    next: usize,
    declared: Option<u64>,
}

impl Body for Playback {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(reel) = self.reel.clone() else {
            return Poll::Ready(None);
        };
        let mut reel = lock(&reel);
        let chunk = match reel.kept.get(self.next) {
            Some(chunk) => Some(Ok(chunk.clone())),
            None => ready!(reel.poll_more(cx)),
        };
        self.next += 1;
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reel.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.reel, self.declared) {
            (None, _) => SizeHint::with_exact(0),
            (_, Some(length)) => SizeHint::with_exact(length),
            (_, None) => SizeHint::new(),
        }
    }
}

impl Reel {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match self.state {
                State::Finished => return Poll::Ready(None),
                State::TooLarge => return Poll::Ready(Some(Err(BodyError::TooLarge))),
                State::Untouched | State::Open | State::Broken => {}
            }
            let frame = match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.state = State::Broken;
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
                None => {
                    self.state = State::Finished;
                    return Poll::Ready(None);
                }
            };
            // Trailers belong to the hop.
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            self.state = State::Open;
            self.passed += chunk.len() as u64;
            if self.passed > self.limit {
                self.state = State::TooLarge;
                continue;
            }
            if self.keep {
                self.kept.push(chunk.clone());
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
    }
}

fn lock(reel: &Mutex<Reel>) -> MutexGuard<'_, Reel> {
    reel.lock().unwrap_or_else(PoisonError::into_inner)
}
