use super::{
    arguments,
    begin::{nobody_else, refusal, watched, would_answer},
    session::Session,
    trouble::Trouble,
};
use crate::{
    event::{ExitClass, Failure},
    host::{Decision, PlanEnd, RunState, who},
    report,
};

/// `uplift resume`.
pub(super) async fn resume(session: &mut Session, asked: arguments::Resume) -> Result<ExitClass, Trouble> {
    let host = session.open().await?;
    let choice = asked.outcome.map(|outcome| outcome.as_str().to_owned()).or(asked.choose);
    if asked.dry_run {
        let runs = host.runs()?;
        let unfinished = runs.unfinished()?;
        if unfinished.as_ref().is_some_and(|run| run.state == RunState::Running && !run.interrupted) {
            nobody_else(session, &runs)?;
        }
        let unfinished = unfinished.map(|run| run.id);
        let Some(run) = asked.run.or(unfinished) else {
            let failure = Failure::new("no_run", "there is no unfinished run to resume");
            return Err(Trouble::new(failure.hint("list the runs: `uplift history`"), ExitClass::Invalid));
        };
        let shown = runs.show(Some(&run))?;
        let plan = session.unless_stopped(host.plan_on(&run)).await??;
        if session.json() {
            session.lines().json(&plan);
        } else {
            let mut paper = session.sheet();
            report::way_on(&mut paper, &shown.run, &shown.calls);
            report::plan(&mut paper, &plan, report::Detail::Full);
        }
        return match (choice, &plan.end) {
            (Some(choice), _) => would_answer(session, &host, (&shown.run, &choice), false).await,
            (None, PlanEnd::Fails { failure, .. }) => Ok(refusal(failure)),
            (None, _) => Ok(ExitClass::Done),
        };
    }
    let answer =
        choice.map(|choice| Decision { choice, reason: asked.reason.clone().unwrap_or_default(), by: who() });
    let run = host.resume(asked.run.as_deref(), answer, &session.command).await?;
    watched(session, &host, run).await
}
