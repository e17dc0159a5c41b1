//! What a plan says of the way back, of the room, and of the rest of a run: it is what then happens.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue, Ending, Failure, Host, Start, World,
    event::Refusal,
    ports::{Observe, Operate},
    primitives::contract::{Back, Effect, Found, Undone, WhenUnknown},
    sim::Fault,
};

use super::night::{Night, given, told};

/// Where the plan says that a person is asked from, and where one really is.
#[tokio::test]
async fn the_plan_says_from_where_on_a_person_is_asked() {
    let night = Night::of(World::strata());
    let back = night.plan("1.1.0").await.going_back.expect("it changes the site");
    assert!(back.by_itself);
    assert_eq!(back.asks_from.as_deref(), Some("switch web/compose_up#1"));
    let keys: Vec<_> = back.ways.iter().map(|way| way.choice.as_ref().unwrap().key.as_str()).collect();
    assert_eq!(keys, ["restore-data", "return-code"]);
    for way in &back.ways {
        assert_eq!(way.unknown, None);
        let away: Vec<_> = way.downtime.iter().map(|down| down.service.as_str()).collect();
        assert_eq!(away, ["web", "job"]);
    }
    for (line, asks) in [("write /srv/strata/.env", false), ("up web", true)] {
        let night = Night::of(World::strata());
        night.world.fault_at(line, Fault::FailAfter);
        let told = night.upgrade("1.1.0").await;
        let asked = told.ending.question().map(|question| question.choices.len());
        assert_eq!(asked, asks.then_some(3), "{line}: {:?}", told.ending);
    }
}

/// Nothing was migrated: at no point is anybody asked.
#[tokio::test]
async fn a_release_on_the_same_schema_goes_back_by_itself_to_the_end() {
    let night = Night::at_1_1_0().await;
    night.world.pulled("1.1.1");
    let back = night.plan("1.1.1").await.going_back.expect("it changes the site");
    assert_eq!((back.asks_from, back.ways.len()), (None, 1));
    assert_eq!(back.ways[0].choice, None);
    assert!(back.ways[0].downtime.iter().all(|down| down.millis > 0), "{:?}", back.ways);
}

#[tokio::test]
async fn the_plan_tells_what_it_takes_on_each_disk_and_what_is_free() {
    let night = Night::of(World::strata());
    let plan = night.plan("1.1.0").await;
    let room = |what: &str| {
        let one = plan.room.iter().find(|room| room.what == [what]);
        one.unwrap_or_else(|| panic!("{what}: {:?}", plan.room)).clone()
    };
    let (backups, images) = (room("backups and kept copies"), room("images"));
    let copies = room("copies on the database server");
    night.upgrade("1.1.0").await;
    let made = |name: &str| night.world.database(name).expect("it is there").facts.size;
    let names = ["", "_queue", "_cache", "_cable"].map(|end| format!("strata_production{end}"));
    assert_eq!(copies.needed, names.iter().map(|name| made(name)).sum::<u64>(), "as large as what is copied");
    assert_eq!(images.needed, 412 << 20, "as large as the image that runs");
    assert!(backups.needed > 0 && backups.free > Some(backups.needed), "{backups:?}");
}

#[tokio::test]
async fn what_is_left_of_a_run_is_planned_as_it_is_then_done() {
    for last in ["stop web", "run strata-trial", "up web"] {
        let night = Night::of(World::strata());
        let run = night.stopped_at("compose/upgrade", &given("1.1.0"), last).await;
        let (writes, before) = (night.world.writes(), night.newest().await.1);
        let plan = night.host().await.plan_on(&run).await.unwrap();
        assert_eq!((night.world.writes(), plan.goes_on.as_deref()), (writes, Some(run.as_str())));
        assert_eq!(plan.end, uplift::run::PlanEnd::Complete);
        let down: Vec<_> = plan.downtime.iter().map(|down| down.service.as_str()).collect();
        if last.starts_with("stop") {
            assert_eq!(down, ["web", "job"]);
        }
        assert_eq!(night.resume(None).await.ending, Ending::Done, "{last}");
        let after = night.newest().await.1;
        let over = |call: &&uplift::journal::Entry| {
            before.iter().any(|one| one.seq == call.seq && !one.state.open())
        };
        let made: Vec<_> =
            after.iter().filter(|call| !over(call)).map(|call| call.address.as_str()).collect();
        assert_eq!(made, plan.addresses(), "{last}");
    }
}

