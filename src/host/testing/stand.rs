//! The bench that a test runs on: its sites, and the answers to what it asks of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    played::Played,
    ready::ready,
    suite::Ground,
    told::{self, Came},
};
use crate::{
    clients::Scratch,
    event::Failure,
    script::{Bench, TestCall},
    sim::{Fault, World},
    site::Span,
};

pub(super) struct Stand {
    pub(super) ground: Arc<Ground>,
    pub(super) folder: PathBuf,
    pub(super) scratch: Arc<Scratch>,
    /// What the names of its folders begin with.
    pub(super) name: String,
    pub(super) cancel: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) sites: Mutex<Vec<Arc<Played>>>,
    /// How often it was asked for something that takes time or memory.
    pub(super) asked: AtomicUsize,
    pub(super) heard: Mutex<Heard>,
}

/// Simulated sites of one test. Each has all of its files and databases in memory.
const SITES: usize = 100;
/// Plans, runs and the like in one test.
const RUNS: usize = 1_000;

/// What somebody wants to know of a test that failed.
#[derive(Default)]
pub(super) struct Heard {
    /// What it has printed.
    pub(super) said: Vec<String>,
    /// How its runs ended, in a line each.
    pub(super) runs: Vec<String>,
}

impl Bench for Stand {
    fn ask(&self, call: TestCall) -> Result<Value, Failure> {
        self.runtime.block_on(self.answer(call))
    }

