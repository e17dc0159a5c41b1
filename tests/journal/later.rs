//! A journal in the hands of a later uplift, one of whose primitives is another version by now.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uplift::{
    Catalogue, Decision, Ending, ExitClass, Failure, Host, HostError, Run, Start, World,
    event::Refusal,
    ports::{Observe, Operate, files::WriteFile},
    primitives::contract::{Back, Effect, Found, Undone, WhenUnknown, from_value, unknown_version},
    sim::Fault,
};

/// The later `env_set`, which decides something else than the first. One that forgot what that wrote cannot read it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct EnvSet<const FORGOT: bool> {
    #[serde(flatten)]
    variables: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Second {
    path: PathBuf,
    copy: PathBuf,
}

/// What the first version has decided, as far as its way back needs it.
#[derive(Deserialize)]
struct First {
    file: PathBuf,
    kept: PathBuf,
}

impl<const FORGOT: bool> Effect for EnvSet<FORGOT> {
    const NAME: &'static str = "env_set";
    const VERSION: u32 = 2;
    type Intent = Second;
    type Outcome = ();

    fn example() -> Self {
        Self { variables: BTreeMap::new() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Second, Refusal> {
        Ok(Second { path: site.site.project.env_file(), copy: site.kept().join("env").join("later") })
    }

    fn summary(intent: &Second) -> String {
        format!("set values in `{}`", intent.path.display())
    }

    fn result((): &()) -> String {
        "set".to_owned()
    }

    fn undo_summary(intent: &Second) -> String {
        format!("put `{}` back from what the later version calls a copy", intent.path.display())
    }

    fn read_intent(version: u32, value: Value) -> Result<Second, Failure> {
        match version {
            1 if !FORGOT => from_value(value).map(|First { file, kept }| Second { path: file, copy: kept }),
            Self::VERSION => from_value(value),
            _ => Err(unknown_version::<Self>(version)),
        }
    }

    async fn probe(_: &Second, _: Observe<'_>) -> Result<Found<()>, Failure> {
        Ok(Found::CannotTell("it was not looked at".to_owned()))
    }

    async fn execute(_: &Second, _: Operate<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn undo(intent: &Second, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let Some(file) = site.files.read(&intent.copy).await? else { return Ok(Undone::nothing("no copy")) };
        let before = site.files.read(&intent.path).await?.expect("the settings are there");
        let file = uplift::ports::files::File { mode: before.mode, uid: before.uid, gid: before.gid, ..file };
        let what = "settings as they were".to_owned();
        site.files.write(&WriteFile { path: intent.path.clone(), file, what }).await?;
        Ok(Undone::restored("put the settings back"))
    }
}

const RUNBOOK: &str = r#"
const RUNBOOK = #{ api: 1, summary: "set a value, stop job, pull", on_failure: "pause" };

step "settings" { env_set(#{ WEB_CONCURRENCY: "7" }); }
step "stop" { compose_stop(#{ services: [site::job] }); }
step "pull" { compose_pull(#{ tag: "1.1.0" }); }
"#;

struct Site {
    world: World,
    folder: tempfile::TempDir,
}

impl Site {
    async fn host(&self, catalogue: Catalogue) -> Host {
        let start = Start { dir: Some("/srv/strata".into()), state: Some(self.state()), project: None };
        Host::at(start).ports(self.world.ports()).catalogue(catalogue).open().await.unwrap()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join(".uplift")
    }

    /// Begun by today's uplift, which stands still before its last call: the settings are others, and job has stopped.
    async fn begun() -> Self {
        let site = Self { world: World::strata(), folder: tempfile::tempdir().unwrap() };
        site.world.put_file("/srv/strata/mine.rhai", RUNBOOK, 0o644);
        site.world.fault_at("pull ", Fault::FailBefore);
        let today = site.host(Catalogue::stock()).await;
        let runbook = today.runbook("/srv/strata/mine.rhai", &BTreeMap::new()).await.unwrap();
        let plan = runbook.plan().await;
        let ending = ended(runbook.start(plan, "uplift run").await.unwrap()).await;
        assert_eq!(ending.exit(), ExitClass::Unfinished, "{ending:?}");
        site
    }

    async fn take_back(&self, catalogue: Catalogue) -> Result<Ending, HostError> {
        let none: Option<Decision> = None;
        let run = self.host(catalogue).await.rollback(None, none, "uplift rollback").await?;
        Ok(ended(run).await)
    }

    async fn run(&self) -> String {
        self.host(Catalogue::stock()).await.unfinished().unwrap().expect("a run waits").id
    }
}

async fn ended(mut run: Run) -> Ending {
    while run.next().await.is_some() {}
    run.ended().await
}

fn later() -> Catalogue {
    Catalogue::stock().effect::<EnvSet<false>>()
}

fn forgetful() -> Catalogue {
    Catalogue::stock().effect::<EnvSet<true>>()
}

fn is_back(site: &Site, plain: &World) {
    let mut now = site.world.running();
    now.files.retain(|path, _| path != Path::new("/srv/strata/mine.rhai"));
    assert_eq!(now, plain.running());
}

#[tokio::test]
async fn what_today_s_uplift_did_is_taken_back_by_a_later_one() {
    let site = Site::begun().await;
    assert_ne!(site.world.running().files, World::strata().running().files);
    let run = site.run().await;
    let back = site.host(later()).await.plan_back(&run).await.unwrap();
    let undone: Vec<_> = back.ways[0].calls.iter().map(|call| call.undo.as_deref()).collect();
    assert_eq!((undone.len(), undone.last()), (3, Some(&Some("put the settings back"))), "{undone:?}");
    assert_eq!(site.take_back(later()).await.unwrap().exit(), ExitClass::Done);
    is_back(&site, &World::strata());
}

/// It says which uplift can, and touches nothing: job, which it could start, would run beside the new settings.
#[tokio::test]
async fn a_later_uplift_that_cannot_read_it_touches_nothing_and_says_what_to_type() {
    let site = Site::begun().await;
    let (run, writes) = (site.run().await, site.world.writes());
    let planned = site.host(forgetful()).await.plan_back(&run).await.map(drop);
    for refused in [planned, site.take_back(forgetful()).await.map(drop)] {
        let refused = refused.unwrap_err();
        let failure = refused.failure();
        assert_eq!((refused.exit(), failure.code.as_str()), (ExitClass::Refused, "intent_version"));
        assert_eq!(failure.message, "`settings/env_set#1`: `env_set` cannot read what its version 1 wrote");
        let hint = failure.hint.unwrap();
        let typed =
            format!("with uplift {}, which began it: `uplift rollback {run}`", env!("CARGO_PKG_VERSION"));
        assert!(hint.contains(&typed), "{hint}");
    }
    assert_eq!(site.world.writes(), writes);
    assert_eq!(site.take_back(Catalogue::stock()).await.unwrap().exit(), ExitClass::Done, "today's can");
    is_back(&site, &World::strata());
}

/// An embedder's uplift has begun it, say, and this one has no such calls.
#[tokio::test]
async fn an_uplift_without_its_calls_goes_neither_on_nor_back() {
    let site = Site::begun().await;
    let (run, writes) = (site.run().await, site.world.writes());
    let back = site.take_back(Catalogue::default()).await.map(drop).unwrap_err();
    let host = site.host(Catalogue::default()).await;
    let on = host.resume(None, None, "uplift resume").await.map(drop).unwrap_err();
    let planned = host.plan_on(&run).await.map(drop).unwrap_err();
    for (refused, code) in [(back, "primitive_missing"), (on, "diverged"), (planned, "diverged")] {
        let failure = refused.failure();
        assert_eq!((refused.exit(), failure.code.as_str()), (ExitClass::Refused, code));
        let hint = failure.hint.unwrap();
        assert!(
            hint.contains("which began it") && hint.contains(&format!("`uplift rollback {run}`")),
            "{hint}"
        );
    }
    assert_eq!(site.world.writes(), writes);
    assert_eq!(site.take_back(Catalogue::stock()).await.unwrap().exit(), ExitClass::Done);
}

/// Going on is for the version that has begun; both lines are shown, and the way back stays open.
#[tokio::test]
async fn a_later_uplift_does_not_go_on_with_what_another_version_began() {
    let site = Site::begun().await;
    let writes = site.world.writes();
    let run = site.host(later()).await.resume(None, None, "uplift resume").await.unwrap();
    let Ending::Unfinished { cause: Some(failure), .. } = ended(run).await else { panic!("it went on") };
    assert_eq!(failure.code, "diverged");
    let (journal, now) = (&failure.evidence[0], &failure.evidence[1]);
    assert!(
        journal.starts_with("journal: settings/env_set#1") && journal.contains("(version 1)"),
        "{journal}"
    );
    assert!(now.starts_with("now:     settings/env_set#1") && now.contains("(version 2)"), "{now}");
    assert_eq!(site.world.writes(), writes);
    assert_eq!(site.take_back(later()).await.unwrap().exit(), ExitClass::Done);
    is_back(&site, &World::strata());
}
