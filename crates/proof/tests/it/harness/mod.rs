//! Three fleets that every test of this crate shares, and what a test does with them.
//!
//! The [`calm`] fleet stands on the servers of the environment, has two processes of the services on the money's way,
//! and is never disturbed, so its tests run side by side. The [`rough`] fleet has PostgreSQL, Redis and Kafka of its
//! own; its tests kill and stop whatever they want, one after another, and each begins with everything running. A
//! test makes a campaign of its own, and so needs no empty database. The [`still`] fleet is brought to rest and then looked
//! at; what a test breaks, it breaks in a copy.
//!
//! A fleet is started by the first test that needs it, and ended by its [`caretaker`] when this process ends.

mod cache;
mod caretaker;
mod disturb;
mod donor;
mod load;
mod provider;
mod spans;
mod still;
mod topics;
mod trouble;
mod world;

use std::{
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use xtask::{
    fleet::{Fleet, Lock, Options},
    settings,
};

pub use disturb::counted;
pub use donor::{Gift, Intent, Wish, as_a_client};
pub use load::{Load, sum};
pub use provider::{event, now, sign};
pub use still::Copy;
pub use topics::Record;
pub use world::{World, success};

/// One runtime for all tests, because connections must not end with the test that made them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
});

type Started = OnceLock<Result<World, String>>;

/// Runs a test on the fleet that nobody disturbs. Other tests run on it at the same time.
pub fn calm(test: impl AsyncFnOnce(&'static World)) {
    static CALM: Started = OnceLock::new();
    let world = of(&CALM, || {
        let options = Options::for_test("calm")?;
        // Its logs are searched for what must not be logged, at any level.
        let options = options.env("*", "RUST_LOG", "debug");
        Ok(options.replicas("pledge", 2).replicas("payment", 2))
    });
    RUNTIME.block_on(test(world));
}

/// Runs a test on the fleet that may be disturbed. It has the fleet for itself, and finds everything running.
pub fn rough(test: impl AsyncFnOnce(&'static World)) {
    static ROUGH: Started = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = of(&ROUGH, || {
        // The second ones run only where a test starts them.
        let options = Options::for_test_with_backends("rough")?;
        Ok(options.replicas("pledge", 2).replicas("totals", 2))
    });
    RUNTIME.block_on(async {
        world.heal().await;
        test(world).await;
    });
}

/// Runs a test on a fleet that is brought to rest by the first test and audited by all of them, one after another.
pub fn still(test: impl AsyncFnOnce(&'static World)) {
    static STILL: Started = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = of(&STILL, || Options::for_test("still"));
    RUNTIME.block_on(test(world));
}

/// Runs a test on a fleet of its own, which ends with it.
pub fn own(name: &str, test: impl FnOnce(&Fleet)) {
    let slot = slot();
    let world = {
        let _inside = RUNTIME.enter();
        let options = Options::for_test(name).expect("the servers are known");
        World::start(options, slot)
            .unwrap_or_else(|error| panic!("the fleet did not start: {error:?}"))
    };
    test(&world.fleet());
}

fn of(started: &'static Started, plan: fn() -> anyhow::Result<Options>) -> &'static World {
    let world = started.get_or_init(|| {
        let slot = slot();
        let world = plan().and_then(|options| {
            let _inside = RUNTIME.enter();
            World::start(options, slot)
        });
        world.map_err(|error| format!("{error:?}"))
    });
    world
        .as_ref()
        .unwrap_or_else(|error| panic!("the fleet did not start: {error}"))
}

/// Leave to run a fleet: three may run at once, in whichever processes the tests are.
pub fn slot() -> Lock {
    let root = settings::workspace_root().expect("tests run in the workspace");
    let slots = settings::run_dir(&root).join("fleets");
    loop {
        for n in 1..=3 {
            if let Some(slot) = Lock::take(&slots.join(format!("slot-{n}"))).expect("a lock file") {
                return slot;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
