//! The record of earlier runs, asked as a primitive asks it: on a site that has one, and on the one that the laws make up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue, Host, Start, World,
    event::Failure,
    ports::{
        Observe,
        points::{Points, PointsRead},
    },
    primitives::contract::Read,
    run::PlanEnd,
};

/// What holds of every record; how many of its runs can be returned from.
fn tried(points: &dyn PointsRead) -> Result<usize, Failure> {
    let (runs, all) = (points.runs()?, points.points()?);
    let mut wrong = Vec::new();
    let newest_first = runs.is_sorted_by(|newer, older| began(&newer.run) >= began(&older.run));
    wrong.extend((!newest_first).then_some("runs: the newest is not first"));
    let newest_first = all.is_sorted_by(|newer, older| began(&newer.run) >= began(&older.run));
    wrong.extend((!newest_first).then_some("points: the newest is not first"));
    for one in &runs {
        let listed = all.iter().find(|point| point.run == one.run);
        wrong.extend(
            (points.point(&one.run)?.as_ref() != listed).then_some("one of its runs is told in two ways"),
        );
        wrong.extend((one.over && one.ended.is_none()).then_some("a run is over and has never ended"));
        wrong.extend((listed.is_some() && !one.over).then_some("a run that goes on can be returned from"));
    }
    let known = |run: &str| runs.iter().any(|one| one.run == run);
    wrong.extend(
        (!all.iter().all(|point| known(&point.run))).then_some("one returns from a run that never was"),
    );
    wrong.extend(points.point("20260101-000000-0000")?.map(|_| "a run that never was is known"));
    if wrong.is_empty() { Ok(all.len()) } else { Err(Failure::new("broken", wrong.join(", "))) }
}

/// The second in which a run began, as its name tells it; what follows is drawn.
fn began(run: &str) -> &str {
    &run[..15]
}

/// Ask the record.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskRecord {
    /// Runs that can be returned from.
    points: usize,
}

impl Read for AskRecord {
    const NAME: &'static str = "ask_record";
    type Outcome = ();

    fn example() -> Self {
        Self { points: 0 }
    }

    fn summary(&self) -> String {
        "ask the record".to_owned()
    }

    fn result((): &()) -> String {
        "asked".to_owned()
    }

    async fn look(&self, site: Observe<'_>) -> Result<(), Failure> {
        let points = site.port::<Points>().expect("the host brings it");
        let found = tried(&*points)?;
        let text = format!("{found} runs can be returned from, and not {}", self.points);
        if found == self.points { Ok(()) } else { Err(Failure::new("other_points", text)) }
    }
}

const ASKS: &str = "/srv/strata/ask.rhai";

struct Site {
    world: World,
    state: tempfile::TempDir,
}

impl Site {
    async fn host(&self) -> Host {
        let start = Start {
            dir: Some("/srv/strata".into()),
            state: Some(self.state.path().join(".uplift")),
            project: None,
        };
        let catalogue = Catalogue::stock().read::<AskRecord>();
        Host::at(start).ports(self.world.ports()).catalogue(catalogue).open().await.unwrap()
    }

    async fn run(&self, runbook: &str, given: &[(&str, &str)]) {
        let given: BTreeMap<_, _> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let runbook = self.host().await.runbook(runbook, &given).await.unwrap();
        let plan = runbook.plan().await;
        let mut run = runbook.start(plan, "uplift run").await.unwrap();
        while run.next().await.is_some() {}
        assert_eq!(run.ended().await.exit().code(), 0);
    }

    /// On the twin, and in a run, whose own record is there by then.
    async fn asked(&self, points: usize) {
        let text = format!(
            "const RUNBOOK = #{{ api: 1, summary: \"ask\" }};\nstep \"ask\" {{ ask_record(#{{ points: {points} }}); }}\n"
        );
        self.world.put_file(ASKS, text, 0o644);
        let plan = self.host().await.runbook(ASKS, &BTreeMap::new()).await.unwrap().plan().await;
        let failed = matches!(plan.end, PlanEnd::Fails { .. } | PlanEnd::Unknown { .. });
        assert!(!failed, "{:?}", plan.end);
        self.run(ASKS, &[]).await;
    }
}

#[tokio::test]
async fn a_site_s_record_tells_what_can_be_returned_from() {
    let site = Site { world: World::strata(), state: tempfile::tempdir().unwrap() };
    site.asked(0).await;
    site.run("compose/backup", &[]).await;
    site.asked(0).await;
    for (tag, points) in [("1.1.0", 1), ("1.1.1", 2)] {
        site.run("compose/upgrade", &[("to", tag)]).await;
        site.asked(points).await;
    }
}

#[test]
fn the_record_that_the_laws_make_up_is_like_one() {
    let ports = crate::laws::record::known(&World::strata());
    let (site, tell) = (World::strata().site(), uplift::event::Teller::silent());
    let points = ports.observe(&site, "plan", &tell).port::<Points>().expect("it brings one");
    assert_eq!(tried(&*points).unwrap(), 0);
}
