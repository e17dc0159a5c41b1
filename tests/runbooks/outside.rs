//! Ports that another program brings, in plans and on the way back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Back, Catalogue, Change, Effect, Ending, Failure, Found, Host, HostError, Observe, Operate, Overlay,
    PlanEnd, Port, Refusal, Rehearsed, Runbook, Start, Undone, WhenUnknown, World, Write,
};

/// A switch that stands on a number.
trait SwitchRead: Send + Sync {
    fn stands_on(&self) -> u8;
}
#[async_trait]
trait Switch: SwitchRead {
    async fn turn(&self, to: u8);
}

struct Plain;
struct WithTwin;

impl Port for Plain {
    const NAME: &'static str = "plain switch";
    type Read = dyn SwitchRead;
    type Write = dyn Switch;
}

impl Port for WithTwin {
    const NAME: &'static str = "switch";
    type Read = dyn SwitchRead;
    type Write = dyn Switch;

    fn rehearse(live: Arc<dyn SwitchRead>) -> Option<Rehearsed<Self>> {
        let planned = Planned { live, to: None };
        Some(Rehearsed::<Self>::new(planned, |planned| (Arc::new(planned.clone()), Arc::new(planned))))
    }
}

#[derive(Clone)]
struct Planned {
    live: Arc<dyn SwitchRead>,
    to: Option<u8>,
}

impl SwitchRead for Overlay<Planned> {
    fn stands_on(&self) -> u8 {
        self.look(|planned| planned.to).unwrap_or_else(|| {
            let found = self.look(|planned| planned.live.stands_on());
            self.relies_on("the switch", found.to_string());
            found
        })
    }
}

#[async_trait]
impl Switch for Overlay<Planned> {
    async fn turn(&self, to: u8) {
        self.assume("nobody leans on it");
        self.write(Write::outside("switch", format!("turns to {to}")), |planned| planned.to = Some(to));
    }
}

/// The real one, with all that it was turned to.
struct Real(Mutex<Vec<u8>>);

impl SwitchRead for Real {
    fn stands_on(&self) -> u8 {
        *self.0.lock().unwrap().last().unwrap()
    }
}

#[async_trait]
impl Switch for Real {
    async fn turn(&self, to: u8) {
        assert_ne!(to, 9, "it has no such place");
        self.0.lock().unwrap().push(to);
    }
}

/// Turn the switch.
///
/// Undo: it is turned back.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Turn<const TWIN: bool> {
    /// To what.
    to: u8,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Turning {
    from: u8,
    to: u8,
}

fn read<const TWIN: bool>(site: Observe<'_>) -> Result<Arc<dyn SwitchRead>, Failure> {
    if TWIN { site.port::<WithTwin>() } else { site.port::<Plain>() }
}

async fn turn<const TWIN: bool>(to: u8, site: Operate<'_>) -> Result<(), Failure> {
    let switch = if TWIN { site.port::<WithTwin>() } else { site.port::<Plain>() };
    switch?.turn(to).await;
    Ok(())
}

impl<const TWIN: bool> Effect for Turn<TWIN> {
    const NAME: &'static str = "turn";
    type Intent = Turning;
    type Outcome = ();

