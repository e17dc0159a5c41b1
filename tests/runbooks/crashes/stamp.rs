//! An effect that shows in its world how often it was done, once for each rule of what to do when nobody knows.

use std::sync::atomic::{AtomicUsize, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue, Failure, World,
    event::Refusal,
    ports::{
        Observe, Operate,
        files::{File, Remove, WriteFile},
    },
    primitives::contract::{Back, Effect, Found, Undone, WhenUnknown},
};

pub(super) const REPEAT: u8 = 0;
pub(super) const PROBE: u8 = 1;
pub(super) const ASK: u8 = 2;

/// Writes a file. Doing it again is not the same: each time counts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stamp<const CLASS: u8> {
    name: String,
    /// It fails the first time, in a way that passes.
    #[serde(default)]
    flaky: bool,
}

/// Where a process is to die: `execute:2` the second time that it comes to `execute`.
pub(super) const POINT: &str = "UPLIFT_TEST_POINT";

/// Dies here, if it is here that it is to die. A rehearsal dies nowhere.
fn point(run: &str, name: &str) {
    static COME: AtomicUsize = AtomicUsize::new(0);
    let wanted = std::env::var(POINT).unwrap_or_default();
    let Some((_, number)) = wanted.split_once(':').filter(|(point, _)| *point == name && run != "plan")
    else {
        return;
    };
    if number.parse() == Ok(COME.fetch_add(1, Ordering::Relaxed) + 1) {
        std::process::abort();
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Intent {
    path: String,
    flaky: bool,
}

pub(super) fn path(name: &str) -> String {
    format!("/srv/strata/stamp-{name}")
}

fn write(path: &str) -> WriteFile {
    let file = File { bytes: b"stamped\n".to_vec(), mode: 0o600, uid: 1000, gid: 1000 };
    WriteFile { path: path.into(), file, what: "stamp".to_owned() }
}

impl<const CLASS: u8> Effect for Stamp<CLASS> {
    const NAME: &'static str = match CLASS {
        REPEAT => "stamp_repeat",
        PROBE => "stamp_probe",
        _ => "stamp_ask",
    };
    type Intent = Intent;
    type Outcome = ();

    fn example() -> Self {
        Self { name: "a".to_owned(), flaky: false }
    }

    fn when_unknown(&self) -> WhenUnknown {
        match CLASS {
            REPEAT => WhenUnknown::Repeat,
            PROBE => WhenUnknown::Probe,
            _ => WhenUnknown::Ask,
        }
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        point(site.run, "intend");
        Ok(Intent { path: path(&self.name), flaky: self.flaky })
    }

    fn result((): &()) -> String {
        "stamped".to_owned()
    }

    fn summary(intent: &Intent) -> String {
        format!("stamp `{}`", intent.path)
    }

    fn undo_summary(intent: &Intent) -> String {
        format!("removes `{}`", intent.path)
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<()>, Failure> {
        point(site.run, "probe");
        if CLASS == ASK {
            return Ok(Found::CannotTell("nobody may look at it".to_owned()));
        }
        let there = site.files.read(intent.path.as_ref()).await?.is_some();
        Ok(if there { Found::Applied(()) } else { Found::NotApplied })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<(), Failure> {
        point(site.run, "execute");
        let tried = format!("{}.tried", intent.path);
        if intent.flaky && site.files.read(tried.as_ref()).await?.is_none() {
            site.files.write(&write(&tried)).await?;
            return Err(Failure::new("flaky", "not yet").retryable());
        }
        site.files.write(&write(&intent.path)).await?;
        point(site.run, "executed");
        Ok(())
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        point(site.run, "undo");
        for path in [format!("{}.tried", intent.path), intent.path.clone()] {
            site.files.remove(&Remove { path: path.into(), what: "stamp".to_owned() }).await?;
        }
        point(site.run, "undone");
        Ok(Undone::restored("the stamp is gone"))
    }
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::stock().effect::<Stamp<REPEAT>>().effect::<Stamp<PROBE>>().effect::<Stamp<ASK>>()
}

pub(super) fn runbook(class: u8) -> String {
    let verb = ["stamp_repeat", "stamp_probe", "stamp_ask"][usize::from(class)];
    format!(
        "const RUNBOOK = #{{ api: 1, summary: \"stamp twice\", on_failure: \"pause\" }};\n\
         step \"first\" {{ {verb}(#{{ name: \"a\" }}); }}\n\
         step \"second\" with #{{ retries: 2 }} {{ {verb}(#{{ name: \"b\", flaky: true }}); }}\n"
    )
}

/// How often it was done in this world, and whether it shows.
pub(super) fn done(world: &World, name: &str) -> (usize, bool) {
    let line = format!("write {}", path(name));
    (world.log().iter().filter(|one| **one == line).count(), world.file(path(name)).is_some())
}
