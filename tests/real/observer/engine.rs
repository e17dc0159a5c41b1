//! What the engine says that happens on it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use super::{super::Field, fact::Facts, names::Names};
use crate::lab::{Shell, Started};

/// One thing that happened.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    kind: String,
    action: String,
    id: String,
    attributes: BTreeMap<String, String>,
    /// The container's restart policy right after it was changed.
    policy: Option<String>,
}

impl Happening {
    fn read(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let attributes = event.pointer("/Actor/Attributes").cloned().unwrap_or_default();
        Some(Self {
            kind: text("/Type")?,
            action: text("/Action")?,
            id: text("/Actor/ID")?,
            attributes: serde_json::from_value(attributes).unwrap_or_default(),
            policy: None,
        })
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Listens to the engine.
#[derive(Debug)]
pub(super) struct Ear {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<Happening>>>,
    work: JoinHandle<()>,
}

const PAUSE: Duration = Duration::from_millis(10);

impl Ear {
    pub(super) fn open(field: &Field, since: &str) -> Self {
        let docker = field.stack.tools().docker();
        let events = docker.clone().args("events --format").arg("{{json .}}").arg("--since").arg(since);
        let events = events.start().unwrap();
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, into) = (Arc::clone(&stop), Arc::clone(&heard));
        let work = thread::spawn(move || {
            let mut read = 0;
            loop {
                let last = stopped.load(Ordering::Relaxed);
                read += hear(&events, read, &docker, &into);
                if last {
                    return;
                }
                thread::sleep(PAUSE);
            }
        });
        Self { stop, heard, work }
    }

    /// All that was heard until now.
    pub(super) fn close(self) -> Vec<Happening> {
        // The engine tells of something a moment after it was done.
        thread::sleep(Duration::from_millis(500));
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().unwrap();
        self.heard.lock().unwrap().clone()
    }
}

/// Bytes of whole lines that were said beyond those that were read.
fn hear(events: &Started, read: usize, docker: &Shell, into: &Mutex<Vec<Happening>>) -> usize {
    let said = events.stdout();
    let new = &said[read..];
    let Some(end) = new.rfind('\n') else { return 0 };
    for mut one in new[..end].lines().filter_map(Happening::read) {
        if one.kind == "container" && one.action == "update" {
            let inspect = docker.clone().args("inspect -f {{.HostConfig.RestartPolicy.Name}}").arg(&one.id);
            one.policy = inspect.output().ok();
        }
        into.lock().unwrap().push(one);
    }
    end + 1
}

/// The containers that were made.
pub(super) fn made(heard: &[Happening], names: &Names) -> Vec<String> {
    let made = heard.iter().filter(|one| one.kind == "container" && one.action == "create");
    made.filter(|one| one.is_of(names)).map(|one| one.id.clone()).collect()
}

/// What changed on the engine of the site's things, and of the images that it is offered.
pub(super) fn facts(heard: &[Happening], names: &Names) -> Facts {
    let mut facts = Facts::default();
    let mut hand = Hand { policies: names.policies.clone(), pulled: BTreeMap::new(), names };
    for one in heard.iter().filter(|one| one.is_of(names)) {
        let fact = match one.kind.as_str() {
            "container" => hand.container(one),
            "image" => hand.image(one),
            "volume" => hand.volume(one),
            // What a container does when it comes and goes.
            "network" if matches!(one.action.as_str(), "connect" | "disconnect") => None,
            _ => Some(one.in_words()),
        };
        if let Some(fact) = fact {
            facts.add(names.plain(&fact));
        }
    }
    facts
}

impl Happening {
    /// It is about the site or its images. Others work on the same engine.
    fn is_of(&self, names: &Names) -> bool {
        let own = |name: &str| name.starts_with(&format!("{}-", names.project));
        let called = self.attribute("name");
        match self.kind.as_str() {
            "container" => own(called) || self.attribute("com.docker.compose.project") == names.project,
            "image" => [called, &self.id].iter().any(|name| name.contains(&names.registry)),
            _ => [called, &self.id].iter().any(|name| name.starts_with(&format!("{}_", names.project))),
        }
    }

    /// As it was said, for what nobody has a sentence for.
    fn in_words(&self) -> String {
        let name = if self.attribute("name").is_empty() { &self.id } else { self.attribute("name") };
        format!("{} `{name}`: {}", self.kind, self.action)
    }
}

/// The health check of the vendor's compose file, which the engine makes by itself.
const HEALTH: &str = ": curl -f http://127.0.0.1:80/up";

struct Hand<'a> {
    /// As they were set last, by container.
    policies: BTreeMap<String, String>,
    /// Digests that were brought and have no name yet, by repository.
    pulled: BTreeMap<String, String>,
    names: &'a Names,
}

impl Hand<'_> {
    fn container(&mut self, one: &Happening) -> Option<String> {
        let aside = one.attribute("com.docker.compose.oneoff") == "True";
        let service = one.attribute(if aside { "name" } else { "com.docker.compose.service" });
        let (image, id) = (one.attribute("image"), self.names.container(&one.id));
        match one.action.as_str() {
            "create" if aside => {
                let service = one.attribute("com.docker.compose.service");
                Some(format!("`{image}` is tried as `{service}`"))
            }
            "create" => Some(format!("a container of `{service}` is made from `{image}`")),
            // A trial is made and started at once.
            "start" if aside && id == "new" => None,
            "start" => Some(format!("`{service}` comes up from `{image}`")),
            "die" => Some(format!("container {id} of `{service}` goes down")),
            "destroy" => Some(format!("container {id} of `{service}` is removed")),
            "update" => {
                let to = one.policy.clone().unwrap_or_else(|| "?".to_owned());
                let from = self.policies.insert(one.id.clone(), to.clone());
                let from = from.unwrap_or_else(|| "?".to_owned());
                Some(format!("restart policy of `{service}`: `{from}` becomes `{to}`"))
            }
            // On the way to its end, and what the engine itself looks at.
            "kill" | "stop" => None,
            // Compose makes the next one under another name, and gives it the usual one when it is free.
            "rename" if id == "new" && one.attribute("name") == usual(self.names, service) => None,
            action if action.starts_with("health_status") => None,
            action if action.starts_with("exec_") && action.contains(HEALTH) => None,
            "exec_die" => None,
            _ => Some(one.in_words()),
        }
    }

    fn image(&mut self, one: &Happening) -> Option<String> {
        let name = one.attribute("name");
        match (one.action.as_str(), one.id.split_once('@')) {
            // Reading what is in it.
            ("save", _) => None,
            ("pull", Some((repository, digest))) => {
                self.pulled.insert(repository.to_owned(), digest.to_owned());
                None
            }
            ("tag", _) => {
                let digest = name.rsplit_once(':').and_then(|(repository, _)| self.pulled.remove(repository));
                Some(match digest {
                    Some(digest) => format!("image `{name}` is added, {digest}"),
                    None => format!("image `{}` is named `{name}`", one.id),
                })
            }
            _ => Some(format!("image `{}`: {}", one.id, one.action)),
        }
    }

    fn volume(&self, one: &Happening) -> Option<String> {
        match one.action.as_str() {
            // Said also of a volume that is there.
            "create" if self.names.volumes.contains(&one.id) => None,
            "mount" | "unmount" => None,
            _ => Some(one.in_words()),
        }
    }
}

fn usual(names: &Names, service: &str) -> String {
    format!("{}-{service}-1", names.project)
}
