//! A plan that is kept and a run that is held to it; and what a plan says of the way back.

use uplift::{Ending, Failure, HostError, Plan, Runbook, World, sim::Fault};

use super::night::{Night, Told, given, told};

async fn upgrade(night: &Night, tag: &str) -> Runbook {
    night.host().await.runbook("compose/upgrade", &given(tag)).await.unwrap()
}

/// As `--dry-run -o json` writes it and `--plan` reads it.
fn kept(plan: &Plan) -> Plan {
    Plan::read(&serde_json::to_string(plan).unwrap()).unwrap()
}

async fn held(night: &Night, tag: &str, plan: Plan) -> Result<Told, HostError> {
    let runbook = upgrade(night, tag).await;
    runbook.holds(&plan, &runbook.plan().await)?;
    Ok(told(runbook.start_held(plan, "uplift upgrade").await?).await)
}

async fn refused(night: &Night, tag: &str, plan: &Plan) -> Failure {
    let before = night.world.writes();
    let error = held(night, tag, kept(plan)).await.err().expect("refused");
    assert_eq!(night.world.writes(), before, "nothing was changed");
    error.failure()
}

#[tokio::test]
async fn a_run_that_is_held_to_its_plan_does_all_of_it() {
    let night = Night::of(World::strata());
    let plan = night.plan("1.1.0").await;
    assert_eq!(kept(&plan), plan);
    assert_eq!(held(&night, "1.1.0", kept(&plan)).await.unwrap().ending, Ending::Done);
    assert_eq!(night.runs(), "1.1.0 1.1.0");
    let calls = night.newest().await.1;
    let made: Vec<_> = calls.iter().map(|call| call.address.as_str()).collect();
    assert_eq!(made, plan.addresses());
}

/// The plan as it would be if somebody had not been told of this call.
fn without(mut plan: Plan, address: &str) -> Plan {
    let mut calls = plan.steps.iter_mut().flat_map(|step| &mut step.calls);
    calls.find(|call| call.address == address).expect("it is planned").undo = None;
    plan
}

#[tokio::test]
async fn what_is_not_in_the_plan_is_not_done_and_the_rest_goes_back() {
    let night = Night::of(World::strata());
    let before = night.world.running();
    let plan = without(night.plan("1.1.0").await, "switch web/env_set#1");
    let told = held(&night, "1.1.0", plan).await.unwrap();
    let Ending::TakenBack { failure, .. } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "not_planned");
    assert!(failure.message.contains("`switch web/env_set#1`"), "{failure}");
    let now = night.world.running();
    assert_eq!((now.containers, now.files), (before.containers, before.files));
}

/// Who resumes it is held to what was agreed before.
#[tokio::test]
async fn a_run_stays_held_when_it_is_resumed() {
    let night = Night::of(World::strata());
    let plan = without(night.plan("1.1.0").await, "switch job/compose_up#1");
    let runbook = upgrade(&night, "1.1.0").await;
    let mut run = runbook.start_held(plan, "uplift upgrade").await.unwrap();
    while let Some(event) = run.next().await {
        if matches!(&event, uplift::Event::CallEnded { address, .. } if address == "stop/compose_stop#1") {
            run.cancel().cancel();
        }
    }
    assert!(matches!(run.ended().await, Ending::Interrupted | Ending::Unfinished { .. }));
    let Some(row) = night.unfinished().await else { panic!("it can be resumed") };
    let told = night.resume(None).await;
    let Ending::NeedsPerson { failure: Some(failure), .. } = &told.ending else {
        panic!("{}: {:?}", row.id, told.ending)
    };
    assert_eq!(failure.code, "not_planned");
}

#[tokio::test]
async fn a_plan_of_something_else_is_refused_with_what_differs() {
    let night = Night::of(World::strata());
    let plan = night.plan("1.1.0").await;
    let failure = refused(&night, "1.1.1", &plan).await;
    assert_eq!((failure.code.as_str(), failure.evidence.len()), ("plan_other", 1));
    assert_eq!(failure.evidence[0], "`to`: `1.1.0` in the plan, `1.1.1` here");
    let other = Plan { folder: "/srv/other".into(), ..plan.clone() };
    let failure = refused(&night, "1.1.0", &other).await;
    assert_eq!(failure.evidence, ["site: `/srv/other` in the plan, `/srv/strata` here"]);
    let other = Plan { scripts: "another".to_owned(), ..plan.clone() };
    let failure = refused(&night, "1.1.0", &other).await;
    assert_eq!(failure.evidence, ["the runbook, or what it imports, has another text"]);
    // The site has moved on since.
    night.world.push(uplift::sim::Release::new("1.1.0", &[]));
    assert_eq!(refused(&night, "1.1.0", &plan).await.code, "plan_stale");
}

#[test]
fn what_is_no_plan_is_told_from_one_of_a_later_uplift() {
    for text in ["", "{}", "{\"format\":1}", "[]", "plan: compose/upgrade on `strata`"] {
        let failure = Plan::read(text).expect_err("it is none");
        assert_eq!(failure.code, "plan_unreadable", "{text}");
        assert!(failure.hint.is_some(), "{failure}");
    }
    assert_eq!(Plan::read("{\"format\":2}").expect_err("newer").code, "plan_newer");
}

#[tokio::test]
async fn a_plan_that_leads_nowhere_holds_no_run() {
    let night = Night::of(World::strata());
    let plan = night.plan("9.9.9").await;
    assert_eq!(plan.allows().expect_err("it would fail").code, "plan_incomplete");
}

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

/// An upgrade that is stopped once this call has ended, with the name of its run.
async fn stopped_after(night: &Night, last: &str) -> String {
    let runbook = upgrade(night, "1.1.0").await;
    let mut run = runbook.start(runbook.plan().await, "uplift upgrade").await.unwrap();
    while let Some(event) = run.next().await {
        if matches!(&event, uplift::Event::CallEnded { address, .. } if address == last) {
            run.cancel().cancel();
        }
    }
    let ending = run.ended().await;
    assert!(matches!(ending, Ending::Unfinished { .. }), "{ending:?}");
    night.unfinished().await.expect("it is not over").id
}

#[tokio::test]
async fn what_is_left_of_a_run_is_planned_as_it_is_then_done() {
    for last in ["stop/compose_stop#1", "migrate in the dark/compose_trial#1", "switch web/compose_up#1"] {
        let night = Night::of(World::strata());
        let run = stopped_after(&night, last).await;
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
    for last in ["stop/compose_stop#1", "migrate in the dark/pg_savepoint#1", "switch web/compose_up#1"] {
        // What was stopped is taken back each way that there is, on a site of its own.
        for at in 0.. {
            let night = Night::of(World::strata());
            let run = stopped_after(&night, last).await;
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
