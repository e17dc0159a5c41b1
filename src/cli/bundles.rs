//! `uplift runbook pack`, `install`, `revert` and `delta`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    arguments::bundles::{Install, Pack, Revert},
    session::Session,
    testing::{self, Screen},
    trouble::Trouble,
};
use crate::{
    event::{ExitClass, Failure},
    host::{Bundles, KeyFile, Offer, Secret, SigningKey, Suite, Summary},
    report::{self, Shipment},
};

/// The variable with the password of a key.
const PASSWORD: &str = "UPLIFT_KEY_PASSWORD";

/// The bundles of the site, without a look at it where its folder is known.
pub(super) async fn bundles(session: &mut Session) -> Result<Bundles, Trouble> {
    match known(session) {
        Some(bundles) => bundles,
        None => Ok(session.open().await?.bundles()),
    }
}

/// Those of the site whose folder is known; `None` where it would have to be looked for.
pub(super) fn known(session: &Session) -> Option<Result<Bundles, Trouble>> {
    Some((session.stage.host)(session.start()).bundles()?.map_err(Trouble::from))
}

/// `uplift runbook pack`.
pub(super) async fn pack(session: &Session, asked: &Pack) -> Result<ExitClass, Trouble> {
    let host = (session.stage.host)(session.start());
    let packed = session.unless_stopped(host.packed(&asked.dir)).await??;
    let tests = if asked.untested { None } else { Some(tested(session, &host.tests_of(&packed)?).await?) };
    let key = match &asked.key {
        Some(path) => Some(unlocked(session, host.key(path).await?).await?),
        None => None,
    };
    let name = format!("{}-{}", packed.name(), packed.version());
    let end = if key.is_some() { "bundle" } else { "unsigned" };
    let to = asked.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.{end}")));
    let path = packed.write(key.as_ref(), &to).await?;
    let by = match &key {
        Some(key) => Some((key.id(), key.public().map_err(invalid)?)),
        None => None,
    };
    if session.json() {
        let (id, public) = by.unzip();
        session.lines().json(&json!({
            "name": packed.name(), "version": packed.version(), "files": packed.files(), "path": path,
            "key": id, "public": public, "tests": tests,
        }));
    } else if !session.common.quiet {
        let (name, version, files) = (packed.name(), packed.version(), packed.files());
        let bundle = format!("{name}-{version}.bundle");
        let by = by.as_ref().map(|(id, public)| (id.as_str(), public.as_str()));
        let tests = tests.map(|tests| tests.passed);
        let bundle = Path::new(&bundle);
        let shipment = Shipment { name, version: &version, files: &files, path: &path, bundle, by, tests };
        report::packed(&mut session.paper(), &shipment);
    }
    Ok(ExitClass::Done)
}

/// What its tests say; a bundle that fails them is none.
async fn tested(session: &Session, suite: &Suite) -> Result<Summary, Trouble> {
    let mut screen = Screen::silent();
    let summary = testing::run(session, suite, &mut screen).await?;
    if summary.failed == 0 {
        return Ok(summary);
    }
    let Summary { passed, failed, .. } = summary;
    let text = format!("of the bundle's tests {failed} failed and {passed} passed, so it was not packed");
    let failure = Failure::new("bundle_tests_failed", text).evidence(screen.evidence());
    Err(invalid(
        failure.hint(
            "mend it, and run them alone: `uplift runbook test DIR`; `--untested` packs it all the same",
        ),
    ))
}

async fn unlocked(session: &Session, file: KeyFile) -> Result<SigningKey, Trouble> {
    if let Some(key) = file.open() {
        return Ok(key);
    }
    let password = match std::env::var(PASSWORD) {
        Ok(password) => password,
        Err(_) => session.password("password of the key:", PASSWORD).await?,
    };
    // A second of work, which must not keep a signal waiting.
    let opened = tokio::task::spawn_blocking(move || file.unlock(&Secret::new(password)));
    let opened = session.unless_stopped(opened).await?;
    let opened = opened.map_err(|error| invalid(Failure::inside("key_unusable", error.to_string())))?;
    opened.map_err(invalid)
}

