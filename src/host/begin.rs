//! From a plan to a run at work.

use std::sync::Arc;

use super::{
    door::{Host, script_site},
    error::HostError,
    held::{For, at_work, context, hold, told},
    runbook::Runbook,
    running::Run,
    zero::EntryZero,
};
use crate::{
    backups, clients,
    journal::{NewRun, Reader, RunRow, new_run_id},
    ports::files::Remove,
    run::{self, Job, Plan},
    site::Site,
    survey,
};

/// Starts `runbook` as planned.
pub(super) async fn start(runbook: &Runbook, plan: Plan, command: &str) -> Result<Run, HostError> {
    let host = &runbook.host;
    let id = new_run_id(host.0.ports.clock.now());
    let held = hold(host, (&id, For::New), &host.0.site, command).await?;
    if let Some(row) = held.record.reader.unfinished()? {
        return Err(unfinished(row));
    }
    let changes = plan.stale(&runbook.plan().await);
    if !changes.is_empty() {
        return Err(HostError::Stale { changes });
    }
    forget_never_begun(host, &held.record.reader).await?;
    forget_notes(host).await?;
    let (context, listener) = context(host, &id, Arc::clone(&host.0.site));
    let mut before = survey::before(context.ports.observe(&context.site, &id, &context.tell)).await?;
    survey::keep(context.ports.operate(&context.site, &id, &context.tell), &mut before).await?;
    let zero = EntryZero::new(Site::clone(&host.0.site), before.clone());
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
    let job = Job {
        runbook: Arc::clone(&runbook.script),
        params: runbook.params.clone(),
        site: script_site(&host.0.site),
        before,
    };
    told(&context, &held, runbook.name(), now, false);
    Ok(at_work(&id, listener, context.cancel.clone(), held, |record| run::execute(context, record, job)))
}

/// Kept copies of runs that were killed before they were recorded: nothing was done in them, and the copies hold
/// secrets.
async fn forget_never_begun(host: &Host, reader: &Reader) -> Result<(), HostError> {
    let folder = host.0.site.state.join("kept");
    let known: Vec<_> = reader.runs()?.into_iter().map(|run| run.id).collect();
    for name in host.0.ports.files.list(&folder).await? {
        if !known.contains(&name) {
            let what = "kept copies of a run that never began".to_owned();
            host.0.ports.files.remove(&Remove { path: folder.join(name), what }).await?;
        }
    }
    Ok(())
}

/// What earlier runs noted of the uploaded files, for a way back that nobody needs any more: all of them have ended.
async fn forget_notes(host: &Host) -> Result<(), HostError> {
    let files = &host.0.ports.files;
    for path in backups::notes(files.as_ref(), &backups::folder(&host.0.site)).await? {
        files
            .remove(&Remove { path, what: "note of the uploaded files of an earlier run".to_owned() })
            .await?;
    }
    Ok(())
}

fn unfinished(row: RunRow) -> HostError {
    let state = row.state_word();
    HostError::Unfinished { run: row.id, runbook: row.runbook, state }
}
