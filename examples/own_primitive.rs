//! A port and two primitives of one's own, beside those that ship: a shop's checkout is switched off by its feature
//! flags while web is exchanged.
//!
//! Shows the plan with what the flags would become, runs it, lets it fail and sees the flags taken back, and reads
//! what is on record. Runs on a simulated site: `cargo run --example own_primitive`.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::{
    collections::BTreeMap,
    io::stdout,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Back, Catalogue, Effect, Ending, Failure, Found, Host, Observe, Operate, Overlay, Plan, Port, Read,
    Refusal, Rehearsed, Start, Undone, WhenUnknown, World, Write,
    report::{self, Detail, Paper},
    sim::Fault,
};

// [port]
/// What can be asked of the flag service.
#[async_trait]
trait FlagsRead: Send + Sync {
    /// `None`: there is no such flag.
    async fn is_on(&self, flag: &str) -> Result<Option<bool>, Failure>;
}

/// What can be changed there.
#[async_trait]
trait Flags: FlagsRead {
    async fn turn(&self, flag: &str, on: bool) -> Result<(), Failure>;
}

struct FlagService;

impl Port for FlagService {
    const NAME: &'static str = "flag service";
    type Read = dyn FlagsRead;
    type Write = dyn Flags;

    fn rehearse(live: Arc<dyn FlagsRead>) -> Option<Rehearsed<Self>> {
        let nothing_yet = Planned { live, turned: BTreeMap::new() };
        Some(Rehearsed::<Self>::new(nothing_yet, |planned| (Arc::new(planned.clone()), Arc::new(planned))))
    }
}
// [/port]

// [rehearsal]
/// The flags as a plan sees them.
#[derive(Clone)]
struct Planned {
    live: Arc<dyn FlagsRead>,
    turned: BTreeMap<String, bool>,
}

#[async_trait]
impl FlagsRead for Overlay<Planned> {
    async fn is_on(&self, flag: &str) -> Result<Option<bool>, Failure> {
        if let Some(on) = self.look(|planned| planned.turned.get(flag).copied()) {
            return Ok(Some(on));
        }
        let live = self.look(|planned| planned.live.clone());
        let found = live.is_on(flag).await?;
        // Somebody turns it before the plan is carried out: then it is no longer this plan.
        self.relies_on(format!("flag `{flag}`"), found.map_or("missing", word));
        Ok(found)
    }
}

#[async_trait]
impl Flags for Overlay<Planned> {
    async fn turn(&self, flag: &str, on: bool) -> Result<(), Failure> {
        let shown = Write::outside(FlagService::NAME, format!("turns `{flag}` {}", word(on)))
            .by_hand(format!("flagctl turn {flag} {}", word(on)));
        self.write(shown, |planned| planned.turned.insert(flag.to_owned(), on));
        Ok(())
    }
}
// [/rehearsal]

/// The service itself. A real one would ask over the network; this one is held in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, bool>>);

impl Memory {
    fn now(&self, flag: &str) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(flag).copied()
    }

    fn set(&self, flag: &str, on: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(flag.to_owned(), on);
    }
}

#[async_trait]
impl FlagsRead for Memory {
    async fn is_on(&self, flag: &str) -> Result<Option<bool>, Failure> {
        Ok(self.now(flag))
    }
}

#[async_trait]
impl Flags for Memory {
    async fn turn(&self, flag: &str, on: bool) -> Result<(), Failure> {
        self.set(flag, on);
        Ok(())
    }
}

// [effect]
/// Turn a feature flag on or off.
///
/// Undo: it is turned to what it was before.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FlagTurn {
    /// The flag's name.
    flag: String,
    /// What it becomes.
    enabled: bool,
}

/// All that doing it, and taking it back years later, needs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Turn {
    flag: String,
    was: bool,
    on: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Turned {
    /// What the flag was before.
    was: bool,
}

impl Effect for FlagTurn {
    const NAME: &'static str = "flag_turn";
    // It touches no database, and starts no release: it can be taken back while their server is down.
    const LEAVES_DATA: bool = true;
    type Intent = Turn;
    type Outcome = Turned;

    fn example() -> Self {
        Self { flag: "checkout".to_owned(), enabled: false }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Turn, Refusal> {
        let Some(was) = site.port::<FlagService>()?.is_on(&self.flag).await? else {
            let failure = Failure::new("no_flag", format!("there is no flag `{}`", self.flag));
            return Err(failure.hint("`flagctl list` shows those that there are").into());
        };
        Ok(Turn { flag: self.flag.clone(), was, on: self.enabled })
    }

    fn summary(intent: &Turn) -> String {
        format!("turn `{}` {}", intent.flag, word(intent.on))
    }

    fn result(outcome: &Turned) -> String {
        format!("turned; it was {}", word(outcome.was))
    }

    fn undo_summary(intent: &Turn) -> String {
        format!("turns `{}` {}", intent.flag, word(intent.was))
    }

    async fn probe(intent: &Turn, site: Observe<'_>) -> Result<Found<Turned>, Failure> {
        let now = site.port::<FlagService>()?.is_on(&intent.flag).await?;
        let done = now == Some(intent.on);
        Ok(if done { Found::Applied(Turned { was: intent.was }) } else { Found::NotApplied })
    }

    async fn execute(intent: &Turn, site: Operate<'_>) -> Result<Turned, Failure> {
        site.port::<FlagService>()?.turn(&intent.flag, intent.on).await?;
        Ok(Turned { was: intent.was })
    }

    async fn undo(intent: &Turn, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        site.port::<FlagService>()?.turn(&intent.flag, intent.was).await?;
        Ok(Undone::restored(format!("turned `{}` {}", intent.flag, word(intent.was))))
    }
}
// [/effect]

// [read]
/// Look whether a feature flag is on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FlagState {
    /// The flag's name.
    flag: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct State {
    /// Whether it is there, and on.
    enabled: bool,
}

impl Read for FlagState {
    const NAME: &'static str = "flag_state";
    type Outcome = State;

