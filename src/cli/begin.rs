//! From a runbook to a run: plan, show the plan, ask, start.

use std::collections::BTreeMap;

use super::{arguments::Planned, session::Session, trouble::Trouble, watch::watch};
use crate::{
    event::{ExitClass, Failure},
    host::{Decision, Host, Plan, PlanEnd, Run, RunRow, RunState, Runbook, Runs, who},
    report::{self, Detail},
};

/// A run of the runbook `name`, as `uplift run` makes it.
pub(super) async fn begin(
    session: &mut Session,
    name: &str,
    given: BTreeMap<String, String>,
    planned: &Planned,
) -> Result<ExitClass, Trouble> {
    let (host, runbook) = found(session, name, &given, planned).await?;
    carry_out(session, &host, &runbook, planned).await
}

/// The site, with nobody at work on it, and the runbook for it. All that is wrong with what was typed is told by then.
pub(super) async fn found(
    session: &mut Session,
    name: &str,
    given: &BTreeMap<String, String>,
    planned: &Planned,
) -> Result<(Host, Runbook), Trouble> {
    if !planned.dry_run {
        session.may_ask()?;
    }
    let header = (session.stage.host)(session.start()).header(name).await?;
    header.validate(given).map_err(|error| Trouble::new(error.as_failure(), ExitClass::Invalid))?;
    // First without the site, where its folder is known: that a run waits must be told also when the engine is down.
    // A plan of what would be refused would only mislead.
    if let Some(runs) = session.folder_runs() {
        nobody_else(session, &runs?)?;
    }
    let host = session.open().await?;
    nobody_else(session, &host.runs()?)?;
    let runbook = host.runbook(name, given).await?;
    Ok((host, runbook))
}

/// Plans, shows the plan, asks, starts, watches.
pub(super) async fn carry_out(
    session: &mut Session,
    host: &Host,
    runbook: &Runbook,
    planned: &Planned,
) -> Result<ExitClass, Trouble> {
    let kept = planned.plan.as_deref().map(|file| runbook.kept_plan(file)).transpose()?;
    let plan = session.unless_stopped(runbook.plan()).await?;
    if planned.dry_run {
        return Ok(only_shown(session, &plan));
    }
    if let Some(kept) = &kept {
        runbook.is_about(kept, &plan)?;
    }
    // A plan that leads nowhere keeps no lock, and yet must not tell of another run's work as if it were the site.
    if let PlanEnd::NothingNeeded { .. } | PlanEnd::Fails { .. } = plan.end
        && let Some(failure) = host.held_elsewhere().await
    {
        return Err(Trouble::new(failure, ExitClass::Held));
    }
    match &plan.end {
        PlanEnd::NothingNeeded { why } => {
            nothing_needed(session, &plan, why);
            return Ok(ExitClass::Done);
        }
        PlanEnd::Fails { failure, .. } => {
            let at = report::planned_at(&plan);
            return Err(Trouble::new(failure.clone(), refusal(failure)).at(at));
        }
        PlanEnd::Complete | PlanEnd::Unknown { .. } => {}
    }
    if let Some(kept) = &kept {
        runbook.holds(kept, &plan)?;
    }
    if !session.json() && !session.common.quiet {
        report::plan(&mut session.paper(), &plan, Detail::Short);
        if let Some(kept) = &kept {
            report::held_to(&mut session.paper(), kept);
        }
    }
    session.ask("start now?").await?;
    let run = match kept {
        Some(kept) => session.unless_stopped(runbook.start_held(kept, &session.command)).await??,
        None => session.unless_stopped(runbook.start(plan, &session.command)).await??,
    };
    watched(session, host, run).await
}