fn invalid(failure: Failure) -> Trouble {
    Trouble::new(failure, ExitClass::Invalid)
}

/// `uplift runbook install`.
pub(super) async fn install(session: &mut Session, asked: Install) -> Result<ExitClass, Trouble> {
    if !asked.dry_run {
        session.may_ask()?;
    }
    let bundles = bundles(session).await?;
    let offer = session.unless_stopped(bundles.offer(&asked.source)).await??;
    let mut screen = Screen::silent();
    let mut tests = None;
    if !asked.untested && offer.exchange.is_some() {
        let suite = session.unless_stopped(bundles.tests(&offer)).await??;
        tests = Some(testing::run(session, &suite, &mut screen).await?);
    }
    let tests = Tests { summary: tests, failing: screen.evidence() };
    carry_out(session, &bundles, &offer, asked.dry_run, ("install it?", Some(&tests))).await
}

/// What the tests said of a bundle that is offered.
struct Tests {
    /// `None` where none was to be run.
    summary: Option<Summary>,
    failing: Vec<String>,
}

/// `uplift runbook revert`.
pub(super) async fn revert(session: &mut Session, asked: Revert) -> Result<ExitClass, Trouble> {
    if !asked.dry_run {
        session.may_ask()?;
    }
    let bundles = bundles(session).await?;
    let offer = session.unless_stopped(bundles.back(asked.stock)).await??;
    carry_out(session, &bundles, &offer, asked.dry_run, ("go back to it?", None)).await
}

async fn carry_out(
    session: &Session,
    bundles: &Bundles,
    offer: &Offer,
    only_look: bool,
    (question, tests): (&str, Option<&Tests>),
) -> Result<ExitClass, Trouble> {
    let Some(exchange) = &offer.exchange else {
        if session.json() {
            session.lines().json(&json!({ "exchange": null, "done": false }));
        } else if !session.common.quiet {
            report::nothing_needed(&mut session.paper(), "this bundle is installed already");
        }
        return Ok(ExitClass::Done);
    };
    if !session.json() && (only_look || !session.common.quiet) {
        let mut paper = if only_look { session.sheet() } else { session.paper() };
        report::exchange(&mut paper, exchange);
        if let Some(tests) = tests {
            let summary = tests.summary.map(|summary| (summary.passed, summary.failed));
            report::exchange_tests(&mut paper, summary, &tests.failing);
        }
    }
    let failed = tests.and_then(|tests| tests.summary).map_or(0, |summary| summary.failed);
    if !only_look {
        // Where nobody is asked nobody has read it.
        if failed > 0 && session.common.yes {
            let text = format!("with this bundle {failed} of the tests failed, so it was not installed");
            let failure = Failure::new("bundle_tests_failed", text)
                .evidence(tests.into_iter().flat_map(|tests| tests.failing.clone()))
                .hint("look at them with `--dry-run`, and ask who has made it; `--untested` installs it all the same");
            return Err(Trouble::new(failure, ExitClass::Refused));
        }
        session.ask(question).await?;
        bundles.take(offer, &session.command).await?;
    }
    if session.json() {
        let mut said = json!({ "exchange": exchange, "done": !only_look });
        if let Some(tests) = tests {
            said["tests"] = json!(tests.summary);
        }
        session.lines().json(&said);
    } else if !only_look && !session.common.quiet {
        report::exchanged(&mut session.paper(), exchange, &session.typed);
    }
    // What would be refused is no good end of a look either.
    Ok(if only_look && failed > 0 { ExitClass::Refused } else { ExitClass::Done })
}

/// `uplift runbook delta`.
pub(super) async fn delta(session: &mut Session) -> Result<ExitClass, Trouble> {
    let bundles = bundles(session).await?;
    let found = session.unless_stopped(bundles.deviations()).await??;
    if session.json() {
        session.lines().json(&found);
    } else {
        report::deviations(&mut session.sheet(), &found);
    }
    Ok(if found.wrong.is_empty() { ExitClass::Done } else { ExitClass::Refused })
}