    fn example() -> Self {
        Self { flag: "checkout".to_owned() }
    }

    fn summary(&self) -> String {
        format!("look at the flag `{}`", self.flag)
    }

    fn result(outcome: &State) -> String {
        format!("it is {}", word(outcome.enabled))
    }

    async fn look(&self, site: Observe<'_>) -> Result<State, Failure> {
        let on = site.port::<FlagService>()?.is_on(&self.flag).await?;
        Ok(State { enabled: on == Some(true) })
    }
}
// [/read]

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What the program brings with it, in the language that operators read.
const RUNBOOK: &str = r#"
const RUNBOOK = #{
    api: 1,
    summary: "Give web more processes, with nobody in the checkout",
    on_failure: "undo",
    params: #{ processes: #{ type: "number", help: "processes of web" } },
};

step "close" {
    if flag_state(#{ flag: "checkout" }).enabled { flag_turn(#{ flag: "checkout", enabled: false }); }
}

step "exchange" {
    env_set(#{ WEB_CONCURRENCY: `${params::processes}` });
    compose_up(#{ services: [site::web] });
    wait_healthy(#{ service: site::web, stable_for: "10s" });
}

step "open" { flag_turn(#{ flag: "checkout", enabled: true }); }
"#;
const FILE: &str = "/srv/strata/uplift/processes.rhai";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::strata();
    world.put_file(FILE, RUNBOOK, 0o644);
    let flags = Arc::new(Memory::default());
    flags.set("checkout", true);

    // [host]
    // The record is always on a real disk: on a real host it lies in the site folder, and this is left out.
    let state = tempfile::tempdir()?;
    let start = Start { state: Some(state.path().join(".uplift")), ..Start::in_folder("/srv/strata") };
    let host = Host::at(start)
        .catalogue(Catalogue::stock().effect::<FlagTurn>().read::<FlagState>())
        .port::<FlagService>(flags.clone(), flags.clone())
        .ports(world.ports())
        .open()
        .await?;
    // [/host]

    println!("The plan, in which nothing is turned:\n");
    let (plan, ending) = run(&host, "4", |plan| {
        report::plan(&mut Paper::new(Box::new(stdout()), 100, false), plan, Detail::Full);
        assert_eq!(flags.now("checkout"), Some(true), "a plan has turned the flag");
    })
    .await?;
    let shown: Vec<_> =
        plan.steps.iter().flat_map(|step| &step.calls).flat_map(|call| &call.writes).collect();
    let off = Write::outside("flag service", "turns `checkout` off").by_hand("flagctl turn checkout off");
    assert!(shown.contains(&&off), "the plan does not show what becomes of the flag: {shown:?}");
    assert_eq!(ending, Ending::Done);
    assert_eq!(flags.now("checkout"), Some(true));

    println!("\nAnd now web cannot be started:");
    world.fault_at("up web", Fault::FailBefore);
    let (_, ending) = run(&host, "8", |_| ()).await?;
    let Ending::TakenBack { failure, .. } = ending else { return Err(format!("{ending:?}").into()) };
    println!("taken back, because {failure}; the checkout is {}", word(flags.now("checkout") == Some(true)));
    assert_eq!(flags.now("checkout"), Some(true), "the flag was left off");

    println!("\nOn record:");
    let shown = host.show(None)?;
    for call in shown.calls.iter().filter(|call| call.verb == FlagTurn::NAME) {
        println!("{}: {} ({})", call.address, call.summary, call.state);
        println!("    decided: {}", call.intent.as_ref().ok_or("it decided nothing")?);
        assert_eq!(call.undos.len(), 1, "it was taken back once");
    }
    Ok(())
}

async fn run(
    host: &Host,
    processes: &str,
    look: impl FnOnce(&Plan),
) -> Result<(Plan, Ending), Box<dyn std::error::Error>> {
    let given = BTreeMap::from([("processes".to_owned(), processes.to_owned())]);
    let runbook = host.runbook(FILE, &given).await?;
    let plan = runbook.plan().await;
    look(&plan);
    let mut run = runbook.start(plan.clone(), "own_primitive").await?;
    while run.next().await.is_some() {}
    Ok((plan, run.ended().await))
}

#[cfg(test)]
#[test]
fn it_goes_as_it_says() {
    main().unwrap();
}
