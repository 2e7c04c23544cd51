//! Donors who give one gift after another until they are told to stop.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use futures::future::join_all;
use testkit::eventually;
use tokio::task::block_in_place;

use super::{
    RUNTIME,
    donor::{Gift, Wish},
    world::World,
};

/// What each gift of a load is, in minor units.
const AMOUNT: i64 = 300;

/// Running donors.
pub struct Load {
    shared: Arc<Shared>,
    donors: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicUsize,
    given: Mutex<Vec<Gift>>,
}

/// What each donor does.
#[derive(Clone, Copy)]
enum Way {
    /// Asks for each pledge until it is answered, as good clients do.
    Patiently,
    /// Asks once, and must not be disappointed.
    Once,
    /// Pays as well.
    Paying,
}

impl Load {
    /// Donors who ask for each pledge until it is answered, as good clients do.
    pub fn pledging(world: &'static World, campaign: &str, donors: usize) -> Self {
        Self::start(world, campaign, donors, Way::Patiently)
    }

    /// Donors who ask once, and must not be disappointed.
    pub fn pledging_once(world: &'static World, campaign: &str, donors: usize) -> Self {
        Self::start(world, campaign, donors, Way::Once)
    }

    /// Donors who pay as well.
    pub fn paying(world: &'static World, campaign: &str, donors: usize) -> Self {
        Self::start(world, campaign, donors, Way::Paying)
    }

    fn start(world: &'static World, campaign: &str, count: usize, way: Way) -> Self {
        let shared = Arc::new(Shared::default());
        let (known, campaign) = (shared.clone(), campaign.to_owned());
        let donors = std::thread::spawn(move || {
            let donors = (0..count).map(|_| async {
                while !known.stop.load(Ordering::SeqCst) {
                    let gift = give(world, &campaign, way).await;
                    known.given().push(gift);
                    known.done.fetch_add(1, Ordering::SeqCst);
                }
            });
            RUNTIME.block_on(join_all(donors));
        });
        Self { shared, donors }
    }

    /// Waits until so many gifts more have been given.
    pub async fn until_more(&self, gifts: usize) {
        let goal = self.shared.done.load(Ordering::SeqCst) + gifts;
        eventually("more gifts were given", async || {
            (self.shared.done.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
    }

    /// Has each donor end its last gift, and gives all that was given.
    pub fn stop(self) -> Vec<Gift> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let ended = block_in_place(|| self.donors.join());
        ended.expect("no donor was disappointed");
        std::mem::take(&mut self.shared.given())
    }
}

impl Shared {
    fn given(&self) -> MutexGuard<'_, Vec<Gift>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn give(world: &World, campaign: &str, way: Way) -> Gift {
    let wish = Wish::new(campaign, AMOUNT);
    let reply = match way {
        Way::Patiently | Way::Paying => world.send_at_last(&wish).await,
        Way::Once => world.send(&wish).await,
    };
    let gift = Gift::of(&wish, reply).await;
    if matches!(way, Way::Paying) {
        world.pay(&gift).await;
    }
    gift
}

/// What gifts of a load come to.
pub fn sum(gifts: &[Gift]) -> i64 {
    gifts.iter().map(|gift| gift.wish.amount).sum()
}
