//! A site that is looked at from all sides while something is done to it.

use std::{fs, path::PathBuf, time::SystemTime};

use serde_json::Value;

use super::{
    Facts, Field, Foretold, LOCK, Names, Registry, Screen, Seen, Shape, Tree, calls,
    compared::{dumps, unlike},
    engine::{self, Ear},
    files::{self, Eye},
    lab,
    server::{self, tell_all},
    sizes,
};
use crate::lab::Shell;

/// A site of its own with a registry of its own: what is pulled from it, this site has pulled.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) field: Field,
    pub(super) registry: Registry,
}

/// Rows and files large enough that a size says something.
const ROWS: &str = "CREATE TABLE ballast AS SELECT n, md5(n::text) || md5((-n)::text) AS text \
                    FROM generate_series(1, 60000) n; ALTER TABLE ballast OWNER TO strata";
const FILE: usize = 2 << 20;

impl Site {
    /// One that runs `release`, with orders, and with `others` to be had.
    pub(super) fn at(release: &str, others: &[&str]) -> Self {
        let registry = Registry::start(&lab().tools, &lab().images).unwrap();
        for one in [&[release], others].concat() {
            registry.push(one).unwrap();
        }
        let field = Field::behind(&registry, Shape::Present, release);
        field.stack.psql("strata_production", ROWS).unwrap();
        let site = Self { field, registry };
        site.upload("ballast", FILE);
        let field = &site.field;
        field.first_orders();
        tell_all(field);
        site
    }

    /// A file of chance, so that no packing makes it smaller.
    pub(super) fn upload(&self, name: &str, bytes: usize) {
        let mut file = Vec::with_capacity(bytes);
        let mut hash = blake3::hash(name.as_bytes());
        while file.len() < bytes {
            file.extend_from_slice(hash.as_bytes());
            hash = blake3::hash(hash.as_bytes());
        }
        fs::write(self.field.stack.storage().unwrap().join(name), file).unwrap();
    }

    /// What was seen of the site while something was done.
    pub(super) fn watched<T>(&self, act: impl FnOnce() -> T) -> (T, Seen) {
        let field = &self.field;
        let volume = field.stack.storage().unwrap();
        let folders = vec![field.dir().to_owned(), volume.parent().unwrap().to_owned()];
        let look = || folders.iter().flat_map(|folder| files::look(folder)).collect::<Tree>();
        let before = look();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let since = format!("{since:.6}");
        let (ear, eye) = (Ear::open(field, &since), Eye::open(folders.clone()));
        let done = act();
        let (names, happenings) = (eye.close(), ear.close());
        let statements = server::told(field, &since);
        (done, Seen { happenings, statements, before, after: look(), names })
    }

    /// The plan of a command, which was seen to change nothing.
    pub(super) fn planned(&self, words: &str) -> Value {
        self.field.stack.settle().unwrap();
        let names = Names::look(&self.field, &self.registry.address());
        let words = format!("{words} --dry-run -o json");
        let (screen, seen) = self.watched(|| self.field.uplift(&words).ends(0));
        assert_eq!(
            unlike(&Foretold::default(), &seen, &names),
            Vec::<String>::new(),
            "a plan changed something"
        );
        assert_eq!(seen.touched(), Vec::<&PathBuf>::new(), "a plan changed something");
        assert!(seen.heard_uplift(), "the server has not told what was sent to it");
        screen.json()
    }

    /// The run of a command that was planned, with what was seen and what everything is called.
    pub(super) fn run(&self, words: &str, exit: i32, plan: &Value) -> (Seen, Screen, Names) {
        let mut names = Names::look(&self.field, &self.registry.address()).with_planned(plan);
        let words = format!("{words} -y -o json");
        let (screen, seen) = self.watched(|| self.field.uplift(&words).ends(exit));
        names.made.extend(engine::made(&seen.happenings, &names));
        let json = |line: &str| serde_json::from_str::<Value>(line).ok();
        let said = screen.everything();
        let begun = said.lines().filter_map(json).find(|event| event["event"] == "run_started");
        names.run = begun.and_then(|event| event["run"].as_str().map(str::to_owned));
        assert!(names.run.is_some(), "no run was begun\n{screen}");
        (seen, screen, names)
    }

    /// Plans a command, then runs it: each of the two says the other. Also that this would be noticed, change by change.
    pub(super) fn as_planned(&self, words: &str) -> (Value, Facts) {
        let plan = self.planned(words);
        let (seen, _, names) = self.run(words, 0, &plan);
        let told = Foretold::all(&plan, &names).also(LOCK);
        let mut found = unlike(&told, &seen, &names);
        found.extend(sizes(&told, &self.field, names.run.as_ref().unwrap()));
        assert_eq!(found, Vec::<String>::new(), "`{words}`");
        each_is_missed(&plan, &seen, &names);
        let (at_most, made) = dumps(&told, &seen, &names);
        if at_most > 0 {
            eprintln!("`{words}`: dumps of {made} bytes, at most {at_most} told");
        }
        (plan, told.facts())
    }

    /// A statement as uplift would send it.
    pub(super) fn as_uplift(&self, database: &str, statement: &str) {
        let port = format!("port {} 5432", self.field.stack.postgres());
        let at = self.field.stack.tools().docker().args(&port).output().unwrap();
        let (host, port) = at.lines().next().unwrap().rsplit_once(':').unwrap();
        let psql =
            Shell::new("psql").env("PGPASSWORD", self.field.secret("DB_PASSWORD")).env("PGAPPNAME", "uplift");
        let at = format!("-X -q -h {host} -p {port} -U strata -d {database} -c");
        psql.args(&at).arg(statement).output().unwrap();
    }
}

/// With any one change left out of a plan, what was seen is not what it says.
fn each_is_missed(plan: &Value, seen: &Seen, names: &Names) {
    let mut tried = 0;
    for (call, count) in
        calls(plan).iter().map(|call| call["writes"].as_array().map_or(0, Vec::len)).enumerate()
    {
        for write in 0..count {
            let mut less = plan.clone();
            let change = without(&mut less, call, write);
            // A folder is no news, but for the one that gets its name with everything in it.
            if change["change"] == "added" && change["bytes"].is_null() && change["what"] != "finished backup"
            {
                continue;
            }
            let told = Foretold::all(&less, names).also(LOCK);
            assert!(!unlike(&told, seen, names).is_empty(), "nobody would miss {change}");
            tried += 1;
        }
    }
    eprintln!("{tried} changes, each missed where it is left out");
}

/// Takes a write out of a plan.
fn without(plan: &mut Value, call: usize, write: usize) -> Value {
    let steps = plan["steps"].as_array_mut().unwrap().iter_mut();
    let mut all = steps.flat_map(|step| step["calls"].as_array_mut().unwrap());
    let writes = all.nth(call).unwrap()["writes"].as_array_mut().unwrap();
    writes.remove(write)["change"].clone()
}
