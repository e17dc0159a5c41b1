//! A world as text, so that the next command finds it as this one has left it.

mod forms;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use self::forms::{files, inside, instances};
use super::{state::State, world::World};
use crate::event::Failure;

/// Another number wherever an older text could not be read.
const FORMAT: u32 = 1;
/// What a person takes to read a screen and to type the next command.
const BETWEEN_COMMANDS: Duration = Duration::from_secs(20);
/// So much time passes without a word before it is kept.
const UNKEPT: i64 = 5;

/// What tells the kept worlds of one file from those of another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Of the file that the world was made from.
    pub hash: String,
    /// Where it is kept: paths in the world lie below.
    pub folder: PathBuf,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
    origin: Origin,
}

#[derive(Serialize)]
struct Writing<'a> {
    format: u32,
    origin: &'a Origin,
    state: &'a State,
}

#[derive(Deserialize)]
struct Reading {
    state: State,
}

/// Takes the text of a world.
pub(super) type Keep = dyn Fn(&str) -> Result<(), Failure> + Send + Sync;

/// Who keeps a world, if somebody does.
#[derive(Clone, Default)]
pub(super) struct Keeper {
    origin: Origin,
    keep: Option<Arc<Keep>>,
    /// When it was kept last.
    at: Timestamp,
    /// Something has changed since.
    pub changed: bool,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Keeper").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl State {
    /// What was done counts only once it is kept.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        let Some(keep) = self.keeper.keep.clone() else { return Ok(()) };
        keep(&self.text(&self.keeper.origin)?)?;
        (self.keeper.at, self.keeper.changed) = (self.now, false);
        Ok(())
    }

    fn text(&self, origin: &Origin) -> Result<String, Failure> {
        serde_json::to_string(&Writing { format: FORMAT, origin, state: self }).map_err(|error| {
            Failure::inside("world_not_kept", format!("the simulated world cannot be written: {error}"))
        })
    }

    /// Time that passes is kept once it is worth it.
    pub(super) fn keep_time(&mut self) {
        self.keeper.changed = true;
        if self.now.duration_since(self.keeper.at).as_secs() >= UNKEPT {
            // A disk that takes nothing is told of at the next write, which fails.
            let _told_later = self.keep();
        }
    }
}

impl World {
    /// From now on `keep` is given the whole world as text after each write, and once some time has passed.
    pub fn keep_with(
        &self,
        origin: Origin,
        keep: impl Fn(&str) -> Result<(), Failure> + Send + Sync + 'static,
    ) {
        let mut state = self.lock();
        let at = state.now;
        state.keeper = Keeper { origin, keep: Some(Arc::new(keep)), at, changed: false };
    }

    /// Keeps what has changed since, if anything has.
    pub fn keep_rest(&self) {
        let mut state = self.lock();
        if state.keeper.changed {
            // Nobody is left who could be told.
            let _kept = state.keep();
        }
    }

    /// The world as it is now, for [`World::kept`].
    ///
    /// # Errors
    ///
    /// `world_not_kept`, which would be a defect.
    pub fn to_text(&self, origin: &Origin) -> Result<String, Failure> {
        self.lock().text(origin)
    }

    /// The world that was kept as this text, a while later: whoever had sessions open is gone.
    ///
    /// # Errors
    ///
    /// `world_unreadable` where it is of another beginning, or of another uplift.
    pub fn kept(text: &str, origin: &Origin) -> Result<Self, Failure> {
        let unreadable = |why: String| Failure::new("world_unreadable", why);
        let damaged = |error: serde_json::Error| unreadable(format!("it is damaged: {error}"));
        let head: Head = serde_json::from_str(text).map_err(damaged)?;
        if head.format != FORMAT {
            return Err(unreadable(format!("it has format {}, and this uplift reads {FORMAT}", head.format)));
        }
        if head.origin.hash != origin.hash {
            return Err(unreadable("the file that it began with has been changed since".to_owned()));
        }
        let Reading { mut state } = serde_json::from_str(text).map_err(damaged)?;
        state.server.end_lock();
        state.pass(BETWEEN_COMMANDS);
        let world = Self::of(state);
        // The folder may have been moved since.
        if head.origin.folder != origin.folder {
            world.move_folder(&head.origin.folder, &origin.folder);
        }
        Ok(world)
    }
}