    fn example() -> Self {
        Self { to: 2 }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Turning, Refusal> {
        Ok(Turning { from: read::<TWIN>(site)?.stands_on(), to: self.to })
    }

    fn summary(intent: &Turning) -> String {
        format!("turn from {} to {}", intent.from, intent.to)
    }

    fn result((): &()) -> String {
        "turned".to_owned()
    }

    fn undo_summary(intent: &Turning) -> String {
        format!("turns back to {}", intent.from)
    }

    async fn probe(_: &Turning, _: Observe<'_>) -> Result<Found<()>, Failure> {
        Ok(Found::CannotTell("it is not asked".to_owned()))
    }

    async fn execute(intent: &Turning, site: Operate<'_>) -> Result<(), Failure> {
        turn::<TWIN>(intent.to, site).await
    }

    async fn undo(intent: &Turning, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let from = read::<TWIN>(site.observe())?.stands_on();
        turn::<TWIN>(intent.from, site).await?;
        Ok(Undone::restored(format!("turned from {from} to {}", intent.from)))
    }
}

const BOOK: &str = r#"
const RUNBOOK = #{ api: 1, summary: "turn it twice", on_failure: "undo" };
step "first" { turn(#{ to: 2 }); }
step "job" { compose_stop(#{ services: [site::job] }); compose_up(#{ services: [site::job] }); }
step "second" { try { turn(#{ to: 3 }); } catch (e) { print(e.code); } }
"#;
const FILE: &str = "/srv/strata/turn.rhai";

struct Place {
    world: World,
    switch: Arc<Real>,
    state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let world = World::strata();
        world.put_file(FILE, BOOK, 0o644);
        Self { world, switch: Arc::new(Real(Mutex::new(vec![1]))), state: super::night::folder() }
    }

    async fn host<const TWIN: bool>(&self, brought: bool) -> Host {
        let start =
            Start { state: Some(self.state.path().join(".uplift")), ..Start::in_folder("/srv/strata") };
        let host =
            Host::at(start).catalogue(Catalogue::stock().effect::<Turn<TWIN>>()).ports(self.world.ports());
        let (read, write) = (self.switch.clone(), self.switch.clone());
        let host = match (brought, TWIN) {
            (false, _) => host,
            (true, true) => host.port::<WithTwin>(read, write),
            (true, false) => host.port::<Plain>(read, write),
        };
        host.open().await.unwrap()
    }

    async fn book<const TWIN: bool>(&self, brought: bool) -> Runbook {
        self.host::<TWIN>(brought).await.runbook(FILE, &BTreeMap::new()).await.unwrap()
    }

    fn turned(&self) -> Vec<u8> {
        self.switch.0.lock().unwrap().clone()
    }
}

fn shown(writes: &[Write]) -> Vec<String> {
    let outside = writes.iter().filter_map(|write| match &write.change {
        Change::Outside { port, what } => Some(format!("{port}: {what}")),
        _ => None,
    });
    outside.collect()
}

#[tokio::test]
async fn a_plan_shows_what_a_rehearsed_port_would_do_and_how_it_goes_back() {
    let place = Place::new();
    let book = place.book::<true>(true).await;
    let plan = book.plan().await;
    assert_eq!(plan.end, PlanEnd::Complete);
    let calls: Vec<_> = plan.steps.iter().flat_map(|step| &step.calls).collect();
    let turns: Vec<_> = calls.iter().filter(|call| call.address.contains("/turn#")).collect();
    assert_eq!(shown(&turns[0].writes), ["switch: turns to 2"]);
    assert_eq!(shown(&turns[1].writes), ["switch: turns to 3"]);
    assert_eq!(turns[1].summary, "turn from 2 to 3", "later looks see what was written");
    assert_eq!(turns[0].assumed, ["nobody leans on it"]);
    assert_eq!(turns[0].relies_on, [("the switch".to_owned(), "1".to_owned())]);
    let way = &plan.going_back.as_ref().unwrap().ways[0];
    let back: Vec<_> = way.calls.iter().map(|call| shown(&call.writes)).filter(|it| !it.is_empty()).collect();
    assert_eq!(back, [["switch: turns to 2"], ["switch: turns to 1"]]);
    assert_eq!(
        way.calls[0].undo.as_deref(),
        Some("turned from 3 to 2"),
        "a way back begins where the plan ends"
    );
    assert_eq!(place.turned(), [1], "nothing is written by a plan");
    let mut run = book.start(plan.clone(), "test").await.unwrap();
    while run.next().await.is_some() {}
    assert_eq!(run.ended().await, Ending::Done);
    let host = place.host::<true>(true).await;
    let done: Vec<_> = host.show(None).unwrap().calls.into_iter().map(|call| call.address).collect();
    assert_eq!(done, plan.addresses(), "plan and run agree");
    assert_eq!(place.turned(), [1, 2, 3]);
}

#[tokio::test]
async fn a_plan_of_another_switch_is_stale() {
    let place = Place::new();
    let book = place.book::<true>(true).await;
    let plan = book.plan().await;
    place.switch.turn(7).await;
    let Err(HostError::Stale { changes }) = book.start(plan, "test").await else { panic!("it was begun") };
    assert_eq!(changes, ["the switch was `1` and is `7` now"]);
}

/// No runbook catches it: what comes after it is not known either.
#[tokio::test]
async fn a_port_without_a_rehearsal_ends_the_plan_in_words_and_runs_all_the_same() {
    let place = Place::new();
    let book = place.book::<false>(true).await;
    let plan = book.plan().await;
    let PlanEnd::Unknown { why } = &plan.end else { panic!("{:?}", plan.end) };
    assert!(why.contains("what the plain switch does is known once it is done"), "{why}");
    assert_eq!(plan.addresses(), ["first/turn#1"]);
    assert_eq!(place.turned(), [1]);
    let run = book.start(plan, "test").await.unwrap();
    assert_eq!(run.ended().await, Ending::Done);
    assert_eq!(place.turned(), [1, 2, 3]);
}

/// It is no failure that would leave the run stuck: nobody can know before.
#[tokio::test]
async fn nor_is_its_way_back_known_before() {
    let place = Place::new();
    let book = place.book::<false>(true).await;
    let plan = book.plan().await;
    let mut run = book.start(plan, "test").await.unwrap();
    let cancel = run.cancel().clone();
    place.world.watch(move |moment| {
        if moment.line == "stop job" {
            cancel.cancel();
        }
    });
    while run.next().await.is_some() {}
    let ending = run.ended().await;
    assert!(matches!(ending, Ending::Unfinished { .. }), "{ending:?}");
    let host = place.host::<false>(true).await;
    let open = host.unfinished().unwrap().unwrap();
    let back = host.plan_back(&open.id).await.unwrap();
    let way = back.ways.last().unwrap();
    assert_eq!(way.fails, None);
    assert!(way.unknown.as_ref().is_some_and(|why| why.contains("plain switch")), "{way:?}");
    host.rollback(None, None, "test").await.unwrap().ended().await;
    assert_eq!(place.switch.stands_on(), 1);
}

/// The program goes on, and the site goes back.
#[tokio::test]
async fn a_primitive_that_panics_is_a_failure() {
    let place = Place::new();
    let caught = "try { turn(#{ to: 3 }); } catch (e) { print(e.code); }";
    place.world.put_file(FILE, BOOK.replace(caught, "turn(#{ to: 9 });"), 0o644);
    let book = place.book::<false>(true).await;
    let plan = book.plan().await;
    let ending = book.start(plan, "test").await.unwrap().ended().await;
    let Ending::TakenBack { failure, .. } = &ending else { panic!("{ending:?}") };
    assert_eq!(failure.code, "primitive_panicked");
    assert!(
        failure.message.contains("`turn` panicked") && failure.message.contains("no such place"),
        "{failure:?}"
    );
    assert_eq!(place.switch.stands_on(), 1);
}

#[tokio::test]
async fn a_port_that_was_not_brought_is_named() {
    let place = Place::new();
    let plan = place.book::<true>(false).await.plan().await;
    let PlanEnd::Fails { failure, .. } = &plan.end else { panic!("{:?}", plan.end) };
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("port_missing", "this program brings no switch")
    );
}

/// Those of the world and those of the builder are both there.
#[tokio::test]
async fn ports_come_with_a_world_too() {
    let place = Place::new();
    let mut ports = place.world.ports();
    ports.outside = ports.outside.with::<WithTwin>(place.switch.clone(), place.switch.clone());
    let start = Start { state: Some(place.state.path().join(".uplift")), ..Start::in_folder("/srv/strata") };
    let catalogue = Catalogue::stock().effect::<Turn<true>>();
    let host = Host::at(start).catalogue(catalogue).ports(ports).open().await.unwrap();
    let plan = host.runbook(FILE, &BTreeMap::new()).await.unwrap().plan().await;
    assert_eq!(plan.end, PlanEnd::Complete);
}
