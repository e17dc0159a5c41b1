//! What is tried: stock runbooks on sites, each from where its site stands by then.

use std::{collections::BTreeMap, time::Duration};

use uplift::{
    Ending, Plan, World,
    run::PlanEnd,
    sim::{Release, Shape},
};

use super::super::night::{Night, Told, told};

/// A site that runs are made on.
pub(super) struct Site {
    pub(super) name: &'static str,
    make: fn() -> World,
}

const MOVING: &str = "at a tag that moves";

/// `flaky.toml` and `killed.toml` are left out: they are the plain site with faults of their own.
pub(super) const SITES: [Site; 6] = [
    Site { name: "plain", make: plain },
    Site { name: "busy", make: busy },
    Site { name: "older", make: older },
    Site { name: "tight", make: tight },
    Site { name: "without a worker", make: without_worker },
    Site { name: MOVING, make: moving },
];

fn written(text: &str) -> World {
    World::written(text).unwrap()
}

fn plain() -> World {
    written(include_str!("../../../examples/sites/plain.toml"))
}

/// Users place orders all the time: what was acknowledged is to be there at the end.
fn busy() -> World {
    written(include_str!("../../../examples/sites/busy.toml"))
}

fn older() -> World {
    written(include_str!("../../../examples/sites/older.toml"))
}

/// Somebody has made room for backups; what the server has left nobody can know, so that there are no savepoints.
fn tight() -> World {
    let world = written(include_str!("../../../examples/sites/tight.toml"));
    world.set_free("/", 20 << 30);
    world
}

fn without_worker() -> World {
    World::shaped(&Shape { job: None, ..Shape::default() })
}

/// It runs `latest`, which means another image once somebody has pulled it again.
fn moving() -> World {
    let world = plain();
    world.push(Release::new("latest", &[]));
    world.rename_image("1.0.0", "latest");
    world.set("STRATA_VERSION", "latest");
    world.put_job("SendInvoice", None);
    world
}

/// How far a site has come before what is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// 1.0.0 runs, as ever.
    Old,
    /// An upgrade to 1.1.0 has migrated, and users have written since.
    Upgraded,
    /// And another to 1.1.1, on the same schema.
    Twice,
    /// Long ago, with two backups since.
    Aged,
    /// Upgraded; then all is lost but the backup, and its configuration was put back.
    Lost,
}

pub(super) struct Flow {
    pub(super) name: &'static str,
    pub(super) sites: &'static [&'static str],
    pub(super) stage: Stage,
    pub(super) runbook: &'static str,
    given: &'static [(&'static str, &'static str)],
}

const ALL: &[&str] = &["plain", "busy", "older", "tight", "without a worker"];
const RESTORED: &[&str] = &["plain", "busy", "older", "tight", "without a worker", MOVING];
const PLAIN: &[&str] = &["plain"];
const UPGRADE: &str = "compose/upgrade";
/// Stands for the run that brought 1.1.0, or 1.1.1, and for the set that it has made.
pub(super) const RUN: &str = "RUN";

const fn upgrade(
    name: &'static str,
    sites: &'static [&'static str],
    stage: Stage,
    given: &'static [(&'static str, &'static str)],
) -> Flow {
    Flow { name, sites, stage, runbook: UPGRADE, given }
}

