use serde::Serialize;

use super::error::HostError;
use crate::journal::{Entry, Reader, RunRow};

/// One run with all its calls, as `show` prints it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub run: RunRow,
    pub calls: Vec<Entry>,
}

pub(super) fn shown(reader: &Reader, run: Option<&str>) -> Result<Shown, HostError> {
    let run = match run {
        Some(run) => reader.run(run)?,
        None => reader.newest(1)?.pop().ok_or(HostError::NoRun("show"))?,
    };
    let calls = reader.entries(&run.id)?;
    Ok(Shown { run, calls })
}
