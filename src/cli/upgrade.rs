use std::collections::BTreeMap;

use super::{
    arguments::Upgrade,
    begin::{carry_out, found, refusal},
    flags::{PULL, UPGRADE},
    session::Session,
    trouble::Trouble,
    watch::{watch, watch_for_trouble},
};
use crate::{
    event::ExitClass,
    host::{Host, PlanEnd},
    report,
};

/// `uplift upgrade`.
pub(super) async fn upgrade(
    session: &mut Session,
    asked: &Upgrade,
    given: &BTreeMap<String, String>,
) -> Result<ExitClass, Trouble> {
    let planned = &asked.planned;
    let (host, runbook) = found(session, UPGRADE, given, planned).await?;
    if asked.pull {
        let exit = pull(session, &host, given, planned.dry_run && session.json()).await?;
        if exit != ExitClass::Done {
            return Ok(exit);
        }
    }
    carry_out(session, &host, &runbook, planned).await
}

/// Brings the release that `given` names. Who has typed `--pull` is not asked: what it does only adds.
///
/// `is_aside`: programs read something else than this run, and are told of it only if it does not end well.
async fn pull(
    session: &Session,
    host: &Host,
    given: &BTreeMap<String, String>,
    is_aside: bool,
) -> Result<ExitClass, Trouble> {
    let to = given.get_key_value("to").map(|(name, tag)| (name.clone(), tag.clone()));
    let runbook = host.runbook(PULL, &to.into_iter().collect()).await?;
    let plan = session.unless_stopped(runbook.plan()).await?;
    match &plan.end {
        PlanEnd::NothingNeeded { .. } => return Ok(ExitClass::Done),
        PlanEnd::Fails { failure, .. } => {
            return Err(Trouble::new(failure.clone(), refusal(failure)).at(report::planned_at(&plan)));
        }
        PlanEnd::Complete | PlanEnd::Unknown { .. } => {}
    }
    // What was typed may have meant no more than a look.
    let command = format!("{} (only its image)", session.command);
    let run = session.unless_stopped(runbook.start(plan, &command)).await??;
    Ok(if is_aside { watch_for_trouble(session, host, run).await } else { watch(session, host, run).await })
}
