//! From a plan to a run at work.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{
    door::script_site,
    error::HostError,
    held::{For, at_work, begun, context, hold, told},
    runbook::Runbook,
    running::Run,
    zero::EntryZero,
};
use crate::{
    backups::{self, DELETING},
    clients,
    journal::{NewRun, Reader, RunRow, new_run_id},
    ports::{
        files::{MakeFolder, Remove, quoted},
        postgres::Kept,
    },
    run::{self, Context, Job, Plan},
    site::Site,
    survey,
};

/// Starts `runbook` as planned; with `only` it does nothing that the plan does not say.
pub(super) async fn start(
    runbook: &Runbook,
    plan: Plan,
    only: bool,
    command: &str,
) -> Result<Run, HostError> {
    let held_to = only.then(|| plan.allows()).transpose().map_err(HostError::Invalid)?;
    let host = &runbook.host;
    let id = new_run_id(host.0.ports.clock.now());
    let held = hold(host, (&id, For::New), &host.0.site, command).await?;
    if let Some(row) = held.record.reader.unfinished()? {
        return Err(unfinished(row));
    }
    let now = runbook.steps().await;
    if held_to.is_some() {
        runbook.holds(&plan, &now)?;
    }
    let changes = plan.no_longer_holds(&now);
    if !changes.is_empty() {
        return Err(HostError::Stale { changes });
    }
    let (context, listener) =
        context(host, &id, Arc::clone(&host.0.site), begun(host, (runbook.name(), command), None));
    let unknown = forget_never_begun(&context, &held.record.reader).await?;
    forget_notes(&context, &held.record.reader).await?;
    let mut before = survey::before(context.ports.observe(&context.site, &id, &context.tell)).await?;
    let never_begun = mark(&context).await?;
    survey::keep(context.ports.operate(&context.site, &id, &context.tell), &mut before).await?;
    let zero =
        EntryZero::new(Site::clone(&host.0.site), before.clone(), held_to.clone(), runbook.changed.clone());
    let bundle = runbook.script.bundle();
    let now = host.0.ports.clock.now();
    held.record.writer.begin(NewRun {
        id: id.clone(),
        runbook: runbook.name().to_owned(),
        command: command.to_owned(),
        by: clients::who().to_string(),
        at: now,
        params: runbook.params.clone(),
        on_failure: runbook.header().on_failure.as_str().to_owned(),
        bundle: bundle.sources().map(|source| (source.name.clone(), source.text.clone())).collect(),
        before: zero.recorded()?,
        uplift: env!("CARGO_PKG_VERSION").to_owned(),
    })?;
    // Where it stays it does not matter: from now on the record knows the run.
    let _stays = context.ports.files.remove(&never_begun).await;
    let job = Job {
        runbook: Arc::clone(&runbook.script),
        params: runbook.params.clone(),
        site: script_site(&host.0.site),
        before,
        held_to,
    };
    let messenger = told(host, &context, &held, (runbook.name(), false));
    for text in unknown {
        context.tell.warn(text);
    }
    let held = (held, messenger);
    Ok(at_work(&id, listener, context.cancel.clone(), held, |record| run::execute(context, record, job)))
}

/// What stands in the kept folder of a run until it is recorded.
const NEVER_BEGUN: &str = "never-begun";

/// Marks the run's kept folder as one of a run that has not begun; gives what takes the mark away.
async fn mark(context: &Context) -> Result<Remove, HostError> {
    let path = context.ports.observe(&context.site, &context.run, &context.tell).kept().join(NEVER_BEGUN);
    let what = "mark of a run that is not recorded yet".to_owned();
    context.ports.files.make_folder(&MakeFolder { path: path.clone(), what: what.clone() }).await?;
    Ok(Remove { path, what })
}

/// Kept copies of runs that were killed before they were recorded go: nothing was done in them, and the copies hold
/// secrets. Those of a run that the record should know stay, which is said: without its record they are all that is left
/// for its way back.
async fn forget_never_begun(context: &Context, reader: &Reader) -> Result<Vec<String>, HostError> {
    let (folder, files) = (context.site.state.join("kept"), &context.ports.files);
    let mut unknown = Vec::new();
    let known: Vec<_> = reader.runs()?.into_iter().map(|run| run.id).collect();
    // What is on its way out is nobody's copy any more.
    let strange = |name: &String| !known.contains(name) && !name.starts_with(DELETING);
    for name in files.list(&folder).await?.into_iter().filter(strange) {
        let path = folder.join(&name);
        let there = files.list(&path).await?;
        if there.is_empty() || there.iter().any(|one| one == NEVER_BEGUN) {
            let what = "kept copies of a run that never began".to_owned();
            files.remove(&Remove { path, what }).await?;
        } else {
            unknown.push(format!(
                "the record does not know run {name}, which has kept copies of the env and compose files: was \
                 `journal.db` moved away? They stay; once nobody needs them: `rm -r {}`",
                quoted(&path)
            ));
        }
    }
    Ok(unknown)
}

/// For how long what a run has noted of the uploaded files stays: as long as its savepoint, whose rows may name files that
/// nothing else has.
const NOTES_STAY: SignedDuration = Kept::Savepoint.stays();

/// What runs noted of the uploaded files goes when its time is over.
async fn forget_notes(context: &Context, reader: &Reader) -> Result<(), HostError> {
    let (files, folder) = (&context.ports.files, backups::folder(&context.site));
    let now = context.ports.clock.now();
    let is_old = |run: &RunRow| run.ended.is_some_and(|at| now.duration_since(at) > NOTES_STAY);
    let ended: Vec<_> = reader.runs()?.into_iter().filter(is_old).map(|run| run.id).collect();
    for path in backups::uploads_notes(files.as_ref(), &folder, &ended).await? {
        let what = "note of the uploaded files of an earlier run".to_owned();
        files.remove(&Remove { path, what }).await?;
    }
    Ok(())
}

fn unfinished(row: RunRow) -> HostError {
    let state = row.state_word();
    HostError::Unfinished { run: row.id, runbook: row.runbook, state }
}
