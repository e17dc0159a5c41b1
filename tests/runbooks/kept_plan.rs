//! A plan that is kept, and a run that is held to it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue, Ending, Failure, Host, HostError, Plan, Runbook, Start, World, ports::Observe,
    primitives::contract::Read,
};

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

/// Whether this is a run: what no plan can know, so that a run does what is in none.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IsARun {}

impl Read for IsARun {
    const NAME: &'static str = "is_a_run";
    type Outcome = bool;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "look whether this is a run".to_owned()
    }

    fn result(is: &bool) -> String {
        is.to_string()
    }

    async fn look(&self, site: Observe<'_>) -> Result<bool, Failure> {
        Ok(site.run != "plan")
    }
}

/// A site with a runbook that changes more than its plan says, and fails as `on_failure` says.
async fn with_more(night: &Night, on_failure: &str) -> Host {
    let text = format!(
        "const RUNBOOK = #{{ api: 1, summary: \"more\", on_failure: \"{on_failure}\" }};\n\
         step \"one\" {{ compose_stop(#{{ services: [site::job] }}); }}\n\
         step \"two\" {{ if is_a_run() {{ env_set(#{{ WEB_CONCURRENCY: \"9\" }}); }} }}\n"
    );
    night.world.put_file("/srv/strata/more.rhai", text, 0o644);
    let start = Start { dir: Some("/srv/strata".into()), state: Some(night.folder()), project: None };
    let catalogue = Catalogue::stock().read::<IsARun>();
    Host::at(start).ports(night.world.ports()).catalogue(catalogue).open().await.unwrap()
}

async fn more(host: &Host) -> Told {
    let more = host.runbook("/srv/strata/more.rhai", &BTreeMap::new()).await.unwrap();
    let plan = more.plan().await;
    told(more.start_held(plan, "uplift run more.rhai").await.unwrap()).await
}

#[tokio::test]
async fn what_is_not_in_the_plan_is_not_done_and_the_rest_goes_back() {
    let night = Night::of(World::strata());
    let host = with_more(&night, "undo").await;
    let before = night.world.running();
    let told = more(&host).await;
    let Ending::TakenBack { failure, .. } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "not_planned");
    assert!(failure.message.contains("`two/env_set#1`"), "{failure}");
    let now = night.world.running();
    assert_eq!((now.containers, now.files), (before.containers, before.files));
}

/// Who resumes it is held to what was agreed before, however often.
#[tokio::test]
async fn a_run_stays_held_when_it_is_resumed() {
    let night = Night::of(World::strata());
    let host = with_more(&night, "pause").await;
    let mut ending = more(&host).await.ending;
    for _ in 0..2 {
        let Ending::Unfinished { cause: Some(failure), .. } = &ending else { panic!("{ending:?}") };
        assert_eq!(failure.code, "not_planned");
        assert_eq!(night.world.setting("WEB_CONCURRENCY"), None);
        ending = told(host.resume(None, None, "uplift resume").await.unwrap()).await.ending;
    }
}

/// Whoever has cut something out of a plan is told before the run begins.
#[tokio::test]
async fn a_run_that_would_do_more_than_the_plan_does_not_begin() {
    let night = Night::of(World::strata());
    let mut plan = night.plan("1.1.0").await;
    for step in &mut plan.steps {
        step.calls.retain(|call| call.address != "stop/compose_stop#1");
    }
    let failure = refused(&night, "1.1.0", &plan).await;
    assert_eq!(failure.code, "plan_stale");
    let more = "`stop/compose_stop#1` would be done now, and is not in the plan";
    assert!(failure.evidence.iter().any(|line| line == more), "{failure:?}");
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
