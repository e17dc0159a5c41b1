//! An observer that knows nothing of plans: what the engine, the database server and the folders say of a run is held
//! against what its plan said, in both directions. And a plan is seen to change nothing.

mod compared;
mod engine;
mod fact;
mod files;
mod foretold;
mod names;
mod server;
mod watched;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use self::{
    compared::{sizes, unlike},
    engine::Happening,
    fact::Facts,
    files::Tree,
    foretold::{Foretold, calls},
    names::Names,
    server::{LOCK, Statement},
    watched::Site,
};
use super::{Field, field::lab, screen::Screen};
use crate::lab::{Registry, Shape};

/// What was seen while something was done.
#[derive(Debug)]
struct Seen {
    happenings: Vec<Happening>,
    statements: Vec<Statement>,
    before: Tree,
    after: Tree,
    /// Every path that was there at some moment.
    names: BTreeSet<PathBuf>,
}

impl Seen {
    fn facts(&self, names: &Names) -> Facts {
        let mut facts = engine::facts(&self.happenings, names);
        facts.extend(server::facts(&self.statements, names));
        facts.extend(files::facts(&self.before, &self.after, names));
        facts
    }

    /// Paths that are not as they were, or were there for a while; the record of runs too.
    fn touched(&self) -> Vec<&PathBuf> {
        let all: BTreeSet<_> = self.before.keys().chain(self.after.keys()).chain(&self.names).collect();
        let is_other = |path: &&PathBuf| {
            let now = self.after.get(*path);
            now.is_none() || self.before.get(*path) != now
        };
        all.into_iter().filter(is_other).collect()
    }

    fn heard_uplift(&self) -> bool {
        server::heard_uplift(&self.statements)
    }
}

#[test]
fn an_upgrade_and_the_rollback_after_it_do_what_their_plans_say() {
    let site = Site::at("1.0.0", &["1.1.0"]);
    let (plan, told) = site.as_planned("upgrade --to 1.1.0 --settle 2s");
    assert!(told.has("is tried as `web`") && told.has("__pre_plan` is added as a copy of"), "{told}");
    assert!(told.has("+STRATA_VERSION=1.1.0") && told.has(":1.1.0` is added, sha256:"), "{told}");
    assert!(plan.to_string().contains("a dump is as large as its database"), "or it would have to be");

    site.field.while_writing(|| std::thread::sleep(Duration::from_secs(1)));
    let (_, told) = site.as_planned("rollback --restore-data always --jobs run --settle 2s");
    assert!(told.has("becomes `strata_production__failed_plan`"), "{told}");
    site.field.end();
}

#[test]
fn a_failing_upgrade_does_what_its_plan_says_and_takes_it_back_as_its_plan_says() {
    let site = Site::at("1.0.0", &["1.3.0"]);
    let words = "upgrade --to 1.3.0 --settle 2s --patience 20s";
    let plan = site.planned(words);
    let failed = "migrate in the dark/compose_trial#1";
    let (seen, screen, names) = site.run(words, 6, &plan);
    let called = screen.called();
    let planned: Vec<_> = calls(&plan).iter().map(|call| call["address"].as_str().unwrap()).collect();
    assert_eq!(planned[..called.len()], called[..]);
    assert_eq!(called.last().map(String::as_str), Some(failed));

    // The trial was begun, and no more of it; its container died by itself.
    let told = Foretold::taken_back(&plan, failed, 1, &names).also(LOCK);
    let died = format!("container new of `{}-trial-plan` goes down", names.project);
    let told = told.also(died);
    assert_eq!(unlike(&told, &seen, &names), Vec::<String>::new());
    assert_eq!(sizes(&told, &site.field, names.run.as_ref().unwrap()), Vec::<String>::new());
    site.field.end();
}

#[test]
fn a_backup_and_a_restore_do_what_their_plans_say() {
    let site = Site::at("1.0.0", &["1.1.0"]);
    let (plan, _) = site.as_planned("backup create");
    let set = site.field.uplift("backup list -o json").ends(0).everything();
    let set = set.split('"').find(|word| word.starts_with("20") && word.len() == 20).unwrap().to_owned();
    assert!(plan.to_string().contains("manifest.json"));
    // What the backup has of the uploaded files is linked; some came since.
    site.upload("later", 1 << 18);
    site.field.while_writing(|| std::thread::sleep(Duration::from_secs(1)));
    let (_, told) = site.as_planned("upgrade --to 1.1.0 --settle 2s");
    assert!(told.has("storage-002.tar.zst is added"), "{told}");
    let (_, told) = site.as_planned(&format!("restore {set} --restore-data always --jobs run --settle 2s"));
    assert!(told.has("is filled from a dump") && told.has("changes places with"), "{told}");
    site.field.end();
}

#[test]
fn the_observer_sees_what_nobody_has_foretold() {
    let site = Site::at("1.0.0", &["1.1.0"]);
    let field = &site.field;
    let docker = |words: &str| field.stack.tools().docker().args(words).output().unwrap();
    let names = Names::look(field, &site.registry.address());
    let repository = site.registry.repository();
    let ((), seen) = site.watched(|| {
        docker(&format!("pull -q {repository}:1.1.0"));
        docker(&format!("tag {repository}:1.0.0 {repository}:kept"));
        docker(&format!("exec {}-web-1 true", names.project));
        docker(&format!("update --restart no {}-job-1", names.project));
        docker(&format!("volume create {}_other", names.project));
        docker(&format!("stop -t 1 {}-job-1", names.project));
        std::fs::write(field.dir().join("uplift.toml"), "").unwrap();
        field.stack.set("STRATA_VERSION", "1.1.0").unwrap();
        std::fs::write(field.stack.storage().unwrap().join("stray"), "").unwrap();
        std::fs::write(field.dir().join("passing"), "").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        std::fs::remove_file(field.dir().join("passing")).unwrap();
        site.as_uplift("strata_production", "CREATE TABLE stray (id int)");
        site.as_uplift("strata_production", "INSERT INTO stray VALUES (1)");
        site.as_uplift("postgres", "ALTER DATABASE \"strata_production_cable\" ALLOW_CONNECTIONS false");
    });
    let found = unlike(&Foretold::default(), &seen, &names).join("\n");
    for what in [
        format!("image `{repository}:1.1.0`: pull"),
        format!("is named `{repository}:kept`"),
        "exec_create: true".to_owned(),
        "restart policy of `job`: `unless-stopped` becomes `no`".to_owned(),
        "_other`: create".to_owned(),
        "of `job` goes down".to_owned(),
        "./uplift.toml is added".to_owned(),
        "./.env: -STRATA_VERSION=1.0.0 +STRATA_VERSION=1.1.0".to_owned(),
        "VOLUME/_data/stray is added".to_owned(),
        "./passing was there for a while".to_owned(),
        "in `strata_production`: CREATE TABLE stray".to_owned(),
        "in `strata_production`: INSERT INTO stray".to_owned(),
        "keeps everybody out".to_owned(),
    ] {
        assert!(found.contains(&what), "`{what}` is not in\n{found}");
    }
    site.field.end();
}
