//! A bell that rings while web is exchanged: host, catalogue, port and its rehearsal, effect and world, from outside.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Back, Catalogue, Effect, Ending, Failure, Found, Host, Observe, Operate, Overlay, PlanEnd, Port, Refusal,
    Rehearsed, Start, Undone, WhenUnknown, World, Write, sim::Fault,
};

#[async_trait]
trait BellRead: Send + Sync {
    async fn rings(&self) -> bool;
}
#[async_trait]
trait Bell: BellRead {
    async fn ring(&self, on: bool);
}

struct Tower;

impl Port for Tower {
    const NAME: &'static str = "bell";
    type Read = dyn BellRead;
    type Write = dyn Bell;

    fn rehearse(live: Arc<dyn BellRead>) -> Option<Rehearsed<Self>> {
        let silent = Planned { live, rings: None };
        Some(Rehearsed::<Self>::new(silent, |planned| (Arc::new(planned.clone()), Arc::new(planned))))
    }
}

#[derive(Clone)]
struct Planned {
    live: Arc<dyn BellRead>,
    rings: Option<bool>,
}

#[async_trait]
impl BellRead for Overlay<Planned> {
    async fn rings(&self) -> bool {
        let (planned, live) = self.look(|planned| (planned.rings, planned.live.clone()));
        match planned {
            Some(rings) => rings,
            None => live.rings().await,
        }
    }
}

#[async_trait]
impl Bell for Overlay<Planned> {
    async fn ring(&self, on: bool) {
        self.write(Write::outside(Tower::NAME, said(on)), |planned| planned.rings = Some(on));
    }
}

struct Real(Mutex<bool>);

#[async_trait]
impl BellRead for Real {
    async fn rings(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

#[async_trait]
impl Bell for Real {
    async fn ring(&self, on: bool) {
        *self.0.lock().unwrap() = on;
    }
}

fn said(on: bool) -> &'static str {
    if on { "rings" } else { "is silent" }
}

/// Let the bell ring, or not.
///
/// Undo: it does what it did before.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BellRing {
    /// Whether it rings.
    ringing: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Change {
    was: bool,
    is: bool,
}

impl Effect for BellRing {
    const NAME: &'static str = "bell_ring";
    type Intent = Change;
    type Outcome = ();

    fn example() -> Self {
        Self { ringing: true }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Change, Refusal> {
        Ok(Change { was: site.port::<Tower>()?.rings().await, is: self.ringing })
    }

    fn summary(intent: &Change) -> String {
        format!("the bell {}", said(intent.is))
    }

    fn result((): &()) -> String {
        "done".to_owned()
    }

    fn undo_summary(intent: &Change) -> String {
        format!("the bell {} again", said(intent.was))
    }

    async fn probe(intent: &Change, site: Observe<'_>) -> Result<Found<()>, Failure> {
        let done = site.port::<Tower>()?.rings().await == intent.is;
        Ok(if done { Found::Applied(()) } else { Found::NotApplied })
    }

    async fn execute(intent: &Change, site: Operate<'_>) -> Result<(), Failure> {
        site.port::<Tower>()?.ring(intent.is).await;
        Ok(())
    }

    async fn undo(intent: &Change, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        site.port::<Tower>()?.ring(intent.was).await;
        Ok(Undone::restored(Self::undo_summary(intent)))
    }
}

const BOOK: &str = r#"
const RUNBOOK = #{ api: 1, summary: "exchange web while the bell rings", on_failure: "undo" };
step "ring" { bell_ring(#{ ringing: true }); }
step "web" { compose_stop(#{ services: [site::web] }); compose_up(#{ services: [site::web] }); }
step "hush" { bell_ring(#{ ringing: false }); }
"#;
const FILE: &str = "/srv/strata/uplift/bell.rhai";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (world, bell) = (World::strata(), Arc::new(Real(Mutex::new(false))));
    world.put_file(FILE, BOOK, 0o644);
    let state = std::env::temp_dir().join(format!("uplift-outside-{}", std::process::id()));
    let start = Start { state: Some(state.clone()), ..Start::in_folder("/srv/strata") };
    let catalogue = Catalogue::stock().effect::<BellRing>();
    let host = Host::at(start).catalogue(catalogue).port::<Tower>(bell.clone(), bell.clone());
    let host = host.ports(world.ports()).open().await?;

    // What is written here has to go over to other threads, with rhai's `sync` and without.
    let done = tokio::spawn(story(host, world, bell)).await?;
    std::fs::remove_dir_all(state).or_else(|error| {
        if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
    })?;
    done?;
    println!("planned, run, and taken back");
    Ok(())
}

async fn story(host: Host, world: World, bell: Arc<Real>) -> Result<(), String> {
    let said = |error: uplift::HostError| format!("{}: {error}", error.failure().code);
    let book = host.runbook(FILE, &BTreeMap::new()).await.map_err(said)?;
    let plan = book.plan().await;
    if plan.end != PlanEnd::Complete || bell.rings().await {
        return Err(format!("planned: {:?}", plan.end));
    }
    let ending = book.start(plan, "outside").await.map_err(said)?.ended().await;
    if ending != Ending::Done {
        return Err(format!("run: {ending:?}"));
    }
    world.fault_at("up web", Fault::FailBefore);
    let plan = book.plan().await;
    let ending = book.start(plan, "outside").await.map_err(said)?.ended().await;
    match ending {
        Ending::TakenBack { .. } if !bell.rings().await => Ok(()),
        other => Err(format!("taken back: {other:?}, and the bell {}", self::said(bell.rings().await))),
    }
}
