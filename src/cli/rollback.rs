use super::{arguments, session::Session, trouble::Trouble, watch::watch};
use crate::{
    event::{ExitClass, Failure},
    host::{Decision, Host, RunRow, RunState, who},
    report,
};

/// `uplift rollback`.
pub(super) async fn rollback(
    session: &mut Session,
    asked: arguments::Rollback,
) -> Result<ExitClass, Trouble> {
    let decided = asked.choose.is_some();
    if !asked.dry_run && !decided {
        session.may_ask()?;
    }
    let host = session.open().await?;
    let row = meant(session, &host, asked.run.as_deref())?;
    if !decided || asked.dry_run {
        show(session, &host, &row, asked.dry_run)?;
    }
    if asked.dry_run {
        return Ok(ExitClass::Done);
    }
    if !decided {
        session.ask("go back now?").await?;
    }
    let decision = asked.choose.map(|choice| Decision {
        choice,
        reason: asked.reason.clone().unwrap_or_default(),
        by: who(),
    });
    let run = host.rollback(Some(&row.id), decision, &session.command).await?;
    Ok(watch(session, &host, run).await)
}

/// The run to take back, or why it cannot be.
fn meant(session: &Session, host: &Host, run: Option<&str>) -> Result<RunRow, Trouble> {
    let runs = host.runs()?;
    let row = match run {
        Some(run) => Some(runs.show(Some(run))?.run),
        None => runs.unfinished()?.or_else(|| runs.all().ok()?.into_iter().next()),
    };
    let typed = &session.typed;
    let Some(row) = row else {
        let failure = Failure::new("no_run", "there is no run to take back: none was ever made here");
        return Err(Trouble::new(failure, ExitClass::Invalid));
    };
    if row.state.unfinished() {
        return Ok(row);
    }
    if row.state != RunState::Done {
        let text = format!("run {} is over and left nothing to take back ({})", row.id, row.state_word());
        let failure = Failure::new("run_is_over", text).hint(format!("list the runs: `{typed} history`"));
        return Err(Trouble::new(failure, ExitClass::Invalid));
    }
    let shown = runs.show(Some(&row.id))?;
    let by_hand = report::by_hand(&host.site().project.dir, &shown.calls);
    let text = format!("run {} is finished, and returning from a finished upgrade is not built yet", row.id);
    let failure = Failure::new("return_not_built", text)
        .evidence(by_hand)
        .hint("follow these lines by hand, the site stopped, if you must return");
    Err(Trouble::new(failure, ExitClass::Refused))
}

fn show(session: &Session, host: &Host, row: &RunRow, data: bool) -> Result<(), Trouble> {
    let changes = host.way_back(&row.id)?;
    if session.json() {
        if data {
            session.lines().json(&changes);
        }
        return Ok(());
    }
    let changes: Vec<_> = changes.into_iter().map(|change| (change.did, change.back)).collect();
    let mut paper = if data { session.sheet() } else { session.paper() };
    report::way_back(&mut paper, row, &changes);
    Ok(())
}