#[tokio::test]
async fn going_back_is_planned_as_it_is_then_done() {
    let mut tried = std::collections::BTreeSet::new();
    for last in ["stop web", "copy strata_production", "up web"] {
        // What was stopped is taken back each way that there is, on a site of its own.
        for at in 0.. {
            let night = Night::of(World::strata());
            let run = night.stopped_at("compose/upgrade", &given("1.1.0"), last).await;
            let writes = night.world.writes();
            let back = night.host().await.plan_back(&run).await.unwrap();
            assert_eq!(night.world.writes(), writes, "nothing was changed");
            let Some(way) = back.ways.get(at) else { break };
            assert_eq!(way.unknown, None);
            let choice = way.choice.as_ref().map(|choice| choice.key.as_str());
            tried.insert(choice.map(str::to_owned));
            taken_back_as(way, choice, &night).await;
        }
    }
    let all = [None, Some("restore-data".to_owned()), Some("return-code".to_owned())];
    assert_eq!(tried, all.into());
}

async fn taken_back_as(way: &uplift::run::WayBack, choice: Option<&str>, night: &Night) {
    let mut told = night.rollback(None).await;
    if choice.is_some() {
        assert!(told.ending.question().is_some(), "{:?}", told.ending);
        told = night.rollback(choice).await;
    }
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    let undone = |event: &uplift::Event| match event {
        uplift::Event::Undone { address, result, .. } => Some((address.clone(), result.clone())),
        _ => None,
    };
    let done: Vec<_> = told.events.iter().filter_map(undone).collect();
    let planned: Vec<_> =
        way.calls.iter().map(|call| (call.address.clone(), call.undo.clone().unwrap())).collect();
    assert_eq!(done.len(), planned.len(), "{choice:?}");
    for (done, planned) in done.iter().zip(&planned) {
        // Whether the release has changed an uploaded file is known once they are read: the plan takes the worse.
        if choice.is_some() || !planned.0.ends_with("storage_savepoint#1") {
            assert_eq!(done, planned, "{choice:?}");
        }
    }
}

/// An effect that is refused while a file is there, and has something to decide.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Careful {}

const HOLD: &str = "/srv/strata/hold";

impl Effect for Careful {
    const NAME: &'static str = "careful";
    type Intent = String;
    type Outcome = String;

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<String, Refusal> {
        if site.files.size(HOLD.as_ref()).await?.is_some() {
            return Err(Refusal(Failure::new("held", "somebody holds it")));
        }
        Ok("decided".to_owned())
    }

    fn summary(intent: &String) -> String {
        intent.clone()
    }

    fn result(outcome: &String) -> String {
        outcome.clone()
    }

    fn undo_summary(_: &String) -> String {
        "nothing".to_owned()
    }

    async fn probe(_: &String, _: Observe<'_>) -> Result<Found<String>, Failure> {
        Ok(Found::NotApplied)
    }

    async fn execute(intent: &String, _: Operate<'_>) -> Result<String, Failure> {
        Ok(intent.clone())
    }

    async fn undo(_: &String, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("there is nothing of it"))
    }
}

const TWO: &str = r#"
const RUNBOOK = #{ api: 1, summary: "stop, and be careful", on_failure: "pause" };

