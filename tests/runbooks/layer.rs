//! What a site adds to the stock runbooks and changes in them, from files in its folder.

use std::collections::BTreeMap;

use uplift::{Ending, Event, HostError, World, journal::State, run::PlanEnd};

use super::night::{Night, given};

const HOOKS: &str = "/srv/strata/uplift/hooks/compose/upgrade.rhai";

fn with(file: &str, text: &str) -> Night {
    let night = Night::of(World::strata());
    night.world.put_file(file, text, 0o644);
    night
}

async fn refused(night: &Night, name: &str, values: &BTreeMap<String, String>) -> (String, String) {
    let error = night.host().await.runbook(name, values).await.err().expect("it is refused");
    let failure = error.failure();
    assert!(matches!(error, HostError::Invalid(_) | HostError::Runbook { .. }), "{error:?}");
    (failure.code.clone(), format!("{failure} {} {:?}", failure.evidence.join("\n"), failure.hint))
}

/// A site that keeps the worker running a little longer, and wants one more proof.
const MORE: &str = r#"
import "uplift/lib/proof" as proof;
fn before_stop() { env_set(#{ MAINTENANCE: "on" }); }
fn after_verify() { env_set(#{ MAINTENANCE: "off" }); proof::runs(params::to); }
"#;

fn more() -> Night {
    let night = with(HOOKS, MORE);
    let proof = "fn runs(tag) { verify_running(#{ tag: tag }); }";
    night.world.put_file("/srv/strata/uplift/lib/proof.rhai", proof, 0o644);
    night
}

#[tokio::test]
async fn hooks_are_in_the_plan_and_in_the_record_at_addresses_of_their_own() {
    let night = more();
    let plan = night.plan("1.1.0").await;
    assert_eq!(plan.end, PlanEnd::Complete);
    assert_eq!(
        plan.changed,
        [
            "before `stop`: `before_stop`, `uplift/hooks/compose/upgrade.rhai:3`",
            "after `verify`: `after_verify`, `uplift/hooks/compose/upgrade.rhai:4`"
        ]
    );
    let planned: Vec<_> = plan.addresses().iter().map(|address| (*address).to_owned()).collect();
    for address in ["stop/before/env_set#1", "verify/after/env_set#1", "verify/after/verify_running#1"] {
        assert!(planned.contains(&address.to_owned()), "{address} in {planned:?}");
    }
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let made: Vec<_> = night.newest().await.1.into_iter().map(|call| call.address).collect();
    assert_eq!(made, planned);
    let env = night.world.file("/srv/strata/.env").unwrap();
    assert!(String::from_utf8(env.bytes).unwrap().contains("MAINTENANCE=off"));
}

/// A figure that is not there yet decides nothing in a plan: it would go another way than the run.
#[tokio::test]
async fn a_plan_does_not_decide_by_what_it_only_estimates() {
    let text = "fn after_prepare() {\n let made = outcome(\"prepare/backup#1\");\n print(made.path);\n \
                if made.verified.rows == 0 { throw \"an empty backup\"; }\n }";
    let night = with(HOOKS, text);
    let plan = night.plan("1.1.0").await;
    let PlanEnd::Unknown { why } = &plan.end else { panic!("{:?}", plan.end) };
    assert!(why.contains("`backup` gives as `bytes` and `verified` is known once it is done"), "{why}");
    assert!(plan.notes.iter().any(|note| note.contains("/backups/")), "its path is known: {:?}", plan.notes);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
}

/// Web stands still until it is switched: what a hook does before that lets nobody in, so nobody has to be asked.
#[tokio::test]
async fn what_decides_before_web_is_switched_takes_the_release_back_by_itself() {
    for smoke in [
        "exec(#{ command: [\"/usr/local/bin/smoke\"], leaves_nothing: true });",
        "exec(#{ command: [\"/usr/local/bin/smoke\"] });",
        "file_put(#{ path: \"/srv/strata/dark\", content: params::to }); fail(\"no\", \"not this one\");",
    ] {
        let night = with(HOOKS, &format!("fn before_switch_web() {{ {smoke} }}"));
        night.settings("[grants]\nexec = [\"/usr/local/bin/smoke\"]\n");
        let fails = uplift::sim::Does { code: 1, ..Default::default() };
        night.world.put_program("/usr/local/bin/smoke", &[fails]);
        let before = night.world.running();
        let plan = night.plan("1.1.0").await;
        let asks_from = plan.going_back.and_then(|back| back.asks_from);
        assert!(asks_from.is_none_or(|from| from == "switch web/compose_up#1"), "{smoke}");
        let told = night.upgrade("1.1.0").await;
        assert!(matches!(told.ending, Ending::TakenBack { .. }), "{smoke}: {:?}", told.ending);
        assert_eq!((night.world.running(), night.world.lost_orders()), (before, 0), "{smoke}");
    }
}

/// A night lies between: what was checked when it began is checked again, as long as nothing was changed.
#[tokio::test]
async fn a_run_that_goes_on_asks_again_what_let_it_begin() {
    let night = Night::of(World::strata());
    assert_eq!(night.run("compose/backup", &[]).await.ending, Ending::Done);
    // As if it had been killed while it made the backup.
    night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
    night.edit_record(
        "UPDATE attempt SET state = 'started', value = NULL, ended_at = NULL WHERE rowid = (SELECT max(rowid) FROM attempt)",
    );
    let other = night.fork();
    assert_eq!(other.resume(None).await.ending, Ending::Done, "all is as it was");
    night.world.set("DB_NAME", "another");
    let host = night.host().await;
    let open = night.unfinished().await.unwrap().id;
    let plan = host.plan_on(&open).await.unwrap();
    let PlanEnd::Fails { failure, .. } = &plan.end else { panic!("{:?}", plan.end) };
    assert_eq!(failure.code, "drift");
    let told = night.resume(None).await;
    let Ending::Refused { failure } = &told.ending else { panic!("{:?}", told.ending) };
    assert!(
        failure.message.starts_with("when this run began it was well, and is no more (compare "),
        "{failure}"
    );
    assert!(night.unfinished().await.is_none(), "and it is over");
}

/// Found by day: in the night in which one has to go back it would stand in the way.
#[tokio::test]
async fn a_mistake_about_the_way_back_is_found_before_an_upgrade() {
    let night = Night::of(World::strata());
    night.settings("[params.\"compose/rollback\"]\npatiense = \"20m\"\n");
    let error = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.err().unwrap();
    let failure = error.failure();
    assert!(failure.message.contains("`[params.\"compose/rollback\"]`"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("did you mean `patience`?"));
    night.settings("[params.\"compose/upgrade\"]\npatiense = \"20m\"\n");
    let run = [("run".to_owned(), "20261124-031500-0001".to_owned())].into();
    assert!(night.host().await.runbook("compose/rollback", &run).await.is_ok(), "who goes back is not kept");
}

/// Whoever hangs an approval on a step that is passed over has to see it in the plan.
#[tokio::test]
async fn a_hook_that_does_not_run_is_named_in_the_plan() {
    let night = Night::at_1_1_0().await;
    night.world.put_file(HOOKS, "fn after_migrate_in_the_dark() { print(\"approved\"); }", 0o644);
    night.world.pulled("1.1.1");
    let plan = night.plan("1.1.1").await;
    let text = "`after_migrate_in_the_dark` is not called: this run does not come to `migrate in the dark`";
    assert!(plan.notes.iter().any(|note| note == text), "{:?}", plan.notes);
    let other = with(HOOKS, "fn after_migrate_in_the_dark() { print(\"approved\"); }");
    assert!(other.plan("1.1.0").await.notes.iter().all(|note| !note.contains("is not called")));
}

/// A return knows the product: it says what else there is to look at.
#[tokio::test]
async fn a_return_says_what_hooks_of_the_upgrade_have_left() {
    let night = with(
        HOOKS,
        "fn before_check() { exec(#{ command: [\"/usr/local/bin/smoke\"], leaves_nothing: true }); }\n\
         fn before_stop() { env_set(#{ MAINTENANCE: \"on\" }); }\n\
         fn after_verify() { file_put(#{ path: \"/srv/strata/released\", content: params::to }); }",
    );
    night.settings("[grants]\nexec = [\"/usr/local/bin/smoke\"]\n");
    night.world.put_program("/usr/local/bin/smoke", &[]);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    let told = night.try_return(&run, &[("restore_data", "always")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let said = told.events.iter().filter_map(|event| match event {
        Event::Warning { text, .. } if text.contains("leaves as it is") => Some(text.as_str()),
        _ => None,
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("`MAINTENANCE=on`") && said[0].contains("stop/before/env_set#1"), "{said:?}");
    assert!(said[1].contains("/srv/strata/released"), "{said:?}");
    assert!(night.world.file("/srv/strata/released").is_some(), "and so it is");
}

/// Whatever goes wrong later, what a hook has done goes back with the rest.
#[tokio::test]
async fn what_a_hook_has_done_is_taken_back() {
    let night = more();
    let before = night.world.running();
    let told = night.upgrade("1.3.0").await;
    assert!(matches!(told.ending, Ending::TakenBack { .. }), "{:?}", told.ending);
    assert_eq!(night.world.running(), before);
    let calls = night.newest().await.1;
    let hook = calls.iter().find(|call| call.address == "stop/before/env_set#1").unwrap();
    assert_eq!(hook.state, State::Undone);
}

#[tokio::test]
async fn a_run_goes_on_with_the_hooks_that_it_began_with() {
    let night = more();
    night.stopped_upgrade("1.1.0").await;
    // Another hook now, which would not even pass the checks.
    night.world.put_file(HOOKS, "fn before_stpo() { }", 0o644);
    let told = night.resume(None).await;
    assert_eq!(told.ending, Ending::Done, "{:?}", told.events.last());
    let warned =
        |event: &Event| matches!(event, Event::Warning { text, .. } if text.contains("was changed since"));
    assert!(told.events.iter().any(warned));
    assert!(night.newest().await.1.iter().any(|call| call.address == "verify/after/env_set#1"));
}

#[tokio::test]
async fn hooks_of_a_step_or_a_runbook_that_is_not_there_are_refused_before_anything() {
    let night = with(HOOKS, "\nfn before_swich_web() { }");
    let (code, said) = refused(&night, "compose/upgrade", &given("1.1.0")).await;
    assert_eq!(code, "runbook_invalid");
    assert!(said.contains("uplift/hooks/compose/upgrade:2"), "{said}");
    assert!(said.contains("did you mean `switch_web`?"), "{said}");

    let night = with("/srv/strata/uplift/hooks/upgrade.rhai", "fn before_stop() { }");
    let (code, said) = refused(&night, "compose/upgrade", &given("1.1.0")).await;
    assert_eq!(code, "hooks_of_nothing");
    assert!(said.contains("did you mean `compose/upgrade`?"), "{said}");
    // A run of another runbook is told as well: its hooks may be meant.
    assert_eq!(refused(&night, "compose/backup", &BTreeMap::new()).await.0, "hooks_of_nothing");
}

#[tokio::test]
async fn a_runbook_of_the_sites_own_is_run_by_its_name_and_may_take_the_place_of_a_stock_one() {
    const NIGHTLY: &str = r#"import "uplift/lib/kept" as kept;
        const RUNBOOK = #{ api: 1, summary: "a backup, and no old ones" };
        kept::make();"#;
    let night = with("/srv/strata/uplift/nightly.rhai", NIGHTLY);
    let kept = "fn make() { step \"back up\" { backup(#{ storage: \"copy\", config: true }); } }";
    night.world.put_file("/srv/strata/uplift/lib/kept.rhai", kept, 0o644);
    assert_eq!(night.run("nightly", &[]).await.ending, Ending::Done);
    assert_eq!(night.newest().await.0.runbook, "nightly");

    let (_, said) = refused(&night, "nigthly", &BTreeMap::new()).await;
    assert!(said.contains("did you mean `nightly`?"), "{said}");
    // No name leads out of the folder.
    night.world.put_file("/srv/other.rhai", NIGHTLY, 0o644);
    assert_eq!(refused(&night, "../../other", &BTreeMap::new()).await.0, "runbook_not_found");

    let stock = uplift::stock_named("compose/upgrade").unwrap().text;
    let own = stock.replace("step \"switch job\"", "step \"start the worker\"");
    assert_ne!(own, stock);
    night.world.put_file("/srv/strata/uplift/compose/upgrade.rhai", &own, 0o644);
    let plan = night.plan("1.1.0").await;
    assert_eq!(
        plan.changed,
        ["the site's own `uplift/compose/upgrade.rhai` in the place of the stock runbook"]
    );
    assert!(plan.steps.iter().any(|step| step.path == "start the worker"));
}

/// A file of hooks has no header: it is looked through with the runbook that it is about.
#[tokio::test]
async fn a_file_of_hooks_can_be_checked_by_its_path() {
    let night = more();
    let host = || {
        let start = uplift::Start { dir: Some("/srv/strata".into()), ..uplift::Start::default() };
        uplift::Host::at(start).ports(night.world.ports())
    };
    let checked = host().check(HOOKS).await.unwrap();
    assert_eq!((checked.runbook.as_str(), checked.errors()), (HOOKS, 0), "{:?}", checked.problems);
    night.world.put_file(HOOKS, "fn before_stop() { env_set(#{ A: 1 }); }", 0o644);
    let checked = host().check(HOOKS).await.unwrap();
    assert_eq!(checked.errors(), 1);
    assert_eq!(checked.problems[0].file, "uplift/hooks/compose/upgrade");
}

/// By its name or by its path: the same library, the same hooks.
#[tokio::test]
async fn a_runbook_of_the_sites_own_is_the_same_by_its_path() {
    let book = "import \"lib/checks\" as checks;\nconst RUNBOOK = #{ api: 1, summary: \"own\" };\n\
                step \"look\" { checks::host(); env_set(#{ A: \"1\" }); }\n";
    let night = with("/srv/strata/uplift/own.rhai", book);
    // What lies beside it counts for a file of anywhere, and not for the site's own.
    night.world.put_file("/srv/strata/uplift/lib/checks.rhai", "fn other() { }", 0o644);
    night.world.put_file(
        "/srv/strata/uplift/hooks/own.rhai",
        "fn after_look() { env_set(#{ B: \"2\" }); }",
        0o644,
    );
    for name in ["own", "/srv/strata/uplift/own.rhai"] {
        let plan = night.host().await.runbook(name, &BTreeMap::new()).await.unwrap().plan().await;
        assert!(plan.addresses().contains(&"look/after/env_set#1"), "{name}: {:?}", plan.addresses());
    }
}

/// What lies in a folder that is misspelt by a letter would change nothing, in silence.
#[tokio::test]
async fn a_folder_that_is_misspelt_by_a_letter_is_told() {
    for (file, room) in
        [("hook/compose/upgrade", "hooks"), ("Hooks/compose/upgrade", "hooks"), ("libs/x", "lib")]
    {
        let night = with(&format!("/srv/strata/uplift/{file}.rhai"), "fn before_stop() { }");
        let (code, said) = refused(&night, "compose/upgrade", &given("1.1.0")).await;
        assert_eq!(code, "hooks_of_nothing", "{file}");
        assert!(said.contains(&format!("did you mean `uplift/{room}/`?")), "{said}");
    }
    let night = with("/srv/strata/uplift/reports/x.rhai", "const RUNBOOK = #{ api: 1, summary: \"x\" };");
    night.plan("1.1.0").await;
}
