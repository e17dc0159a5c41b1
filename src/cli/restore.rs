use std::{collections::BTreeMap, path::Path};

use super::{
    arguments,
    begin::{carry_out, nobody_else},
    flags,
    session::Session,
    trouble::Trouble,
};
use crate::{
    event::{ExitClass, Failure},
    host::{Settled, Start},
    report,
};

/// `uplift restore SET`, onto the site that is there or, with `--into`, onto a host that has none.
pub(super) async fn restore(
    session: &mut Session,
    asked: arguments::Restore,
    mut given: BTreeMap<String, String>,
) -> Result<ExitClass, Trouble> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let set = if asked.set.contains('/') || Path::new(&asked.set).is_dir() {
        absolute(Path::new(&asked.set)).display().to_string()
    } else {
        asked.set.clone()
    };
    if let Some(into) = &asked.into {
        if session.common.simulate.is_some() {
            let text = "`--into` is for another folder than the site's, and a simulated site has no other";
            let failure = Failure::new("usage", text).hint("leave `--into` out");
            return Err(Trouble::new(failure, ExitClass::Invalid));
        }
        // Elsewhere whoever has no terminal sees first what there is to decide; here files are written for that.
        if !asked.planned.dry_run {
            session.may_ask()?;
        }
        let into = absolute(into);
        // A run that stands still there has changed these files, and says itself what leads on.
        session.common.site = Some(into.clone());
        if into.is_dir()
            && let Some(runs) = session.folder_runs()
        {
            nobody_else(session, &runs?)?;
        }
        let builder = (session.stage.host)(Start::default());
        let settled = builder.settle(Path::new(&set), &into, asked.planned.dry_run).await?;
        told(session, &settled, asked.planned.dry_run);
        if asked.planned.dry_run {
            if !session.json() {
                session.sheet().paragraph(0, PLAN_LATER);
            }
            return Ok(ExitClass::Done);
        }
        if !session.json() {
            let again = format!("should the rest be refused, `{}` goes on from here", session.command);
            session.paper().line(&again);
        }
        session.settled = Some(settled);
    }
    let host = session.open().await?;
    // By a part of its name, as the other commands take it; what is wrong with the name the plan says.
    let named = if set.contains('/') { None } else { host.sets().one(&set).await.ok() };
    let set = named.map_or(set, |found| found.set);
    nobody_else(session, &host.runs()?)?;
    given.insert("set".to_owned(), set);
    let runbook = host.runbook(flags::RESTORE, &given).await?;
    let exit = carry_out(session, &host, &runbook, &asked.planned).await?;
    if let (ExitClass::Refused | ExitClass::Interrupted, false) = (exit, session.written().is_empty()) {
        report::wrote(&mut session.paper(), session.written());
    }
    Ok(exit)
}

/// There is no site yet that a plan could be made of.
const PLAN_LATER: &str = "what the restore does then is planned from these files: without `--dry-run` they are written, the plan \
                          is shown, and nothing else is done before a yes (`-y` says it beforehand)";

fn told(session: &Session, settled: &Settled, dry_run: bool) {
    if session.json() {
        session.lines().json(settled);
        return;
    }
    let mut paper = if dry_run { session.sheet() } else { session.paper() };
    let verb = if dry_run { "would write" } else { "wrote" };
    for path in &settled.written {
        paper.line(&format!("{verb} `{}`", path.display()));
    }
    for path in &settled.there {
        paper.line(&format!("`{}` is there already, as in the set", path.display()));
    }
    if let Some(compose) = settled.compose() {
        paper.line(&format!("it ran as `{compose}`"));
    }
}
