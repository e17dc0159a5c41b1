use std::path::Path;

use serde_json::json;

use super::{
    arguments::Books,
    bundles, docs,
    session::{Session, quoted},
    testing,
    trouble::Trouble,
};
use crate::{
    event::ExitClass,
    host::{Checkup, HostBuilder, Shipped, stock, stock_named, stock_tests},
};

/// `uplift runbook`.
pub(super) async fn runbook(session: &mut Session, what: Books) -> Result<ExitClass, Trouble> {
    match what {
        Books::List => list(session).await,
        Books::Show { name } => {
            let (text, bundle, own) = shown(session, &name).await?;
            if session.json() {
                session.lines().json(&json!({ "name": name, "text": text, "bundle": bundle, "own": own }));
            } else {
                session.lines().text(&text);
            }
            Ok(ExitClass::Done)
        }
        Books::Check { names } => check(session, &names).await,
        Books::Test(asked) => testing::test(session, &asked).await,
        Books::Docs { name, definitions } => {
            docs::docs(session, name.as_deref(), definitions.as_deref()).await
        }
        Books::Eject { name, file } => eject(session, &name, file.as_deref()).await,
        Books::Pack(asked) => bundles::pack(session, &asked).await,
        Books::Install(asked) => bundles::install(session, asked).await,
        Books::Revert(asked) => bundles::revert(session, asked).await,
        Books::Delta => bundles::delta(session).await,
    }
}

/// No site is looked for: of one that is named, only its own scripts are read.
pub(super) fn host(session: &Session) -> HostBuilder {
    (session.stage.host)(session.start())
}

/// The text that would run here, the bundle that it is of, and whether it is the site's own. Where no folder of a site is
/// named, what ships with uplift.
async fn shown(session: &Session, name: &str) -> Result<(String, Option<Shipped>, bool), Trouble> {
    if let Some(tests) = stock_tests().iter().find(|tests| tests.name == name) {
        return Ok((tests.text.to_owned(), None, false));
    }
    match bundles::known(session) {
        Some(bundles) => Ok(bundles?.shown(name).await?),
        None => Ok((stock_named(name)?.text.to_owned(), None, false)),
    }
}

/// The stock runbooks, those of the site's bundle, and its own.
async fn list(session: &Session) -> Result<ExitClass, Trouble> {
    let own = host(session).own_runbooks().await?;
    let mut names: Vec<_> = stock().iter().map(|book| book.name.to_owned()).collect();
    names.extend(own.iter().filter(|name| stock_named(name).is_err()).cloned());
    let bundle = match bundles::known(session) {
        Some(bundles) => bundles?.installed().await?,
        None => None,
    };
    let (bundle, bundled) = bundle.unzip();
    let bundled = bundled.unwrap_or_default();
    names.extend(bundled.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    let mut exit = ExitClass::Done;
    for name in names {
        let is_own = own.contains(&name);
        let header = match host(session).header(&name).await {
            Ok(header) => header,
            // One that is not in order must not hide the others.
            Err(error) => {
                exit = ExitClass::Invalid;
                if session.json() {
                    session.lines().json(&json!({ "name": name, "own": is_own, "error": error.failure() }));
                } else {
                    let how = format!("is not in order: `uplift runbook check {name}` says why");
                    session.sheet().line(&format!("{name:<20}{how}"));
                }
                continue;
            }
        };
        if session.json() {
            let bundle = bundle.as_ref().filter(|_| !is_own && bundled.contains(&name));
            session.lines().json(&json!({ "name": name, "header": header, "own": is_own, "bundle": bundle }));
        } else {
            let note = match &bundle {
                _ if is_own => " (the site's own)".to_owned(),
                Some(bundle) if bundled.contains(&name) => format!(" (bundle {bundle})"),
                _ => String::new(),
            };
            session.sheet().line(&format!("{name:<20}{}{note}", header.summary));
        }
    }
    Ok(exit)
}

async fn check(session: &Session, names: &[String]) -> Result<ExitClass, Trouble> {
    let mut checkups = Vec::new();
    for name in names {
        checkups.push(session.unless_stopped(host(session).check(name)).await??);
    }
    let errors: usize = checkups.iter().map(Checkup::errors).sum();
    let warnings: usize = checkups.iter().map(Checkup::warnings).sum();
    let exit = if errors == 0 { ExitClass::Done } else { ExitClass::Invalid };
    if session.json() {
        let mut lines = session.lines();
        checkups.iter().flat_map(|checkup| &checkup.problems).for_each(|problem| lines.json(problem));
        let exit = exit.code();
        lines.json(&json!({ "checked": checkups, "errors": errors, "warnings": warnings, "exit": exit }));
    } else {
        for checkup in &checkups {
            told(session, checkup);
        }
    }
    Ok(exit)
}

async fn eject(session: &Session, name: &str, file: Option<&Path>) -> Result<ExitClass, Trouble> {
    let ejected = host(session).eject(name, file).await?;
    let runbook = ejected.runbook.display().to_string();
    if session.json() {
        session.lines().json(&json!({ "from": name, "runbook": runbook, "imported": ejected.imported, "tests": ejected.tests }));
        return Ok(ExitClass::Done);
    }
    if session.common.quiet {
        return Ok(ExitClass::Done);
    }
    let mut paper = session.paper();
    paper.line(&format!("wrote `{runbook}`, a copy of `{name}`"));
    for path in &ejected.imported {
        paper.line(&format!("wrote `{}`, which it imports", path.display()));
    }
    if let Some(path) = &ejected.tests {
        paper.line(&format!("wrote `{}`, its tests", path.display()));
    }
    let typed = quoted(&runbook);
    paper.blank();
    paper.line(&format!("look it through:  uplift runbook check {typed}"));
    if let Some(path) = &ejected.tests {
        paper.line(&format!("try it:           uplift runbook test {}", quoted(&path.display().to_string())));
    }
    paper.line(&format!("run it:           uplift run {typed} --help"));
    paper.blank();
    paper.paragraph(
        0,
        "The copy is yours: what later uplifts mend in their own does not come into it by itself.",
    );
    Ok(ExitClass::Done)
}

fn told(session: &Session, checkup: &Checkup) {
    let mut sheet = session.sheet();
    for problem in &checkup.problems {
        problem.text.lines().for_each(|line| sheet.line(line));
        sheet.blank();
    }
    let (errors, warnings) = (checkup.errors(), checkup.warnings());
    let found = match (errors, warnings) {
        (0, 0) if session.common.quiet => return,
        (0, 0) => "no problems".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    let what = match checkup.tests {
        Some(tests) => counted(tests, "test"),
        None => format!("{}, {}", counted(checkup.steps, "step"), counted(checkup.calls, "call")),
    };
    sheet.line(&format!("`{}`: {what}, {found}", checkup.runbook));
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
