//! The container in which a release is tried, or a task is done, where no user reaches it: it outlives the uplift that started it.

use super::{paper::Paper, status::image};
use crate::{
    journal::{Entry, RunRow, RunState, State},
    survey::Status,
};

/// Names each such container that is there, and says what becomes of it. `open` is the run that is not over.
pub(super) fn there(paper: &mut Paper, status: &Status, open: Option<&RunRow>, typed: &str) {
    for trial in &status.trials {
        let run = &trial.run;
        let fate = match open.filter(|open| open.id == *run) {
            Some(open) if open.state == RunState::Running && !open.interrupted => {
                format!("run {run} works with it now")
            }
            Some(open) if open.going_back => format!("`{typed} rollback {run}` removes it"),
            Some(_) => format!(
                "nobody watches it, and it may be at work in the databases; `{typed} rollback {run}` ends it and \
                 removes it, `{typed} resume {run}` goes on with it"
            ),
            None => {
                format!("no run that is known here needs it; remove it: `docker rm --force {}`", trial.name)
            }
        };
        let text = format!(
            "`{}` with `{}`, where no user reaches it, {}: {fate}",
            trial.name,
            image(&trial.image),
            trial.state
        );
        paper.labelled(if trial.task { "task" } else { "trial" }, &text);
    }
}

/// The trial's container that a run has begun and not ended, by its record, for who cannot look.
pub(super) fn begun(calls: &[Entry]) -> Option<String> {
    let open = |call: &&Entry| {
        matches!(call.state, State::Started | State::Waiting | State::Unknown | State::UndoStarted)
    };
    let trial = calls.iter().filter(open).find(|call| call.verb == "compose_trial")?;
    let name = trial.intent.as_ref()?.get("aside")?.get("name")?.as_str()?;
    Some(format!("the release that it was trying may go on in the container `{name}`, which `rollback` ends"))
}
