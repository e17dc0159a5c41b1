//! `uplift runbook test`, and the tests of a bundle that is packed.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{arguments::books::Test, runbook::host, session::Session, trouble::Trouble};
use crate::{
    event::{ExitClass, Failure},
    host::{Proof, Suite, Summary, Whose},
    report::{self, Tried},
};

pub(super) async fn test(session: &Session, asked: &Test) -> Result<ExitClass, Trouble> {
    let mut suite = session.unless_stopped(host(session).tests(&asked.names)).await??;
    if let Some(part) = &asked.only {
        let all: Vec<_> = suite.names().map(|(_, name)| name.to_owned()).collect();
        suite = suite.only(part);
        if suite.names().next().is_none() {
            let text = format!("no test has `{part}` in its name, nor in that of its file");
            let hint = format!("`{} runbook test --list` names all {}", session.typed, all.len());
            return Err(Trouble::new(Failure::new("no_tests", text).hint(hint), ExitClass::Invalid));
        }
    }
    if asked.list {
        list(session, &suite);
        return Ok(ExitClass::Done);
    }
    let mut screen = Screen::default();
    let summary = run(session, &suite, &mut screen).await?;
    let exit = if summary.is_good() { ExitClass::Done } else { ExitClass::Refused };
    if session.json() {
        let Summary { passed, failed, took_ms } = summary;
        let exit = exit.code();
        session
            .lines()
            .json(&json!({ "passed": passed, "failed": failed, "took_ms": took_ms, "exit": exit }));
    } else {
        screen.ended(session, summary);
    }
    Ok(exit)
}

/// Runs the tests and shows each as it ends. Whoever stops it waits for the one that is at work, at most a second.
pub(super) async fn run(session: &Session, suite: &Suite, screen: &mut Screen) -> Result<Summary, Trouble> {
    let cancel = CancellationToken::new();
    let mut work = Box::pin(suite.run(&cancel, |proof| screen.shows(session, proof)));
    let done = tokio::select! {
        done = &mut work => done,
        () = session.signals.wanted(1) => {
            cancel.cancel();
            tokio::select! {
                _ = &mut work => {}
                () = session.signals.wanted(2) => {}
            }
            return Err(Trouble::interrupted());
        }
    };
    done.map_err(|failure| Trouble::new(failure, ExitClass::Refused))
}

fn list(session: &Session, suite: &Suite) {
    let mut file = "";
    for (of, name) in suite.names() {
        if session.json() {
            session.lines().json(&json!({ "file": of, "test": name }));
            continue;
        }
        if of != file {
            session.sheet().line(of);
            file = of;
        }
        session.sheet().line(&format!("  {name}"));
    }
}

/// What was shown so far.
#[derive(Default)]
pub(super) struct Screen {
    file: String,
    failing: Vec<Proof>,
    /// Nothing is shown.
    is_silent: bool,
}

impl Screen {
    /// Whoever looks at it wants no more than the failures.
    pub(super) fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    fn shows(&mut self, session: &Session, proof: &Proof) {
        if session.json() && !self.is_silent {
            session.lines().json(proof);
        } else if !session.common.quiet && !self.is_silent {
            let mut sheet = session.sheet();
            if proof.file != self.file {
                report::test_file(&mut sheet, &proof.file, origin(proof.whose), self.file.is_empty());
            }
            report::tested(&mut sheet, &tried(proof));
        }
        self.file.clone_from(&proof.file);
        if !proof.passed {
            self.failing.push(proof.clone());
        }
    }

    fn ended(&self, session: &Session, summary: Summary) {
        let mut sheet = session.sheet();
        for proof in &self.failing {
            report::test_failed(&mut sheet, &tried(proof));
        }
        if !(session.common.quiet && self.failing.is_empty()) {
            let Summary { passed, failed, took_ms } = summary;
            report::tests_ended(&mut sheet, passed, failed, took_ms);
        }
    }

    /// The failures alone, a text each, for a refusal.
    pub(super) fn evidence(&self) -> Vec<String> {
        let text = |proof: &Proof| {
            let failing = proof.failing.as_ref();
            let text = failing.map_or("", |failing| failing.text.as_str());
            format!("{}: {}\n{text}", proof.file, proof.test)
        };
        self.failing.iter().map(text).collect()
    }
}

fn origin(whose: Whose) -> &'static str {
    match whose {
        Whose::Stock => "ships with uplift",
        Whose::Site => "the site's own",
        Whose::Bundle => "of the bundle",
        Whose::File => "",
    }
}

fn tried(proof: &Proof) -> Tried<'_> {
    let failing = proof.failing.as_ref();
    Tried {
        file: &proof.file,
        test: &proof.test,
        took_ms: proof.took_ms,
        sites: proof.sites,
        text: failing.map(|failing| failing.text.as_str()),
        evidence: failing.map_or(&[], |failing| &failing.evidence),
        runs: failing.map_or(&[], |failing| &failing.runs),
        printed: failing.map_or(&[], |failing| &failing.printed),
    }
}
