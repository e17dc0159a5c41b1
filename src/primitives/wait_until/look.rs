//! What is looked at while something is waited for.

use std::{path::Path, time::Duration};

use serde_json::Value;

use super::{Knock, WaitUntil};
use crate::{
    event::Failure,
    ports::{
        Observe,
        programs::{RunProgram, last_lines},
        secrets::lent,
    },
    primitives::{
        question::{Question, short},
        started,
    },
};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) enum Look<'a> {
    Sql { sql: &'a str, database: &'a str },
    Http(&'a Knock),
    Exec(&'a WaitUntil),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    So,
    /// With what was seen instead, where that says more than no.
    NotYet(Option<String>),
}

impl Look<'_> {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Sql { sql, .. } => short(sql),
            Self::Http(knock) => {
                let asked = knock.asking().words();
                match (&knock.contains, &knock.lacks) {
                    (Some(text), _) => format!("`{asked}` is answered with `{}`", short(text)),
                    (None, Some(text)) => format!("`{asked}` is answered without `{}`", short(text)),
                    (None, None) => format!("`{asked}` is answered well"),
                }
            }
            Self::Exec(wait) => format!("`{}` ends well", started::line(&wait.exec)),
        }
    }

    /// Refuses what can never come, before anything is waited for.
    pub(super) async fn check(&self, site: Observe<'_>) -> Result<(), Failure> {
        match self {
            Self::Sql { .. } => Ok(()),
            Self::Http(knock) => knock.check(site).await,
            Self::Exec(wait) => {
                let plain = wait.exec.iter().chain(wait.env.values());
                started::named(wait.env.keys(), &wait.secrets, plain).map_err(|refusal| refusal.0)?;
                let words =
                    started::placed(&wait.exec, &site.site.project.dir).map_err(|refusal| refusal.0)?;
                started::may_start(Path::new(&words[0]), site).await?;
                for reference in wait.secrets.values() {
                    lent(reference, site).await?;
                }
                Ok(())
            }
        }
    }

    /// A server that does not answer at all is no reason to wait for a question; a service that does not is what one waits for.
    pub(super) async fn first(&self, words: &str, site: Observe<'_>) -> Result<Seen, Failure> {
        match (self, self.once(words, site).await) {
            (Self::Http(_), Err(failure)) if failure.retryable => Ok(Seen::NotYet(Some(failure.message))),
            (_, seen) => seen,
        }
    }

    pub(super) async fn once(&self, words: &str, site: Observe<'_>) -> Result<Seen, Failure> {
        match self {
            Self::Sql { sql, database } => is_so(sql, database, words, site).await,
            Self::Http(knock) => Ok(knock.seen(site).await?.unwrap_or(Seen::NotYet(None))),
            Self::Exec(wait) => ended_well(wait, site).await,
        }
    }
}

async fn is_so(sql: &str, database: &str, words: &str, site: Observe<'_>) -> Result<Seen, Failure> {
    let question = Question { sql, database, timeout: ANSWER };
    let (_, found) = question.ask(2, site).await?;
    let values: Vec<_> =
        found.rows.iter().filter_map(Value::as_object).flat_map(|row| row.values()).collect();
    match values[..] {
        [Value::Bool(true)] => Ok(Seen::So),
        [Value::Bool(false)] => Ok(Seen::NotYet(None)),
        // What a rehearsal has made up.
        [] if found.rows.is_empty() && site.clock.takes_for_granted(words) => Ok(Seen::So),
        _ => {
            let text = format!("`{}` is not answered with true or false alone", short(sql));
            Err(Failure::new("query_refused", text).hint("e.g. `select count(*) = 0 as idle from jobs`"))
        }
    }
}

async fn ended_well(wait: &WaitUntil, site: Observe<'_>) -> Result<Seen, Failure> {
    let dir = &site.site.project.dir;
    let words = started::placed(&wait.exec, dir).map_err(|refusal| refusal.0)?;
    let mut secrets = std::collections::BTreeMap::new();
    for (name, reference) in &wait.secrets {
        secrets.insert(name.clone(), lent(reference, site).await?);
    }
    let request = RunProgram {
        program: words.first().map(std::path::PathBuf::from).unwrap_or_default(),
        arguments: words.iter().skip(1).cloned().collect(),
        folder: wait.dir.as_ref().map_or_else(|| dir.clone(), |own| dir.join(own)),
        variables: wait.env.clone(),
        secrets,
        input: String::new(),
        timeout: ANSWER,
    };
    let ran = match site.programs.ask(&request).await {
        Ok(Some(ran)) => ran,
        // A rehearsal starts none.
        Ok(None) => return Ok(Seen::NotYet(None)),
        // It only looks: one that was ended has done nothing of which anybody had to know.
        Err(failure) if failure.unknown => return Ok(Seen::NotYet(Some(failure.message))),
        Err(failure) => return Err(failure),
    };
    if wait.codes.contains(&ran.code) {
        return Ok(Seen::So);
    }
    let said = last_lines(&ran, 1).into_iter().next().map(|line| format!(": {line}")).unwrap_or_default();
    let text = format!("last ended with exit code {}{said}", ran.code);
    Ok(Seen::NotYet(Some(site.scrubber.scrub(&text))))
}
