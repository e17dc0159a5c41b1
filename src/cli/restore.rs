use std::{collections::BTreeMap, path::Path};

use super::{
    arguments,
    begin::{carry_out, nobody_else},
    flags,
    session::Session,
    trouble::Trouble,
};
use crate::{
    event::ExitClass,
    host::{Settled, Start},
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
        let into = absolute(into);
        let builder = (session.stage.host)(Start::default());
        let settled = builder.settle(Path::new(&set), &into, asked.dry_run).await?;
        told(session, &settled, asked.dry_run);
        if asked.dry_run {
            return Ok(ExitClass::Done);
        }
        if !session.json() {
            let again = format!(
                "should the rest fail, `uplift restore {set} --into {}` goes on from here",
                into.display()
            );
            session.paper().line(&again);
        }
        session.common.site = Some(into);
        session.settled = Some(settled);
    }
    let host = session.open().await?;
    nobody_else(session, &host.runs()?)?;
    given.insert("set".to_owned(), set);
    let runbook = host.runbook(flags::RESTORE, &given).await?;
    carry_out(session, &host, &runbook, asked.dry_run).await
}

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
