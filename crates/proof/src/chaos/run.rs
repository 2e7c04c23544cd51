//! One run from its begin to its verdict.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use chassis::clock::Clock;
use serde_json::Value;
use tokio::task::JoinSet;
use xtask::{
    fleet::{Options, state::State},
    ui,
};

use super::{
    client::{Client, Hours},
    deaths::{Death, Watch},
    donors,
    matching::Matched,
    operator::Operator,
    perform::Performer,
    quiet,
    report::{Outcome, add},
    schedule::{Kind, Schedule},
    world::World,
};
use crate::{audit::Lost, journal};

/// How many donors give in overtime: a machine that is too slow for all of them has time for these.
const STAYING: u64 = 3;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the random numbers begin.
    pub seed: u64,
    /// How long donors give.
    pub length: Duration,
    /// How much longer a few of them give at most, when everything has healed and so little was acknowledged that the run
    /// would prove nothing. A slow machine in a storm of faults comes to that.
    pub overtime: Duration,
    /// How many donors give at the same time.
    pub donors: u64,
    /// The kinds of faults to draw from.
    pub kinds: Vec<Kind>,
    /// How old the copy is that PostgreSQL is put back to, once; it is not put back where there is none.
    pub restore: Option<Duration>,
    /// Faults of the provider's, as its simulator reads them, from the begin to the end of the load.
    pub provider: Option<Value>,
    /// The guard to do without.
    pub without: Option<String>,
    /// How long everything may take to come to rest after it has healed.
    pub patience: Duration,
}

impl Plan {
    /// A run with every kind of fault.
    pub fn new(seed: u64, length: Duration) -> Self {
        Self {
            seed,
            length,
            overtime: Duration::from_mins(5),
            donors: 16,
            kinds: Kind::ALL.to_vec(),
            restore: None,
            provider: None,
            without: None,
            patience: Duration::from_mins(2),
        }
    }

    /// Puts PostgreSQL back, once, to a copy that is this old by then. Donors give until it is, however long that takes.
    #[must_use]
    pub fn restoring(self, age: Duration) -> Self {
        Self {
            length: self.length.max(Schedule::least_length(age)),
            restore: Some(age),
            ..self
        }
    }

    /// What will go wrong.
    pub fn schedule(&self) -> Schedule {
        let drawn = Schedule::draw(self.seed, self.length, &self.kinds);
        match self.restore {
            Some(age) => drawn.with_restore(self.seed, self.length, age),
            None => drawn,
        }
    }
}

/// Starts the fleet, breaks it while donors give, heals it, lets it come to rest, and audits it. Everything that was
/// started has ended when this returns.
///
/// # Errors
/// When the run could not be carried out, or too little was acknowledged for it to prove anything; a broken promise is
/// no error, but an [`Outcome`].
pub async fn run(options: Options, plan: &Plan) -> Result<Outcome> {
    let run_dir = options.run_dir.clone();
    let mut world = World::start(options, plan.without.as_deref()).await?;
    let state = State::of(&world.fleet(), &world.campaign.to_string(), false, false);
    state.write(&run_dir)?;
    let journal = run_dir.join("journal.jsonl");
    let Loaded {
        mut deaths,
        doubts,
        lost,
    } = load(&world, plan, &journal).await?;
    let healed_at = Clock::system().now();
    world.sources.lost = lost;
    ui::step("everything is healed; waiting until all has settled");
    let (unsettled, mut report) = quiet::rest(&world, plan.patience).await?;
    deaths.extend(late_deaths(&world));
    let matched = Matched::count(&world.sources.database_url, healed_at).await?;
    add(&mut report, "I1", "donors were told both", doubts);
    let what = format!("not settled after {} s", plan.patience.as_secs());
    add(&mut report, "I9", &what, unsettled);
    let tries = journal::tries(&journal)?;
    world.stop();
    let outcome = Outcome {
        matched,
        ..Outcome::new(plan.seed, tries, deaths, report)
    };
    ensure!(
        !outcome.held() || outcome.proves(),
        "too little was acknowledged to prove anything: {outcome}"
    );
    Ok(outcome)
}

/// What became of the load.
struct Loaded {
    /// The processes that ended by themselves.
    deaths: Vec<Death>,
    /// Answers that donors cannot believe.
    doubts: Vec<String>,
    /// What the database has forgotten.
    lost: Option<Lost>,
}

/// Processes that ended by themselves when nothing was broken any more.
fn late_deaths(world: &World) -> Vec<Death> {
    let watch = Watch::default();
    let mut fleet = world.fleet();
    let deaths = std::iter::from_fn(|| fleet.next_death());
    deaths
        .map(|(name, status)| watch.death(&name, status))
        .collect()
}

/// Lets donors give while the schedule is performed, and heals everything.
async fn load(world: &World, plan: &Plan, journal: &std::path::Path) -> Result<Loaded> {
    let schedule = plan.schedule();
    let middle = Instant::now() + plan.length / 2;
    let until = Instant::now() + plan.length;
    let hours = Hours {
        until,
        at_most: until + plan.overtime,
    };
    let client = Arc::new(Client::new(world, journal, hours)?);
    let mut donors = JoinSet::new();
    for donor in 0..plan.donors {
        let client = client.clone();
        let campaign = match donor % 8 {
            3 | 7 => world.doomed,
            5 => world.patient,
            _ => world.campaign,
        };
        let seed = plan.seed.wrapping_mul(1000).wrapping_add(donor);
        let stays = donor < STAYING;
        donors.spawn(async move { donors::give(&client, campaign, seed, stays).await });
    }
    let operator = Operator::new(world, client.clone(), plan.seed);
    donors.spawn(async move { operator.work(middle).await });
    let recovers = plan.without.as_deref() != Some("recovery");
    let mut performer = Performer::new(world, recovers)?;
    tokio::task::block_in_place(|| {
        if let Some(faults) = &plan.provider {
            performer.tell_provider(Some(faults))?;
        }
        performer.perform(&schedule, plan.length)?;
        performer.heal()
    })?;
    while let Some(ended) = donors.join_next().await {
        ended.context("a donor or the operator panicked")??;
    }
    Ok(Loaded {
        deaths: performer.deaths,
        doubts: client.contradictions(),
        lost: performer.lost,
    })
}
