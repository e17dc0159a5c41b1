use serde::Serialize;

use super::{error::HostError, zero::EntryZero};
use crate::{
    journal::{Entry, Reader, RunRow},
    ports::compose::by_hand,
};

/// One run with all its calls, as `show` prints it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub run: RunRow,
    pub calls: Vec<Entry>,
    /// How `docker compose` is called by hand for the project that it was made for.
    #[serde(skip)]
    pub compose: String,
}

pub(super) fn shown(reader: &Reader, run: Option<&str>) -> Result<Shown, HostError> {
    let run = match run {
        Some(run) => reader.run(run)?,
        None => reader.newest(1)?.pop().ok_or(HostError::NoRun("show"))?,
    };
    let calls = reader.entries(&run.id)?;
    // Where entry 0 cannot be read, the plain command still tells what is meant.
    let zero = reader.before(&run.id).ok().and_then(|value| EntryZero::read(value).ok());
    let compose = zero.map_or_else(|| "docker compose".to_owned(), |zero| by_hand(&zero.site.project));
    Ok(Shown { run, calls, compose })
}