pub(super) const FLOWS: [Flow; 17] = [
    upgrade("upgrade that migrates", ALL, Stage::Old, &[("to", "1.1.0")]),
    upgrade("upgrade on one schema", PLAIN, Stage::Upgraded, &[("to", "1.1.1")]),
    upgrade("upgrade that fails in the dark", &["plain", "tight"], Stage::Old, &[("to", "1.3.0")]),
    upgrade("upgrade that ends before it migrates", PLAIN, Stage::Old, &[("to", "1.7.0")]),
    upgrade("upgrade whose web is never well", PLAIN, Stage::Upgraded, &[("to", "1.2.0")]),
    upgrade("upgrade whose worker dies", PLAIN, Stage::Old, &[("to", "1.6.0")]),
    upgrade("upgrade that users were in", &["busy"], Stage::Old, &[("to", "2.0.0")]),
    Flow {
        name: "return of the code",
        sites: &["plain", "older"],
        stage: Stage::Twice,
        runbook: "compose/rollback",
        given: &[("run", RUN)],
    },
    Flow {
        name: "return with the data",
        sites: &["plain", "busy", "older", "without a worker"],
        stage: Stage::Upgraded,
        runbook: "compose/rollback",
        given: &[("run", RUN), ("restore_data", "always"), ("jobs", "run")],
    },
    Flow {
        name: "return that holds the worker",
        sites: &[MOVING],
        stage: Stage::Upgraded,
        runbook: "compose/rollback",
        given: &[("run", RUN), ("restore_data", "always"), ("jobs", "hold")],
    },
    Flow {
        name: "restore",
        sites: RESTORED,
        stage: Stage::Upgraded,
        runbook: "compose/restore",
        given: &[("set", RUN), ("restore_data", "always"), ("jobs", "run")],
    },
    Flow {
        name: "restore that holds the worker",
        sites: PLAIN,
        stage: Stage::Upgraded,
        runbook: "compose/restore",
        given: &[("set", RUN), ("restore_data", "always"), ("jobs", "hold")],
    },
    Flow {
        name: "restore with its configuration",
        sites: PLAIN,
        stage: Stage::Upgraded,
        runbook: "compose/restore",
        given: &[("set", RUN), ("restore_data", "always"), ("jobs", "run"), ("config", "true")],
    },
    Flow {
        name: "restore on an empty host",
        sites: PLAIN,
        stage: Stage::Lost,
        runbook: "compose/restore",
        given: &[("set", RUN), ("jobs", "run")],
    },
    Flow {
        name: "backup",
        sites: &["plain", "busy", "older", "tight"],
        stage: Stage::Old,
        runbook: "compose/backup",
        given: &[],
    },
    Flow {
        name: "pull",
        sites: &["plain", MOVING],
        stage: Stage::Old,
        runbook: "compose/pull",
        given: &[("to", "1.1.0")],
    },
    Flow {
        name: "prune",
        sites: PLAIN,
        stage: Stage::Aged,
        runbook: "compose/prune",
        given: &[("keep", "1")],
    },
];

impl Flow {
    /// Lets a person's own word, given beforehand, put aside what was written since.
    pub(super) fn has_word(&self) -> bool {
        self.given.contains(&("restore_data", "always")) || self.stage == Stage::Lost
    }

    /// What is typed, for readers.
    pub(super) fn typed(&self) -> String {
        let given = self.given.iter().map(|(name, value)| format!(" {name}={value}"));
        format!("{}{}", self.runbook, given.collect::<String>())
    }

    /// Plans it, and runs it held to the plan as it is kept; an error if the door stayed shut.
    pub(super) async fn begin(&self, night: &Night, run: &str) -> Result<(Plan, Told), String> {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        if matches!(self.runbook, "compose/upgrade" | "compose/rollback" | "compose/restore") {
            given.extend([("settle", "4s"), ("patience", "1m")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        }
        for (name, value) in self.given {
            given.insert((*name).to_owned(), value.replace(RUN, run));
        }
        let host = night.try_host().await.map_err(|error| error.failure().code)?;
        let runbook = host.runbook(self.runbook, &given).await.map_err(|error| error.failure().code)?;
        let plan = runbook.plan().await;
        if let PlanEnd::Fails { failure, .. } = plan.end {
            return Err(failure.code);
        }
        let kept = Plan::read(&serde_json::to_string(&plan).unwrap()).unwrap();
        let run = runbook.start_held(kept, "uplift run").await.map_err(|error| error.failure().code)?;
        Ok((plan, told(run).await))
    }
}

/// An uploaded file that a user of the newer release has deleted.
const DELETED: &str = "k9aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A site at a stage, with the run that has brought it there.
pub(super) async fn prepared(site: &Site, stage: Stage) -> (Night, String) {
    let night = Night::of((site.make)());
    if stage == Stage::Old {
        return (night, String::new());
    }
    night.world.upload(DELETED, "its row returns with the data");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "{}", site.name);
    if stage == Stage::Twice {
        assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done, "{}", site.name);
    }
    let run = night.newest().await.0.id;
    if site.name == MOVING {
        // Pulled again, and its other name is gone too.
        night.world.pulled("latest");
        night.world.rename_image(&format!("uplift-{run}"), "put-aside");
    }
    night.world.advance(Duration::from_mins(5));
    night.world.place_orders(12);
    night.world.remove_file(night.world.uploaded(DELETED));
    if stage == Stage::Aged {
        for _ in 0..2 {
            night.world.advance(Duration::from_hours(24 * 10));
            assert_eq!(night.run("compose/backup", &[]).await.ending, Ending::Done);
        }
        // What an earlier removal has not finished.
        let half = night.folder().join("kept/.deleting-20260901-031500-00cc/before/0-env");
        night.world.put_file(half, "A=1", 0o600);
    }
    if stage == Stage::Lost {
        let set = night.set(&run);
        night.world.lose_everything();
        night.settle(&set).await.unwrap();
    }
    (night, run)
}