    fn print(&self, text: &str) {
        lock(&self.heard).said.push(text.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn unmet(&self) -> Option<Failure> {
        let sites = lock(&self.sites);
        let line = sites.iter().find_map(|site| site.never_struck())?;
        let text = format!("nothing went wrong at `{line}`: no change of that site began with it");
        Some(Failure::new("fault_unmet", text).hint(
            "see how the lines of its changes begin: `print(site.log)`; a test that lets nothing go wrong wants no `fault`",
        ))
    }
}

impl Stand {
    async fn answer(&self, call: TestCall) -> Result<Value, Failure> {
        let TestCall { name, site, given } = call;
        let given = Given { name, all: given };
        let takes_time = site.is_none() || ["plan", "run", "resume", "rollback"].contains(&name);
        if takes_time && self.asked.fetch_add(1, Ordering::Relaxed) >= RUNS {
            return Err(without_end(&format!("plans and runs something {RUNS} times")));
        }
        let Some(site) = site else { return self.simulated(&given).await };
        let site = lock(&self.sites).get(site).cloned();
        let site = site.ok_or_else(|| Failure::inside("no_such_site", "a site of another test was asked"))?;
        match name {
            "plan" => {
                let plan = site.plan(given.text(0)?, given.values(1)?).await?;
                Ok(told::plan(&plan))
            }
            "run" => {
                let runbook = given.text(0)?;
                let came = site.run(runbook, given.values(1)?).await?;
                Ok(self.came(&format!("`{runbook}`"), came))
            }
            "resume" => {
                let answer = (!given.all.is_empty()).then(|| given.text(0).map(str::to_owned)).transpose()?;
                Ok(self.came("resume", site.resume(answer).await?))
            }
            "rollback" => Ok(self.came("rollback", site.rollback(given.values(0)?).await?)),
            _ => changed(&site, &given).or_else(|| seen(&site, name)).unwrap_or_else(|| {
                Err(Failure::inside("no_such_function", format!("nobody answers `{name}`")))
            }),
        }
    }

    fn came(&self, what: &str, came: Came) -> Value {
        lock(&self.heard).runs.push(came.line(what));
        came.value()
    }

    async fn simulated(&self, given: &Given) -> Result<Value, Failure> {
        let name = given.text(0)?;
        let text = if Path::new(name).extension().is_some_and(|end| end == "toml") {
            let path = self.folder.join(name);
            let file = self.ground.files.read(&path).await?.ok_or_else(|| {
                Failure::new("no_such_site", format!("there is no world file `{}`", path.display()))
                    .hint("its path begins at the folder of the test; `docs/simulate.md` tells what it holds")
            })?;
            String::from_utf8_lossy(&file.bytes).into_owned()
        } else {
            ready(name)?.to_owned()
        };
        let says = given.all.get(1).cloned().unwrap_or_else(|| json!({}));
        if !says.is_object() {
            return Err(given.wrong("what is said of the site is a map: `simulated(\"plain\", #{ users: #{ orders_per_second: 5 } })`"));
        }
        if lock(&self.sites).len() >= SITES {
            return Err(without_end(&format!("makes {SITES} sites")));
        }
        let world = World::written_with(&text, &says)?;
        // What its test has put there stays.
        self.ground.own.put(&world, &world.site().project.dir, |path| world.file(path).is_none());
        let mut sites = lock(&self.sites);
        let state = format!("{}-{}", self.name, sites.len());
        self.scratch.folder(&state)?;
        let whose = (Arc::clone(&self.ground), self.folder.clone());
        let played = Played::new(whose, (Arc::clone(&self.scratch), state), world, self.cancel.clone());
        sites.push(Arc::new(played));
        Ok(json!(sites.len() - 1))
    }
}

fn without_end(what: &str) -> Failure {
    let text = format!("this test {what}, and goes on");
    Failure::new("too_many_calls", text).hint("look for a loop that never stops; or make several tests of it")
}

/// What comes from elsewhere: somebody edits a file, something breaks, time passes.
fn changed(site: &Played, given: &Given) -> Option<Result<Value, Failure>> {
    let world = site.world();
    let done = || -> Result<Option<Value>, Failure> {
        match given.name {
            "fault" => {
                let (at, how) = (given.text(0)?, given.text(1)?);
                if at.is_empty() {
                    return Err(given.wrong(
                        "name the beginning of a line, e.g. `site.fault(\"up web\", \"fail_after\")`",
                    ));
                }
                let fault: Fault =
                    serde_json::from_value(json!(how)).map_err(|error| given.wrong(&error.to_string()))?;
                site.fault(at, fault);
            }
            "put" => world.put_file(site.path(given.text(0)?), given.text(1)?, 0o644),
            "remove" => world.remove_file(site.path(given.text(0)?)),
            "file" => {
                let file = world.file(site.path(given.text(0)?));
                return Ok(Some(json!(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))));
            }
            "variable" => world.put_variable(given.text(0)?, given.text(1)?),
            "wait" => {
                let time: Span = given.text(0)?.parse().map_err(|why: String| given.wrong(&why))?;
                world.advance(time.0);
            }
            _ => return Ok(None),
        }
        Ok(Some(Value::Null))
    };
    done().transpose()
}

/// How the site is.
fn seen(site: &Played, name: &str) -> Option<Result<Value, Failure>> {
    let world = site.world();
    Some(Ok(match name {
        "version" => services(&world).get(&world.site().web.name).map_or(Value::Null, |web| {
            if web["running"] == true { web["version"].clone() } else { Value::Null }
        }),
        "services" => Value::Object(services(&world)),
        "databases" => databases(&world),
        "backups" => {
            let made = site.runs().and_then(|runs| runs.backups_made().map_err(|error| error.failure()));
            return Some(made.map(|made| json!(made)));
        }
        "started" => json!(world.started().into_iter().map(|one| one.command).collect::<Vec<_>>()),
        "asked" => {
            let asked = world.asked().into_iter();
            json!(
                asked
                    .map(|one| json!({
                        "request": one.what, "headers": one.headers, "bearer": one.bearer, "body": one.body,
                    }))
                    .collect::<Vec<_>>()
            )
        }
        "notices" => json!(world.notices()),
        "posted" => json!(world.posted()),
        "log" => json!(world.log()),
        "unfinished" => {
            let open = site.runs().and_then(|runs| runs.unfinished().map_err(|error| error.failure()));
            return Some(open.map(|open| json!(open.map(|run| run.id))));
        }
        "lost_orders" => json!(world.lost_orders()),
        _ => return None,
    }))
}

fn services(world: &World) -> Map<String, Value> {
    let mut found: Map<String, Value> = Map::new();
    let known = world.site().services;
    for one in world.containers() {
        let Some(name) = one.service().filter(|name| known.iter().any(|known| known == name)) else {
            continue;
        };
        let running = one.is_running();
        if found.get(name).is_some_and(|other| other["running"] == true) && !running {
            continue;
        }
        let version = one.image.rsplit_once(':').map(|(_, tag)| tag);
        found.insert(
            name.to_owned(),
            json!({ "running": running, "version": version, "restart": one.restart_policy }),
        );
    }
    found
}

fn databases(world: &World) -> Value {
    let all = world.running().databases.into_iter().map(|(name, one)| {
        let rows: BTreeMap<_, _> = one.tables.into_iter().map(|table| (table.name, table.rows)).collect();
        (name, json!({ "migrations": one.versions, "rows": rows, "open": one.open }))
    });
    Value::Object(all.collect())
}

/// What stands in the brackets.
struct Given {
    name: &'static str,
    all: Vec<Value>,
}

impl Given {
    fn wrong(&self, why: &str) -> Failure {
        Failure::new("bad_option", format!("`{}`: {why}", self.name))
            .hint("`docs/testing.md` lists what a test can say")
    }

    fn text(&self, at: usize) -> Result<&str, Failure> {
        let ordinal = ["first", "second"].get(at).unwrap_or(&"next");
        self.all
            .get(at)
            .and_then(Value::as_str)
            .ok_or_else(|| self.wrong(&format!("the {ordinal} of what it is given has to be a text")))
    }

    /// A map of plain values, as flags of the command line take them.
    fn values(&self, at: usize) -> Result<BTreeMap<String, String>, Failure> {
        let Some(given) = self.all.get(at) else { return Ok(BTreeMap::new()) };
        let Value::Object(map) = given else {
            return Err(self.wrong("parameters are a map: `#{ to: \"1.1.0\" }`"));
        };
        let plain = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Bool(_) | Value::Number(_) => Ok((name.clone(), value.to_string())),
            _ => Err(self.wrong(&format!("`{name}` is a text, a number, `true` or `false`"))),
        };
        map.iter().map(plain).collect()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