step "one" { compose_stop(#{ services: [site::job] }); }
step "two" { careful(); }
"#;

/// It was refused, so that nothing was decided: going on decides it anew, does it, and knows how to take it back.
#[tokio::test]
async fn what_was_refused_is_decided_when_the_run_goes_on() {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/two.rhai", TWO, 0o644);
    night.world.put_file(HOLD, "", 0o644);
    let start = Start { dir: Some("/srv/strata".into()), state: Some(night.folder()), project: None };
    let catalogue = Catalogue::stock().effect::<Careful>();
    let host = Host::at(start).ports(night.world.ports()).catalogue(catalogue).open().await.unwrap();
    let two = host.runbook("/srv/strata/two.rhai", &BTreeMap::new()).await.unwrap();
    let refused = told(two.start(two.plan().await, "uplift run two.rhai").await.unwrap()).await;
    let Ending::Unfinished { cause: Some(failure), .. } = &refused.ending else {
        panic!("{:?}", refused.ending)
    };
    assert_eq!(failure.code, "held");
    night.world.remove_file(HOLD);
    let run = night.unfinished().await.unwrap().id;
    assert_eq!(host.plan_on(&run).await.unwrap().addresses(), ["two/careful#1"]);
    let on = told(host.resume(None, None, "uplift resume").await.unwrap()).await;
    assert_eq!(on.ending, Ending::Done);
    let call = night.newest().await.1.pop().unwrap();
    assert_eq!(call.intent, Some("decided".into()), "what was decided is recorded");
}

/// The rest of a run that did not stop cleanly is planned as it is then done.
#[tokio::test]
async fn the_rest_after_a_fault_is_planned_as_it_is_then_done() {
    let mut tried = 0;
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter] {
        for line in ["up job", "up job: create"] {
            let night = Night::of(World::strata());
            night.world.fault_at(line, fault);
            let told = night.upgrade("1.1.0").await;
            let Some(run) = night.unfinished().await else { continue };
            tried += 1;
            let before = night.newest().await.1;
            let plan = night.host().await.plan_on(&run.id).await.unwrap();
            let on = night.resume(None).await;
            let at = format!("{fault:?} at `{line}`: {:?}", told.ending);
            assert_eq!(on.ending == Ending::Done, plan.is_complete(), "{at}: {:?}", plan.end);
            let answered = |call: &&uplift::journal::Entry| {
                before
                    .iter()
                    .any(|one| one.seq == call.seq && one.answer().is_some_and(|answer| answer.is_ok()))
            };
            let after = night.newest().await.1;
            let made: Vec<_> =
                after.iter().filter(|call| !answered(call)).map(|call| call.address.as_str()).collect();
            assert_eq!(made, plan.addresses(), "{at}");
        }
    }
    assert!(tried >= 4, "only {tried} runs stood still");
}

/// What is on its way back does not go on, and its plan says no more than that.
#[tokio::test]
async fn a_run_on_its_way_back_has_no_rest() {
    let night = Night::of(World::strata());
    night.world.fault_at("rename strata_production to", Fault::StopsServer);
    let told = night.upgrade("1.3.0").await;
    let run = night.unfinished().await.unwrap_or_else(|| panic!("{:?}", told.ending)).id;
    let failure = night.host().await.plan_on(&run).await.expect_err("refused").failure();
    assert_eq!(failure.code, "being_taken_back");
}

/// Without copies on the server a release that migrates in the dark cannot be taken back without a person.
#[tokio::test]
async fn without_a_savepoint_the_plan_says_that_a_person_is_asked_from_the_trial_on() {
    let night = Night::of(World::strata());
    let runbook = night.host().await;
    let mut never = given("1.3.0");
    never.insert("savepoint".to_owned(), "never".to_owned());
    let runbook = runbook.runbook("compose/upgrade", &never).await.unwrap();
    let plan = runbook.plan().await;
    let back = plan.going_back.as_ref().expect("it changes the site");
    assert_eq!(back.asks_from.as_deref(), Some("migrate in the dark/compose_trial#1"));
    let told = told(runbook.start(plan, "uplift upgrade").await.unwrap()).await;
    assert!(told.ending.question().is_some(), "and so it is: {:?}", told.ending);
}
