//! What a plan says that will be seen, in the observer's own sentences.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{fact::Facts, names::Names};

/// Everything that a plan says will be seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Foretold {
    facts: Facts,
    /// Files and folders that are added, as they will be called, with what is said of their size.
    pub(super) added: BTreeMap<String, Added>,
    /// Sizes of databases that are added, by the names that they have in the end.
    pub(super) databases: BTreeMap<String, u64>,
    /// Every name that anything has in between.
    pub(super) ever: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Added {
    /// Folders have none.
    pub(super) bytes: Option<u64>,
    pub(super) what: String,
}

/// The calls of a plan in their order.
pub(super) fn calls(plan: &Value) -> Vec<&Value> {
    let steps = plan["steps"].as_array().into_iter().flatten();
    steps.flat_map(|step| step["calls"].as_array().into_iter().flatten()).collect()
}

fn writes(call: &Value) -> &[Value] {
    call["writes"].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl Foretold {
    /// What the whole of a plan says.
    pub(super) fn all(plan: &Value, names: &Names) -> Self {
        let mut told = Self::default();
        for write in calls(plan).into_iter().flat_map(writes) {
            told.write(write, names);
        }
        told
    }

    /// What it says up to the call that failed: of that, so many writes; then of the way back from there.
    pub(super) fn taken_back(plan: &Value, failed: &str, writes_of_it: usize, names: &Names) -> Self {
        let all = calls(plan);
        let at = all.iter().position(|call| call["address"] == failed);
        let done = &all[..=at.unwrap_or_else(|| panic!("`{failed}` is not in the plan"))];
        let mut told = Self::default();
        for call in done {
            let count = if call["address"] == failed { writes_of_it } else { usize::MAX };
            writes(call).iter().take(count).for_each(|write| told.write(write, names));
        }
        for call in done.iter().rev() {
            told.back(call, names);
        }
        told
    }

    /// All sentences, those about files too.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = self.facts.clone();
        for (name, _) in self.added.iter().filter(|(_, added)| added.bytes.is_some()) {
            facts.add(format!("{name} is added"));
        }
        facts
    }

    /// A sentence that follows from something else than the plan.
    pub(super) fn also(mut self, fact: impl Into<String>) -> Self {
        self.facts.add(fact);
        self
    }

    fn write(&mut self, write: &Value, names: &Names) {
        let change = &write["change"];
        let of = |name: &str| names.plain(text(change, name));
        match text(change, "change") {
            "file" => {
                self.ever.insert(of("path"));
                let diff = text(change, "diff").lines().skip(2);
                let lines: Vec<_> = diff.filter(|line| line.starts_with(['+', '-'])).collect();
                self.facts.add(format!("{}: {}", of("path"), lines.join(" ")));
            }
            "added" => self.add(of("path"), change, &names.plain(text(write, "shell"))),
            "removed" => self.remove(&of("path")),
            "image" => self.facts.add(format!("image `{}` is added, {}", of("reference"), of("digest"))),
            "tag" => self.facts.add(format!("image `{}` is named `{}`", of("image"), of("reference"))),
            "tree" => self.facts.add(format!("{} {}", of("path"), of("what"))),
            kind if kind.starts_with("database") => self.database(kind, change, names),
            kind => self.container(kind, change, names),
        }
    }

    fn container(&mut self, kind: &str, change: &Value, names: &Names) {
        let of = |name: &str| names.plain(text(change, name));
        let (service, image) = (of("service"), of("image"));
        let id = |name: &str| names.container(text(change, name));
        match kind {
            "service_down" => {
                self.facts.add(format!("container {} of `{service}` goes down", id("container")));
            }
            "service_up" => {
                if change["replaces"].is_string() {
                    self.facts.add(format!("a container of `{service}` is made from `{image}`"));
                    self.facts.add(format!("container {} of `{service}` is removed", id("replaces")));
                }
                self.facts.add(format!("`{service}` comes up from `{image}`"));
            }
            "container_removed" => {
                self.facts.add(format!("container {} of `{service}` is removed", id("container")));
            }
            "restart_policy" => {
                let (from, to) = (of("from"), of("to"));
                self.facts.add(format!("restart policy of `{service}`: `{from}` becomes `{to}`"));
            }
            "trial" => self.facts.add(format!("`{image}` is tried as `{service}`")),
            _ => panic!("nobody knows how this is seen: {change}"),
        }
    }

    fn database(&mut self, kind: &str, change: &Value, names: &Names) {
        let (name, what) = (names.plain(text(change, "name")), names.plain(text(change, "what")));
        match kind {
            "database_added" => {
                self.databases.extend(change["bytes"].as_u64().map(|bytes| (name.clone(), bytes)));
                if let Some(of) = what.strip_prefix("copy of ") {
                    self.facts.add(format!("database `{name}` is added as a copy of {of}"));
                } else {
                    self.facts.add(format!("database `{name}` is added, empty"));
                    self.facts.add(format!("database `{name}` is filled from a dump"));
                }
            }
            "database_removed" => self.facts.add(format!("database `{name}` is dropped")),
            _ => {
                if let Some(new) = what.strip_prefix("becomes ")
                    && let Some(bytes) = self.databases.remove(&name)
                {
                    self.databases.insert(new.trim_matches('`').to_owned(), bytes);
                }
                self.facts.add(format!("database `{name}`: {what}"));
            }
        }
    }

    fn add(&mut self, path: String, change: &Value, shell: &str) {
        self.ever.insert(path.clone());
        // A folder that gets its own name takes along what is in it.
        if let Some(from) =
            shell.strip_prefix("mv -T ").and_then(|rest| rest.strip_suffix(&format!(" {path}")))
        {
            let inside: Vec<_> = self.added.keys().filter(|name| is_in(name, from)).cloned().collect();
            for name in inside {
                let moved = format!("{path}{}", &name[from.len()..]);
                let added = self.added.remove(&name).unwrap();
                self.ever.insert(moved.clone());
                self.added.insert(moved, added);
            }
            return;
        }
        let added = Added { bytes: change["bytes"].as_u64(), what: text(change, "what").to_owned() };
        self.added.insert(path, added);
    }

    fn remove(&mut self, path: &str) {
        let before = self.added.len();
        self.added.retain(|name, _| !is_in(name, path));
        if self.added.len() == before {
            self.facts.add(format!("{path} is removed"));
        }
    }

    /// What taking a call back will be seen as, by what the plan says of it.
    fn back(&mut self, call: &Value, names: &Names) {
        let undo = text(call, "undo").to_owned();
        let begins = |start: &str| undo.starts_with(start);
        if undo.is_empty() || begins("the backup stays") || begins("the images stay") {
            return;
        }
        if begins("remove the trial's container") {
            let trial = format!("{}-trial-plan", names.project);
            self.facts.add(format!("container new of `{trial}` is removed"));
            let log = format!("./.uplift/kept/plan/logs/{trial}-new.log");
            self.facts.add(format!("{log} is added"));
            self.ever.insert(log);
            return;
        }
        for write in writes(call) {
            let change = &write["change"];
            let of = |name: &str| names.plain(text(change, name));
            match text(change, "change") {
                "service_down" if begins("start again what ran") => {
                    let service = of("service");
                    self.facts.add(format!("`{service}` comes up from `{}`", names.images[&service]));
                }
                "restart_policy" if begins("start again what ran") => {
                    let (service, was, is) = (of("service"), of("from"), of("to"));
                    self.facts.add(format!("restart policy of `{service}`: `{is}` becomes `{was}`"));
                }
                // Definitions and policies stay with the run.
                "added" if begins("start again what ran") => {}
                // The note of them goes with all that is in it.
                "added" if begins("put back what the release has deleted") => {
                    self.added.retain(|name, _| !is_in(name, &of("path")));
                }
                "database_added" if begins("put the copies in the databases' places") => {
                    self.exchanged(&of("name"), of("what").trim_start_matches("copy of ").trim_matches('`'));
                }
                "database" if begins("put the copies in the databases' places") => {}
                _ => panic!("nobody knows how `{undo}` is seen of {change}"),
            }
        }
    }

    /// A copy takes the place of the database that it was made of.
    fn exchanged(&mut self, copy: &str, of: &str) {
        let failed = format!("{of}__failed_plan");
        for (name, what) in [
            (of, "keeps everybody out".to_owned()),
            (of, format!("becomes `{failed}`")),
            (copy, format!("becomes `{of}`")),
            (of, "gets owner, rights, settings and comment as they were".to_owned()),
            (&failed, "gets owner, rights, settings and comment as they were".to_owned()),
            (of, "lets sessions in again".to_owned()),
        ] {
            self.facts.add(format!("database `{name}`: {what}"));
        }
        if let Some(bytes) = self.databases.remove(copy) {
            self.databases.insert(of.to_owned(), bytes);
        }
    }
}

fn is_in(name: &str, folder: &str) -> bool {
    name == folder || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
