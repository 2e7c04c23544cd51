use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque, hash_map::Entry},
    future,
    sync::Arc,
    time::Duration,
};

use chassis::lifecycle::Lifecycle;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Command, Endpoint, Sent, State, forgery::Forgery};
use crate::{
    faults::{Fate, Plan},
    journal::Journal,
    model::Line,
    store::Notice,
};

/// How many deliveries are under way at once.
const IN_FLIGHT: usize = 128;
/// The wait after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// How long a reordered event waits for another one of its intent to overtake it.
const HOLD: Duration = Duration::from_millis(500);

/// One event on its way.
struct Delivery {
    notice: Arc<Notice>,
    /// How often this copy has failed.
    failures: u32,
    /// It holds its intent's lane: the intent's next event waits until it was tried.
    in_lane: bool,
    /// It goes out even when the event was acknowledged already.
    copy: bool,
    asked: Option<oneshot::Sender<Sent>>,
    /// What is sent, once, in place of the event.
    forgery: Option<Arc<Forgery>>,
}

impl Delivery {
    fn new(notice: Arc<Notice>) -> Self {
        Self {
            notice,
            failures: 0,
            in_lane: false,
            copy: false,
            asked: None,
            forgery: None,
        }
    }
}

/// What becomes due at some time.
enum Later {
    Ready(Delivery),
    /// Nothing has overtaken the intent's held event so far.
    Release(String),
}

/// The one task that sends webhooks.
pub(crate) struct Dispatcher {
    /// `None` when nobody listens: then no event is owed to anyone.
    endpoint: Option<Arc<Endpoint>>,
    journal: Journal,
    default_seed: u64,
    plan: Option<Plan>,
    paused: bool,
    ready: VecDeque<Delivery>,
    /// Intents with an event in `ready` or under way, and their further events.
    lanes: HashMap<String, VecDeque<Delivery>>,
    /// The event of an intent that the next one shall overtake.
    held: HashMap<String, Arc<Notice>>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    later: HashMap<u64, Later>,
    next_later: u64,
    under_way: FuturesUnordered<BoxFuture<'static, (Delivery, Sent)>>,
}

impl Dispatcher {
    pub(crate) fn new(endpoint: Option<Endpoint>, journal: Journal, default_seed: u64) -> Self {
        Self {
            endpoint: endpoint.map(Arc::new),
            journal,
            default_seed,
            plan: None,
            paused: false,
            ready: VecDeque::new(),
            lanes: HashMap::new(),
            held: HashMap::new(),
            due: BinaryHeap::new(),
            later: HashMap::new(),
            next_later: 0,
            under_way: FuturesUnordered::new(),
        }
    }

