use std::collections::BTreeMap;

use super::{
    arguments, begin::carry_out, flags, places::places, session::Session, trouble::Trouble, watch::watch,
};
use crate::{
    event::{ExitClass, Failure},
    host::{Decision, Host, RunRow, RunState, who},
    report,
};

/// `uplift rollback`: an unfinished run is taken back, a finished upgrade is returned from.
pub(super) async fn rollback(
    session: &mut Session,
    asked: arguments::Rollback,
    given: BTreeMap<String, String>,
) -> Result<ExitClass, Trouble> {
    if asked.list {
        return places(session).await;
    }
    let host = session.open().await?;
    let row = meant(session, &host, asked.run.as_deref())?;
    if row.state.unfinished() {
        return take_back(session, &host, &row, asked).await;
    }
    if let Some(choice) = asked.choose {
        let text = format!("run {} has no open question, so `--choose {choice}` answers nothing", row.id);
        let failure = Failure::new("nothing_asked", text).hint("whether data returns is `--restore-data`");
        return Err(Trouble::new(failure, ExitClass::Invalid));
    }
    let mut given = given;
    given.insert("run".to_owned(), row.id.clone());
    let runbook = host.runbook(flags::ROLLBACK, &given).await?;
    carry_out(session, &host, &runbook, asked.dry_run).await
}

async fn take_back(
    session: &mut Session,
    host: &Host,
    row: &RunRow,
    asked: arguments::Rollback,
) -> Result<ExitClass, Trouble> {
    let decided = asked.choose.is_some();
    if !asked.dry_run && !decided {
        session.may_ask()?;
    }
    if !decided || asked.dry_run {
        show(session, host, row, asked.dry_run)?;
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
    Ok(watch(session, host, run).await)
}

/// The run that is meant, or why one cannot go back from it.
fn meant(session: &Session, host: &Host, run: Option<&str>) -> Result<RunRow, Trouble> {
    let runs = host.runs()?;
    let row = match run {
        Some(run) => Some(runs.show(Some(run))?.run),
        None => match runs.unfinished()? {
            Some(row) => Some(row),
            // Where there is none to return from it is said of the newest run why.
            None => host.last_switch()?.or_else(|| runs.all().ok()?.into_iter().next()),
        },
    };
    let typed = &session.typed;
    let Some(row) = row else {
        let failure = Failure::new("no_run", "there is no run to take back: none was ever made here");
        return Err(Trouble::new(failure, ExitClass::Invalid));
    };
    if row.state.unfinished() {
        return Ok(row);
    }
    // Nothing else may be under way.
    super::begin::nobody_else(session, &runs)?;
    let hint = format!("see what one can return from: `{typed} rollback --list`");
    let returns = host.is_upgrade(&row.id)?;
    if !returns && row.state != RunState::Done {
        let text = format!("run {} is over and left nothing to take back ({})", row.id, row.state_word());
        return Err(Trouble::new(Failure::new("run_is_over", text).hint(hint), ExitClass::Invalid));
    }
    if !returns {
        let what = match row.runbook.as_str() {
            "compose/rollback" => "it is itself a return",
            "compose/restore" => "it has restored a backup",
            _ => "it brought no other release",
        };
        let text = format!("run {} is finished, and {what}", row.id);
        return Err(Trouble::new(Failure::new("not_an_upgrade", text).hint(hint), ExitClass::Invalid));
    }
    Ok(row)
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
