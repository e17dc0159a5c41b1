//! What effects have decided, as journals hold it: one file for each primitive and version, kept for ever. A way back may
//! come weeks and two binaries later, and has nothing but this.
//!
//! A version without a file gets one from `SNAPSHOTS=overwrite cargo nextest run -E 'test(laws::intents)'`; one that is
//! there is never written over.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uplift::{
    primitives::contract::{Catalogue, Kind, Verb},
    sim::Fault,
};

use super::{
    FINISHED, not_restored,
    trial::Trial,
    worlds::{Start, WORLDS},
};

/// An intent, and the world on which it was decided.
#[derive(Serialize, Deserialize)]
struct Golden {
    primitive: String,
    version: u32,
    world: String,
    intent: Value,
}

impl Golden {
    fn start(&self) -> &'static Start {
        let found = WORLDS.iter().find(|start| start.name == self.world);
        found.unwrap_or_else(|| {
            panic!("`{}-{}` needs the world `{}`", self.primitive, self.version, self.world)
        })
    }

    /// As it would be decided today.
    async fn today(verb: &Verb) -> Self {
        for start in WORLDS {
            let Ok(trial) = Trial::begin(verb, start).await else { continue };
            if trial.executed().await.writes() > 0 {
                let intent = trial.intent.expect("it has begun");
                let (primitive, version) = (verb.name.to_owned(), verb.version);
                return Self { primitive, version, world: start.name.to_owned(), intent };
            }
        }
        panic!("`{}` writes on no world", verb.name)
    }
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/laws/intents"].iter().collect()
}

fn all() -> Vec<Golden> {
    let mut files: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let golden: Golden = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let name = format!("{}-{}.json", golden.primitive, golden.version);
        assert!(path.ends_with(&name), "`{}` holds `{name}`", path.display());
        golden
    };
    files.iter().map(read).collect()
}

/// The names that lead to each value of it, and what kind of value it is; not how many there are.
fn shape(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                shape(value, &format!("{at}.{name}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| shape(value, &format!("{at}[]"), found)),
        // Whether there is one is another question on every world.
        Value::Null => {}
        Value::Bool(_) => drop(found.insert(format!("{at}: yes or no"))),
        Value::Number(_) => drop(found.insert(format!("{at}: number"))),
        Value::String(_) => drop(found.insert(format!("{at}: text"))),
    }
}

/// What was written under this version and is written so no more.
fn forgotten(golden: &Value, today: &Value) -> Vec<String> {
    let (mut then, mut now) = (BTreeSet::new(), BTreeSet::new());
    shape(golden, "", &mut then);
    shape(today, "", &mut now);
    then.difference(&now).cloned().collect()
}

/// Another shape is another version: else nobody would notice that the old one cannot be read any more.
#[tokio::test]
async fn each_effect_decides_what_its_version_says() {
    let write = std::env::var("SNAPSHOTS").is_ok_and(|what| what == "overwrite");
    let mut wrong = Vec::new();
    for verb in Catalogue::stock().iter().filter(|verb| verb.kind == Kind::Effect) {
        let today = Golden::today(verb).await;
        let path = folder().join(format!("{}-{}.json", verb.name, verb.version));
        if !path.exists() && write {
            fs::write(&path, serde_json::to_string_pretty(&today).unwrap() + "\n").unwrap();
        }
        let Ok(text) = fs::read_to_string(&path) else {
            wrong.push(format!(
                "what version {} of `{}` decides is kept nowhere: \
                 SNAPSHOTS=overwrite cargo nextest run -E 'test(laws::intents)'",
                verb.version, verb.name
            ));
            continue;
        };
        let golden: Golden = serde_json::from_str(&text).unwrap();
        let there = Trial::begin(verb, golden.start()).await.expect("it was decided there").intent.unwrap();
        let lacks = forgotten(&golden.intent, &there);
        if !lacks.is_empty() {
            wrong.push(format!(
                "`{}` no longer writes {lacks:?}: raise its `VERSION`, and let `read_intent` read version {}",
                verb.name, verb.version
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// From what stands in the file alone, and whatever had become of it.
#[tokio::test]
async fn what_any_version_decided_is_taken_back_today() {
    let catalogue = Catalogue::stock();
    let mut broken = Vec::new();
    for golden in all() {
        let name = format!("{}-{}", golden.primitive, golden.version);
        let Some(verb) = catalogue.get(&golden.primitive) else {
            broken.push(format!("`{name}`: nobody can take back any more what it did"));
            continue;
        };
        let kept = verb.kept().expect("an effect");
        for words in [
            kept.summary(golden.version, golden.intent.clone()),
            kept.undo_summary(golden.version, golden.intent.clone()),
        ] {
            if !words.as_ref().is_ok_and(|words| !words.is_empty()) {
                broken.push(format!("`{name}`: {words:?}"));
            }
        }
        let there = Trial::begin(verb, golden.start()).await.expect("it was decided there");
        let begun = there.recorded(golden.version, &golden.intent);
        let done = begun.executed().await;
        let mut tries = vec![("if it never began".to_owned(), begun.again())];
        for n in 1..=done.writes() {
            tries.push((format!("cut short at write {n}"), begun.faulty(n, Fault::FailAfter).await));
        }
        if done.outcome.is_err() || done.writes() == 0 {
            broken.push(format!("`{name}` does nothing from it: {:?}", done.outcome));
        }
        tries.push((FINISHED.to_owned(), done));
        for (when, trial) in tries {
            broken.extend(not_restored(&trial).await.map(|why| format!("`{name}`, {when}: {why}")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What a later uplift has decided is not guessed at, and neither is what nobody has.
#[test]
fn a_version_that_is_not_known_is_refused() {
    for golden in all() {
        let catalogue = Catalogue::stock();
        let verb = catalogue.get(&golden.primitive).expect("it is in stock");
        for version in [0, verb.version + 1] {
            let read = verb.kept().expect("an effect").undo_summary(version, golden.intent.clone());
            let code = read.map_err(|failure| failure.code);
            assert_eq!(code, Err("intent_version".to_owned()), "`{}` {version}", golden.primitive);
        }
    }
}
