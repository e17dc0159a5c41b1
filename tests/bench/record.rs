//! What the record of a run costs: `cargo bench --bench record`. Needs no Docker and two minutes.
//!
//! A runbook of up to 3,000 effects that do nothing, on a simulated site with a real journal on the disk of `target`: what is
//! left is the journal, the script and the lock. Each effect is two transactions that are on the disk before it goes on. The
//! disk's own rate of that is measured beside it, because the figures belong to the disk.
#![expect(clippy::print_stdout, reason = "figures")]
#![expect(clippy::disallowed_methods, reason = "it stands outside of uplift")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue, Ending, Event, Host, Run, Start, World,
    event::{Failure, Refusal},
    ports::{Observe, Operate},
    primitives::contract::{Back, Effect, Found, Undone, WhenUnknown},
};

/// An effect of nothing.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tick {
    n: i64,
}

impl Effect for Tick {
    const NAME: &'static str = "tick";
    type Intent = i64;
    type Outcome = i64;

    fn example() -> Self {
        Self { n: 1 }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, _: Observe<'_>) -> Result<i64, Refusal> {
        Ok(self.n)
    }

    fn result(n: &i64) -> String {
        format!("ticked {n}")
    }

    fn summary(n: &i64) -> String {
        format!("tick {n}")
    }

    fn undo_summary(_: &i64) -> String {
        "nothing".to_owned()
    }

    async fn probe(_: &i64, _: Observe<'_>) -> Result<Found<i64>, Failure> {
        Ok(Found::NotApplied)
    }

    async fn execute(n: &i64, _: Operate<'_>) -> Result<i64, Failure> {
        Ok(*n)
    }

    async fn undo(_: &i64, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("a tick leaves nothing"))
    }
}

/// Counts of effects: the last is ten times the first.
const COUNTS: [u32; 3] = [300, 1_000, 3_000];
/// By how much an effect may cost more in the longest run than in the shortest.
const LINEAR: f64 = 1.5;
/// The most that the plan of the stock upgrade may take on a simulated site.
const PLAN: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    // `cargo test --benches` runs it too, and asks for no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let missed = runtime.block_on(measure());
    for aim in &missed {
        println!("missed: {aim}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> Vec<String> {
    let mut missed = Vec::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("{:8.3} ms  an append that is on this disk before the next", synced(target).as_secs_f64() * 1e3);
    let mut costs = Vec::new();
    for count in COUNTS {
        let (run, replay) = of(count, target).await;
        let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(count);
        println!(
            "{:8.3} ms  each of {count} effects ({:.1} s in all); replayed {:.3} ms each ({:.2} s in all)",
            each(run),
            run.as_secs_f64(),
            each(replay),
            replay.as_secs_f64()
        );
        costs.push((each(run), each(replay)));
    }
    if let [first, .., last] = costs[..] {
        for (what, first, last) in [("an effect", first.0, last.0), ("a replay", first.1, last.1)] {
            let times = last / first;
            println!("{times:8.2} x   {what} of the longest run against one of the shortest");
            if times > LINEAR {
                missed.push(format!("{what} costs {times:.2} times as much in a run ten times as long"));
            }
        }
    }
    let plan = plan().await;
    println!("{:8.1} ms  the plan of the stock upgrade on a simulated site", plan.as_secs_f64() * 1e3);
    if plan > PLAN {
        missed.push(format!("the plan takes {plan:.1?}, and may take {PLAN:.0?}"));
    }
    missed
}

/// One append with everything on the disk, the median of many.
fn synced(folder: &Path) -> Duration {
    let mut file = tempfile::tempfile_in(folder).expect("a file");
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("it is written");
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// How long a run of so many effects takes, and how long its resumption with all but the last answered by the record.
async fn of(count: u32, target: &Path) -> (Duration, Duration) {
    let world = World::strata();
    let text = format!(
        "const RUNBOOK = #{{ api: 1, summary: \"tick\", on_failure: \"pause\" }};\n\
         step \"ticks\" {{ for n in 0..{count} {{ tick(#{{ n: n }}); }} }}\n\
         step \"end\" {{ if site::name != \"\" {{ check_host(); }} }}\n"
    );
    world.put_file("/srv/strata/ticks.rhai", text, 0o644);
    let state = tempfile::tempdir_in(target).expect("a folder");
    let host = host(&world, state.path()).await;
    let ticks = host.runbook("/srv/strata/ticks.rhai", &BTreeMap::new()).await.expect("it is sound");
    let plan = ticks.plan().await;
    let began = Instant::now();
    let run = ticks.start(plan, "uplift run ticks.rhai").await.expect("it begins");
    // Stopped at its last tick, so that it can be taken up again.
    let (took, ending) = stopped(run, &format!("ticks/tick#{count}"), began).await;
    assert!(matches!(ending, Ending::Unfinished { .. }), "{ending:?}");
    let began = Instant::now();
    let mut run = host.resume(None, None, "uplift resume").await.expect("it goes on");
    while run.next().await.is_some() {}
    assert_eq!(run.ended().await, Ending::Done);
    let replayed = began.elapsed();
    drop(host);
    fs::remove_dir_all(state.path()).expect("it is ours");
    (took, replayed)
}

async fn stopped(mut run: Run, last: &str, began: Instant) -> (Duration, Ending) {
    let mut took = Duration::ZERO;
    while let Some(event) = run.next().await {
        if matches!(&event, Event::CallEnded { address, .. } if address == last) {
            took = began.elapsed();
            run.cancel().cancel();
        }
    }
    (took, run.ended().await)
}

async fn host(world: &World, state: &Path) -> Host {
    let start = Start { dir: Some("/srv/strata".into()), state: Some(state.join(".uplift")), project: None };
    let catalogue = Catalogue::stock().effect::<Tick>();
    Host::at(start).ports(world.ports()).catalogue(catalogue).open().await.expect("a site")
}

/// The median of twenty.
async fn plan() -> Duration {
    let world = World::strata();
    let state = tempfile::tempdir().expect("a folder");
    let given: BTreeMap<_, _> = [("to".to_owned(), "1.1.0".to_owned())].into();
    let mut times = Vec::new();
    for _ in 0..20 {
        let host = host(&world, state.path()).await;
        let began = Instant::now();
        let upgrade = host.runbook("compose/upgrade", &given).await.expect("it is sound");
        let plan = upgrade.plan().await;
        assert!(plan.is_complete());
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}
