//! Effects that a runbook went past although nobody knew what had become of them: looked at once more before the run may
//! end well.

use super::{context::Context, execute::Record};
use crate::{
    event::Failure,
    journal::{Entry, Kind},
    primitives::contract::Found,
};

/// Writes down what a look shows of those in doubt, and fails with the first that stays so.
pub(super) async fn cleared(context: &Context, record: &Record, entries: &[Entry]) -> Result<(), Failure> {
    let in_doubt = |entry: &&Entry| entry.kind == Kind::Effect && !entry.state.settled();
    for entry in entries.iter().filter(in_doubt) {
        if let Some(why) = look(context, record, entry).await? {
            let text = format!("`{}` is left in doubt: {}", entry.address, entry.summary);
            let failure = Failure::new("left_in_doubt", text).evidence([why]);
            return Err(failure.hint("`uplift rollback` takes it back, whatever became of it"));
        }
    }
    Ok(())
}

/// Why it stays in doubt, if it does.
async fn look(context: &Context, record: &Record, entry: &Entry) -> Result<Option<String>, Failure> {
    let (kept, tell) = (context.kept(&entry.verb)?, context.tell.at(&entry.address));
    let intent = entry.intent.clone().unwrap_or_default();
    let (journal, run, now) = (&record.writer, &context.run, context.now());
    match kept.probe(entry.version, intent, context.observe(&tell)).await {
        Ok(Found::Applied(value)) => {
            journal.outcome(run, entry.seq, Ok(value), now)?;
            tell.note("looking again shows that it was done");
            Ok(None)
        }
        Ok(Found::NotApplied) => {
            journal.not_applied(run, entry.seq, "looked at the site: nothing of it is there", now)?;
            tell.note("looking again shows that nothing of it was done");
            Ok(None)
        }
        Ok(Found::Partial(what) | Found::CannotTell(what)) => Ok(Some(what)),
        Err(failure) => Ok(Some(format!("could not look: {failure}"))),
    }
}
