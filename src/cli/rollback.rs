use std::collections::BTreeMap;

use super::{
    arguments,
    begin::{carry_out, nobody_else, watched, would_answer},
    flags,
    places::places,
    session::Session,
    trouble::Trouble,
};
use crate::{
    event::{Ending, ExitClass, Failure, Question},
    host::{Decision, Host, HostError, RunRow, RunState, WayBack, who},
    report,
};

/// `uplift rollback`: an unfinished run is taken back, a finished upgrade is returned from.
pub(super) async fn rollback(
    session: &mut Session,
    asked: arguments::Rollback,
    (given, typed): (BTreeMap<String, String>, BTreeMap<String, String>),
) -> Result<ExitClass, Trouble> {
    if asked.list {
        return places(session).await;
    }
    let host = session.open().await?;
    let row = meant(session, &host, asked.run.as_deref())?;
    if row.state.unfinished() {
        return take_back(session, &host, &row, (asked, typed)).await;
    }
    if let Some(choice) = asked.choose {
        let text = format!("run {} has no open question, so `--choose {choice}` answers nothing", row.id);
        let failure = Failure::new("nothing_asked", text).hint("whether data returns is `--restore-data`");
        return Err(Trouble::new(failure, ExitClass::Invalid));
    }
    let mut given = given;
    given.insert("run".to_owned(), row.id.clone());
    let runbook = host.runbook(flags::ROLLBACK, &given).await?;
    carry_out(session, &host, &runbook, &asked.planned).await
}

async fn take_back(
    session: &mut Session,
    host: &Host,
    row: &RunRow,
    (asked, typed): (arguments::Rollback, BTreeMap<String, String>),
) -> Result<ExitClass, Trouble> {
    if let Some(name) = ["restore_data", "jobs", "edits"].iter().find(|name| typed.contains_key(**name)) {
        let flag = name.replace('_', "-");
        let text =
            format!("run {} is not over, and `--{flag}` is about the return from a finished one", row.id);
        let hint = format!(
            "what it asks is answered with `--choose`: `{} show {}` lists the words",
            session.typed, row.id
        );
        return Err(Trouble::new(Failure::new("not_finished", text).hint(hint), ExitClass::Invalid));
    }
    if asked.planned.plan.is_some() {
        let text = format!(
            "run {} is not over: what it has done is taken back by its record, not by a plan",
            row.id
        );
        let hint =
            format!("leave `--plan` out; `{} rollback --dry-run` shows what is taken back", session.typed);
        return Err(Trouble::new(Failure::new("not_finished", text).hint(hint), ExitClass::Invalid));
    }
    let left = host.runs()?.left(&row.id).await;
    if left.kept_gone && !session.json() {
        report::kept_gone(&mut session.paper(), row, &left.kept.display().to_string());
    }
    if row.state == RunState::Running && !row.interrupted {
        // What going back would do is no news while it works.
        nobody_else(session, &host.runs()?)?;
    }
    if asked.planned.dry_run {
        return only_shown(session, host, row, asked.choose.as_deref()).await;
    }
    if let Some(choice) = &asked.choose {
        tell_costs(session, host, row, choice).await?;
    }
    let open = row.ending.as_ref().and_then(Ending::question).filter(|question| question.flag.is_none());
    let decision = match (asked.choose, open) {
        (Some(choice), _) => {
            Some(Decision { choice, reason: asked.reason.clone().unwrap_or_default(), by: who() })
        }
        // `--yes` is no answer to this.
        (None, Some(question)) if !session.common.yes => {
            may_choose(session, question, &row.id)?;
            // What was found when it stood still may be long ago: it is looked at again, and asked then.
            None
        }
        (None, _) => {
            session.may_ask()?;
            show(session, host, row).await?;
            session.ask("go back now?").await?;
            None
        }
    };
    let run = host.rollback(Some(&row.id), decision, &session.command).await?;
    watched(session, host, run).await
}

/// What going back would do from where the run stands, with what would be asked.
async fn only_shown(
    session: &Session,
    host: &Host,
    row: &RunRow,
    choice: Option<&str>,
) -> Result<ExitClass, Trouble> {
    if let Some(choice) = choice {
        would_answer(session, host, (row, choice), true).await?;
    }
    let mut back = session.unless_stopped(host.plan_back(&row.id)).await??;
    let key = |way: &WayBack| way.choice.as_ref().map(|choice| choice.key.clone());
    if choice.is_some() && back.ways.iter().any(|way| key(way).as_deref() == choice) {
        back.ways.retain(|way| key(way).as_deref() == choice);
    }
    if session.json() {
        session.lines().json(&back);
    } else {
        let mut paper = session.sheet();
        report::plan_back(&mut paper, &row.id, &back);
        in_between(&mut paper, host, row).await?;
    }
    if let (Some(question), None) = (&back.question, choice) {
        if !session.json() {
            let command = format!("{} rollback {}", session.typed, row.id);
            report::undecided(&mut session.sheet(), question, &command, None);
        }
        return Ok(ExitClass::NeedsPerson);
    }
    let fails = back.ways.iter().any(|way| way.fails.is_some());
    Ok(if fails { ExitClass::Refused } else { ExitClass::Done })
}

/// What the choice costs by now: users may have gone on writing since it was asked.
async fn tell_costs(session: &Session, host: &Host, row: &RunRow, choice: &str) -> Result<(), Trouble> {
    if session.json() || session.common.quiet {
        return Ok(());
    }
    let back = session.unless_stopped(host.plan_back(&row.id)).await??;
    let choices = back.ways.into_iter().filter_map(|way| way.choice);
    if let Some(chosen) = choices.into_iter().find(|known| known.key == choice) {
        report::costs_now(&mut session.paper(), &chosen);
    }
    Ok(())
}

/// Fails by name where nobody sits at a terminal: `--yes` would not answer it either.
fn may_choose(session: &Session, question: &Question, run: &str) -> Result<(), Trouble> {
    if session.stage.answer.is_some() {
        return Ok(());
    }
    let words: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
    let text = "there is no terminal to choose on, and `--choose` was not given";
    let failure = Failure::new("no_terminal", text).hint(format!(
        "`{} show {run}` says what each costs; then add `--choose {} --reason TEXT`",
        session.typed,
        words.join("|")
    ));
    Err(Trouble::new(failure, ExitClass::Invalid))
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
        return Err(HostError::NoRun("take back").into());
    };
    if row.state.unfinished() {
        return Ok(row);
    }
    // Nothing else may be under way.
    nobody_else(session, &runs)?;
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

async fn show(session: &Session, host: &Host, row: &RunRow) -> Result<(), Trouble> {
    if session.json() {
        return Ok(());
    }
    let changes = host.way_back(&row.id)?;
    let changes: Vec<_> = changes.into_iter().map(|change| (change.did, change.back)).collect();
    let mut paper = session.paper();
    report::way_back(&mut paper, row, &changes);
    in_between(&mut paper, host, row).await
}

/// What somebody has done meanwhile decides what is asked.
async fn in_between(paper: &mut report::Paper, host: &Host, row: &RunRow) -> Result<(), Trouble> {
    let calls = host.show(Some(&row.id))?.calls;
    report::in_between(paper, &host.status().await, row, &calls);
    Ok(())
}
