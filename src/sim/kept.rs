//! A world as text, so that the next command finds it as this one has left it.

mod forms;

use std::{fmt, sync::Arc, time::Duration};

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

#[derive(Deserialize)]
struct Head {
    format: u32,
    /// What the world was made from.
    origin: String,
}

#[derive(Serialize)]
struct Writing<'a> {
    format: u32,
    origin: &'a str,
    state: &'a State,
}

#[derive(Deserialize)]
struct Reading {
    state: State,
}

/// Takes the text of a world whenever something in it has changed.
pub(super) type Keep = dyn Fn(&str) -> Result<(), Failure> + Send + Sync;

/// Who keeps a world, if somebody does.
#[derive(Clone, Default)]
pub(super) struct Keeper {
    /// What the world was made from.
    origin: String,
    keep: Option<Arc<Keep>>,
    kept: Option<Timestamp>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Keeper")
            .field("origin", &self.origin)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl State {
    /// What was done counts only once it is kept.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        let Some(keep) = self.keeper.keep.clone() else { return Ok(()) };
        keep(&self.text(&self.keeper.origin)?)?;
        self.keeper.kept = Some(self.now);
        Ok(())
    }

    fn text(&self, origin: &str) -> Result<String, Failure> {
        serde_json::to_string(&Writing { format: FORMAT, origin, state: self }).map_err(|error| {
            Failure::inside("world_not_kept", format!("the simulated world cannot be written: {error}"))
        })
    }

    /// Time that passes is kept once it is worth it.
    pub(super) fn keep_time(&mut self) {
        let due = self.keeper.kept.is_none_or(|kept| self.now.duration_since(kept).as_secs() >= UNKEPT);
        if due {
            // A disk that takes nothing is told of at the next write, which fails.
            let _told_later = self.keep();
        }
    }
}

impl World {
    /// From now on every change is kept by `keep`, which is given the whole world as text. `origin` tells worlds of
    /// different beginnings apart.
    pub fn keep_with(
        &self,
        origin: &str,
        keep: impl Fn(&str) -> Result<(), Failure> + Send + Sync + 'static,
    ) {
        let mut state = self.lock();
        let kept = Some(state.now);
        state.keeper = Keeper { origin: origin.to_owned(), keep: Some(Arc::new(keep)), kept };
    }

    /// The world as it is now, for [`World::kept`].
    ///
    /// # Errors
    ///
    /// `world_not_kept`, which would be a defect.
    pub fn to_text(&self, origin: &str) -> Result<String, Failure> {
        self.lock().text(origin)
    }

    /// The world that was kept as this text, a while later: whoever had sessions open is gone.
    ///
    /// # Errors
    ///
    /// `world_unreadable` where it is of another beginning, or of another uplift.
    pub fn kept(text: &str, origin: &str) -> Result<Self, Failure> {
        let unreadable = |why: String| Failure::new("world_unreadable", why);
        let damaged = |error: serde_json::Error| unreadable(format!("it is damaged: {error}"));
        let head: Head = serde_json::from_str(text).map_err(damaged)?;
        if head.format != FORMAT {
            return Err(unreadable(format!("it has format {}, and this uplift reads {FORMAT}", head.format)));
        }
        if head.origin != origin {
            return Err(unreadable("the file that it began with has been changed since".to_owned()));
        }
        let Reading { mut state } = serde_json::from_str(text).map_err(damaged)?;
        state.server.end_lock();
        state.pass(BETWEEN_COMMANDS);
        Ok(Self::of(state))
    }
}