    /// Sends until the process is asked to stop. What is not acknowledged by then is sent after the next start.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        life: Lifecycle,
    ) -> anyhow::Result<()> {
        loop {
            self.start_ready();
            let wake = self.due.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                () = life.stopping() => return Ok(()),
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return Ok(()),
                },
                Some((delivery, sent)) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.conclude(delivery, sent);
                }
                () = sleep_until(wake) => self.advance(Instant::now()),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Emit(notices) => notices.into_iter().for_each(|notice| self.emit(notice)),
            Command::Resend(notice, asked) => {
                self.start(Delivery {
                    asked: Some(asked),
                    ..Delivery::new(notice)
                });
            }
            Command::Pause(paused, done) => {
                self.paused = paused;
                let _ = done.send(());
            }
            Command::Faults(faults, done) => {
                self.plan = faults.map(|faults| Plan::new(*faults, self.default_seed));
                let _ = done.send(());
            }
            Command::State(asked) => {
                let faults = self.plan.as_ref().map(|plan| plan.faults().clone());
                let _ = asked.send(State {
                    paused: self.paused,
                    faults,
                });
            }
        }
    }

    fn emit(&mut self, notice: Arc<Notice>) {
        let endpoint = self.endpoint.as_ref();
        if !endpoint.is_some_and(|endpoint| endpoint.wants(&notice)) {
            notice.deliver();
            return;
        }
        let overtaken = self.held.remove(notice.lane());
        let fate = self.plan.as_mut();
        match fate.map(|plan| plan.next(&notice.event().name)) {
            None => self.queue(notice),
            Some(fate) => self.misdirect(notice, fate, overtaken.is_none()),
        }
        if let Some(overtaken) = overtaken {
            self.queue(overtaken);
        }
    }

    fn misdirect(&mut self, notice: Arc<Notice>, fate: Fate, may_hold: bool) {
        if fate.beside.forged {
            self.send_forged(&notice, Forgery::forged(&notice));
        }
        if fate.beside.stray {
            self.send_forged(&notice, Forgery::stray(&notice));
        }
        if fate.drop {
            notice.discard();
            self.journal.note(&Line::Dropped(notice.event().id.clone()));
            return;
        }
        if fate.duplicate {
            let original = Delivery::new(notice.clone());
            let copy = Delivery {
                copy: true,
                ..original
            };
            self.put_off(fate.delay, Later::Ready(copy));
        }
        if fate.reorder && may_hold {
            let intent = notice.lane().to_owned();
            self.held.insert(intent.clone(), notice);
            self.put_off(HOLD, Later::Release(intent));
        } else if fate.delay > Duration::ZERO {
            self.put_off(fate.delay, Later::Ready(Delivery::new(notice)));
        } else {
            self.queue(notice);
        }
    }

    fn send_forged(&mut self, like: &Arc<Notice>, forgery: Forgery) {
        self.ready.push_back(Delivery {
            copy: true,
            forgery: Some(Arc::new(forgery)),
            ..Delivery::new(like.clone())
        });
    }

    /// Puts an event behind those of its intent that were not tried yet.
    fn queue(&mut self, notice: Arc<Notice>) {
        let intent = notice.lane().to_owned();
        let delivery = Delivery {
            in_lane: true,
            ..Delivery::new(notice)
        };
        match self.lanes.entry(intent) {
            Entry::Occupied(mut lane) => lane.get_mut().push_back(delivery),
            Entry::Vacant(lane) => {
                lane.insert(VecDeque::new());
                self.ready.push_back(delivery);
            }
        }
    }

    fn put_off(&mut self, wait: Duration, what: Later) {
        let id = self.next_later;
        self.next_later += 1;
        self.later.insert(id, what);
        self.due.push(Reverse((Instant::now() + wait, id)));
    }

    /// Moves what is due to where it is sent from.
    fn advance(&mut self, now: Instant) {
        while self.due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, id))) = self.due.pop() else {
                return;
            };
            match self.later.remove(&id) {
                Some(Later::Ready(delivery)) => self.ready.push_back(delivery),
                Some(Later::Release(intent)) => {
                    if let Some(notice) = self.held.remove(&intent) {
                        self.queue(notice);
                    }
                }
                None => {}
            }
        }
    }

    fn start_ready(&mut self) {
        while !self.paused && self.under_way.len() < IN_FLIGHT {
            let Some(delivery) = self.ready.pop_front() else {
                return;
            };
            if delivery.notice.is_delivered() && !delivery.copy {
                self.open_lane(&delivery);
            } else {
                self.start(delivery);
            }
        }
    }

    fn start(&self, delivery: Delivery) {
        let endpoint = self.endpoint.clone();
        let post = endpoint.map(|endpoint| {
            let (notice, forgery) = (delivery.notice.clone(), delivery.forgery.clone());
            async move {
                match forgery {
                    Some(forgery) => endpoint.post_forged(&forgery).await,
                    None => endpoint.post(&notice).await,
                }
            }
        });
        self.under_way.push(Box::pin(async move {
            let sent = match post {
                Some(post) => post.await,
                None => Sent {
                    error: Some("no endpoint"),
                    ..Sent::default()
                },
            };
            (delivery, sent)
        }));
    }

    fn conclude(&mut self, mut delivery: Delivery, sent: Sent) {
        if delivery.forgery.is_some() {
            return;
        }
        self.open_lane(&delivery);
        delivery.in_lane = false;
        let event = delivery.notice.event();
        if sent.delivered {
            if delivery.notice.deliver() {
                self.journal.note(&Line::Delivered(event.id.clone()));
            }
        } else if delivery.failures == 0 {
            let Sent { status, error, .. } = sent;
            tracing::warn!(event.id = %event.id, event.kind = %event.name, status, error, "webhook was not acknowledged");
        }
        if let Some(asked) = delivery.asked.take() {
            // Whoever asked may have left; the event was sent all the same.
            let _ = asked.send(sent);
        } else if !sent.delivered {
            let wait = FIRST_RETRY
                .saturating_mul(1 << delivery.failures.min(10))
                .min(LONGEST_RETRY);
            delivery.failures += 1;
            self.put_off(wait, Later::Ready(delivery));
        }
    }

    /// Lets the next event of the intent go.
    fn open_lane(&mut self, delivery: &Delivery) {
        if !delivery.in_lane {
            return;
        }
        let intent = delivery.notice.lane();
        match self.lanes.get_mut(intent).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.lanes.remove(intent)),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => future::pending().await,
    }
}