/// Watches a run to its end. Who sits at the terminal may answer at once what it stands still for.
pub(super) async fn watched(session: &Session, host: &Host, run: Run) -> Result<ExitClass, Trouble> {
    let id = run.id().to_owned();
    let mut exit = watch(session, host, run).await;
    while exit == ExitClass::NeedsPerson
        && let Some((choice, on)) = answer(session, host, &id).await?
    {
        let decision = Some(Decision { choice, reason: "answered at the terminal".to_owned(), by: who() });
        let run = if on {
            host.resume(Some(&id), decision, &session.command).await?
        } else {
            host.rollback(Some(&id), decision, &session.command).await?
        };
        exit = watch(session, host, run).await;
    }
    Ok(exit)
}

/// What a decision would do, beside the rest of what is only shown.
pub(super) async fn would_answer(
    session: &Session,
    host: &Host,
    (run, choice): (&RunRow, &str),
    back: bool,
) -> Result<ExitClass, Trouble> {
    let choice = host.try_answer(&run.id, choice, back).await?;
    if session.json() {
        session.lines().json(&choice);
    } else {
        report::chosen(&mut session.sheet(), &choice, run.ended);
    }
    Ok(ExitClass::Done)
}

/// The answer of whoever watches, and whether it leads on; `None` where nobody is there, or nothing is asked.
async fn answer(session: &Session, host: &Host, run: &str) -> Result<Option<(String, bool)>, Trouble> {
    let shown = host.runs()?.show(Some(run))?;
    let question = shown.run.ending.as_ref().and_then(crate::event::Ending::question);
    let Some(question) = question else { return Ok(None) };
    let choice = session.choose(question).await?;
    if choice.is_none() && session.stage.answer.is_some() && !session.json() {
        let text = format!("nothing was chosen: the run waits on, `{} show {run}`", session.typed);
        session.paper().paragraph(0, &text);
    }
    Ok(choice.map(|choice| (choice, question.flag.is_some())))
}

/// What it means that a run would not begin.
pub(super) fn refusal(failure: &Failure) -> ExitClass {
    if failure.question.is_some() { ExitClass::NeedsPerson } else { ExitClass::Refused }
}

/// Refuses at once where a run is at work or waits for somebody.
pub(super) fn nobody_else(session: &Session, runs: &Runs) -> Result<(), Trouble> {
    let Some(run) = runs.unfinished()? else { return Ok(()) };
    if run.state == RunState::Running && !run.interrupted {
        let who = runs.holder().map_or_else(
            || format!("`{}` by {}, since {}", run.command, run.by, report::time(run.started)),
            |holder| {
                let since = report::time(holder.since);
                format!(
                    "`{}` by {} on {}, process {}, since {since}",
                    holder.command, holder.user, holder.host, holder.pid
                )
            },
        );
        let failure = Failure::new("site_held", format!("run {} is at work on this site: {who}", run.id))
            .hint(format!("wait for it, or watch it: `{} show {} --follow`", session.typed, run.id));
        return Err(Trouble::new(failure, ExitClass::Held));
    }
    let exit = match run.state {
        RunState::NeedsPerson | RunState::Stuck => ExitClass::NeedsPerson,
        _ => ExitClass::Unfinished,
    };
    // That it is in the way is told also where its calls cannot be read.
    let calls = runs.show(Some(&run.id)).map(|shown| shown.calls).unwrap_or_default();
    let open = report::Open::of(&run, &calls);
    Err(Trouble::new(report::in_the_way(&open, &session.typed), exit))
}

fn only_shown(session: &Session, plan: &Plan) -> ExitClass {
    if session.json() {
        session.lines().json(plan);
    } else {
        report::plan(&mut session.sheet(), plan, Detail::Full);
    }
    match &plan.end {
        PlanEnd::Fails { failure, .. } => {
            if let (Some(question), false) = (&failure.question, session.json()) {
                report::undecided(&mut session.sheet(), question, &session.command, None);
            }
            refusal(failure)
        }
        PlanEnd::Complete | PlanEnd::NothingNeeded { .. } | PlanEnd::Unknown { .. } => ExitClass::Done,
    }
}

fn nothing_needed(session: &Session, plan: &Plan, why: &str) {
    if session.json() {
        session.lines().json(plan);
    } else if !session.common.quiet {
        report::nothing_needed(&mut session.paper(), why);
    }
}
