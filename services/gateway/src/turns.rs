//! Whose turn it is: the processes of one service share its requests.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use chassis::clock::Clock;
use http::uri::Authority;
use tokio::{sync::SemaphorePermit, time::timeout};

use crate::{error::Error, routes::Service, upstream::Upstream};

/// How long a request waits for a seat where every upstream is busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The processes of one service.
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    next: AtomicUsize,
}

/// Which of a service's processes were tried for a request already.
#[derive(Default)]
pub struct Tried {
    all: u64,
    put_off: u64,
}

impl Tried {
    /// Allows an upstream another try, where no other is left.
    pub fn put_off(&mut self, turn: &Turn<'_>) {
        self.put_off |= 1 << turn.index;
    }

    /// Whether an upstream may be tried: for the first time, or once more.
    fn allows(&self, index: usize, once_more: bool) -> bool {
        let of = if once_more { self.put_off } else { !self.all };
        of & 1 << index != 0
    }

    fn note(&mut self, index: usize) {
        self.all |= 1 << index;
        self.put_off &= !(1 << index);
    }
}

/// The right to send one request to an upstream; it counts as in flight until this is dropped.
pub struct Turn<'a> {
    upstream: &'a Upstream,
    index: usize,
    _seat: SemaphorePermit<'a>,
}

impl Deref for Turn<'_> {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        self.upstream
    }
}

impl Upstreams {
    /// The processes at these addresses, of which the first 64 are used. So many requests may wait for the reply of
    /// each.
    pub fn new(service: Service, addresses: &[Authority], seats: usize, clock: &Clock) -> Self {
        let upstream = |address: &Authority| {
            Arc::new(Upstream::new(
                service,
                address.clone(),
                seats,
                clock.clone(),
            ))
        };
        let known = addresses.iter().take(u64::BITS as usize);
        Self {
            all: known.map(upstream).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// Picks the next one in turn that was not tried yet: one that is ready, else one that says it is not, since it
    /// knows best what to answer, else one that was put off. A breaker that is open keeps an upstream out. Where all are
    /// busy, this waits a second: a burst is better queued here than sent on as connections that no upstream has time
    /// for.
    ///
    /// # Errors
    /// Where there is none left, or none had a seat in time.
    pub async fn pick(&self, tried: &mut Tried) -> Result<Turn<'_>, Error> {
        let first = self.next.fetch_add(1, Relaxed);
        for (only_ready, once_more) in [(true, false), (false, false), (false, true)] {
            let mut busy = None;
            for step in 0..self.all.len() {
                let index = first.wrapping_add(step) % self.all.len();
                let upstream = &self.all[index];
                if !tried.allows(index, once_more) || only_ready && !upstream.is_ready() {
                    continue;
                }
                match upstream.seat() {
                    Some(seat) if upstream.admits() => return Ok(self.turn(index, seat, tried)),
                    Some(_) => {}
                    None => busy = busy.or(Some(index)),
                }
            }
            if let Some(index) = busy {
                let seat = timeout(PATIENCE, self.all[index].free_seat())
                    .await
                    .ok()
                    .flatten();
                let seat = seat.ok_or(Error::Overloaded)?;
                let admitted = self.all[index].admits();
                return if admitted {
                    Ok(self.turn(index, seat, tried))
                } else {
                    Err(Error::Unavailable)
                };
            }
        }
        Err(Error::Unavailable)
    }

    fn turn<'a>(&'a self, index: usize, seat: SemaphorePermit<'a>, tried: &mut Tried) -> Turn<'a> {
        tried.note(index);
        Turn {
            upstream: &self.all[index],
            index,
            _seat: seat,
        }
    }
}
