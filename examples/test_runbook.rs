//! How a crate tests a runbook of its own, on a site that exists in memory only: no engine, no network, and a minute of
//! waiting takes no time.
//!
//! In your crate this is a file in `tests/`. Here: `cargo test --example test_runbook`.
#![cfg_attr(not(test), expect(dead_code, unused_imports, reason = "all of it is for tests"))]

use std::collections::BTreeMap;

use uplift::{Ending, Event, Host, HostError, Plan, PlanEnd, Run, Runbook, Start, World, sim::Fault};

/// Most often a file of the crate: `include_str!("../uplift/processes.rhai")`.
const RUNBOOK: &str = r#"
const RUNBOOK = #{
    api: 1,
    summary: "Give web another number of processes",
    on_failure: "undo",
    params: #{ processes: #{ type: "number", help: "processes of web" } },
};

step "set" { env_set(#{ WEB_CONCURRENCY: `${params::processes}` }); }

step "exchange" {
    compose_up(#{ services: [site::web] });
    wait_healthy(#{ service: site::web, stable_for: "1m" });
}
"#;

// [site]
/// A simulated site with the runbook in its folder.
struct Site {
    world: World,
    /// The record of the runs is a real one, in real files.
    state: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let world = World::strata();
        world.put_file("/srv/strata/uplift/processes.rhai", RUNBOOK, 0o644);
        Self { world, state: tempfile::tempdir().expect("a folder") }
    }

    async fn host(&self) -> Host {
        let state = Some(self.state.path().join(".uplift"));
        let start = Start { state, ..Start::in_folder("/srv/strata") };
        Host::at(start).ports(self.world.ports()).open().await.expect("a site")
    }

    async fn plan(&self, processes: &str) -> Result<(Runbook, Plan), HostError> {
        let given = BTreeMap::from([("processes".to_owned(), processes.to_owned())]);
        let runbook = self.host().await.runbook("processes", &given).await?;
        let plan = runbook.plan().await;
        Ok((runbook, plan))
    }

    async fn begin(&self, processes: &str) -> Result<Run, HostError> {
        let (runbook, plan) = self.plan(processes).await?;
        runbook.start(plan, "test").await
    }

    async fn run(&self, processes: &str) -> Result<Ending, HostError> {
        Ok(self.begin(processes).await?.ended().await)
    }
}
// [/site]

// [tests]
#[tokio::test]
async fn it_sets_what_was_asked_for() {
    let site = Site::new();
    assert_eq!(site.run("4").await.unwrap(), Ending::Done);
    assert_eq!(site.world.setting("WEB_CONCURRENCY").as_deref(), Some("4"));
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_would() {
    let site = Site::new();
    let before = site.world.running();
    let (_, plan) = site.plan("4").await.unwrap();
    assert_eq!(plan.end, PlanEnd::Complete);
    assert!(plan.downtime.iter().any(|one| one.service == "web"), "web is away: {:?}", plan.downtime);
    assert_eq!(site.world.running(), before);
}

#[tokio::test]
async fn whatever_goes_wrong_the_site_is_as_before() {
    // How much it writes if all goes well: each of these may be the one that fails.
    let site = Site::new();
    site.run("4").await.unwrap();
    let mut taken_back = 0;
    for n in 1..=site.world.writes() {
        let site = Site::new();
        let before = site.world.running();
        site.world.fault(n, Fault::FailAfter);
        // An error: it was not even begun.
        let ending = site.run("4").await;
        taken_back += usize::from(matches!(ending, Ok(Ending::TakenBack { .. })));
        if !matches!(ending, Ok(Ending::Done)) {
            assert_eq!(site.world.running(), before, "write {n} failed: {ending:?}");
        }
    }
    assert!(taken_back > 0, "no fault has met a change");
}

#[tokio::test]
async fn half_way_through_it_can_be_taken_back() {
    let site = Site::new();
    let before = site.world.running();
    let mut run = site.begin("4").await.unwrap();
    while let Some(event) = run.next().await {
        if matches!(event, Event::CallEnded { .. }) {
            run.cancel().cancel();
        }
    }
    assert!(matches!(run.ended().await, Ending::Unfinished { .. }));
    assert_eq!(site.world.setting("WEB_CONCURRENCY").as_deref(), Some("4"));
    // As an operator types it later: in another process, with the site found anew.
    let ending = site.host().await.rollback(None, None, "test").await.unwrap().ended().await;
    assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
    assert_eq!(site.world.running(), before);
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_is_touched() {
    let site = Site::new();
    let Err(error) = site.plan("no number").await else { panic!("it was taken") };
    assert_eq!(error.exit().code(), 2, "{error}");
    assert_eq!(site.world.writes(), 0);
}
// [/tests]

/// As an example this file has to have a beginning.
#[cfg(not(test))]
fn main() {}
