mod knock;
mod look;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    knock::Knock,
    look::{Look, Seen},
};
use super::{
    contract::{Read, Span},
    sql_query::primary,
};
use crate::{
    event::{Failure, Unit},
    ports::{Observe, clock::since},
    site::Reference,
};

/// Wait until something is so: a question in SQL is answered with true, a service answers as it is to, or a program ends well.
///
/// One of `sql`, `http` and `exec` is looked at again and again; none of them may change anything. A question is asked in a
/// transaction that may only read; a host and a program need a grant, as for `http_request` and `exec`. A plan does not wait: it
/// takes it to come, and asks no service and starts no program.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitUntil {
    /// One `SELECT` with one row of one column, true or false: `select count(*) = 0 as idle from jobs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The database, by its name or what it is for: `primary`, `queue`, `cache`, `cable`.
    #[serde(default = "primary")]
    pub database: String,
    /// A request that has to be answered as it says. Any other answer means not yet, and so does none; 400, 401, 403, 405 and
    /// 407 end the wait: they do not change by waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Knock>,
    /// A program's path (a relative one is from the site folder) and its arguments. No shell reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// Exit codes by which the program says that it is so; any other means not yet.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub codes: Vec<i32>,
    /// The program's variables, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Its variables that hold secrets, each with where the secret is: `env:NAME`, `file:PATH`, `setting:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Reference>,
    /// The folder that it starts in, from the site folder, which it is where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// What is waited for, in a few words for the screen.
    #[serde(default)]
    pub what: Option<String>,
    /// How often it is looked at, `1s` or longer.
    #[serde(default = "two_seconds")]
    pub every: Span,
    /// For how long it is waited for.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

fn zero() -> Vec<i32> {
    vec![0]
}

fn is_zero(codes: &[i32]) -> bool {
    codes == zero()
}

fn two_seconds() -> Span {
    Span(Duration::from_secs(2))
}

fn ten_minutes() -> Span {
    Span(Duration::from_mins(10))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was waited for.
    pub what: String,
    /// Milliseconds until it was so.
    pub waited_ms: u64,
}

impl Read for WaitUntil {
    const NAME: &'static str = "wait_until";
    const ADMITS: bool = true;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            sql: Some("select count(*) = 0 as idle from orders".to_owned()),
            database: primary(),
            http: None,
            exec: Vec::new(),
            codes: zero(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            dir: None,
            what: Some("no order is open".to_owned()),
            every: two_seconds(),
            timeout: ten_minutes(),
        }
    }

    fn summary(&self) -> String {
        format!("wait until {}, for {} at most", self.words(), self.timeout)
    }

    fn result(outcome: &Outcome) -> String {
        let waited = Duration::from_millis(outcome.waited_ms);
        format!("{}, after {:.1} s", outcome.what, waited.as_secs_f64())
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        if self.every.0 < Duration::from_secs(1) {
            let failure = Failure::new("bad_option", format!("`wait_until`: `every` is {}", self.every));
            return Err(failure.hint("a second is the least: each look costs somebody something"));
        }
        let look = self.what_to_look_at()?;
        look.check(site).await?;
        let started = site.clock.now();
        let outcome = || Outcome {
            what: self.words(),
            waited_ms: u64::try_from(since(site.clock, started).as_millis()).unwrap_or(u64::MAX),
        };
        // Looked at once in any case: what cannot be asked is found while it is planned.
        let mut seen = look.first(&self.words(), site).await?;
        if seen == Seen::So || site.clock.takes_for_granted(&self.words()) {
            return Ok(outcome());
        }
        loop {
            let waited = since(site.clock, started);
            if waited >= self.timeout.0 {
                let text = format!("it did not come within {}: {}", self.timeout, self.words());
                let last = if let Seen::NotYet(Some(last)) = seen { vec![last] } else { Vec::new() };
                return Err(Failure::new("wait_over", text)
                    .hint("look why; wait longer with `timeout`, or go on later")
                    .evidence(last));
            }
            let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let what = format!("waiting until {}", self.words());
            site.tell.progress(what, millis(waited), Some(millis(self.timeout.0)), Unit::Milliseconds);
            site.clock.sleep(self.every.0.min(self.timeout.0)).await;
            seen = match look.once(&self.words(), site).await {
                Ok(Seen::So) => return Ok(outcome()),
                Ok(seen) => seen,
                // A server that is away for a moment does not end a wait.
                Err(failure) if failure.retryable => Seen::NotYet(Some(failure.message)),
                Err(failure) => return Err(failure),
            }
        }
    }
}

impl WaitUntil {
    fn words(&self) -> String {
        let own = self.what.clone();
        own.unwrap_or_else(|| self.what_to_look_at().map_or_else(|_| String::new(), |look| look.words()))
    }

    fn what_to_look_at(&self) -> Result<Look<'_>, Failure> {
        let wrong = |text: &str, hint: &str| Err(Failure::new("bad_option", text).hint(hint));
        let programs =
            self.codes != zero() || !self.env.is_empty() || !self.secrets.is_empty() || self.dir.is_some();
        if self.exec.is_empty() && programs {
            let text = "`wait_until`: `codes`, `env`, `secrets` and `dir` are for `exec`, and there is none";
            return wrong(text, "take them out; statuses that are fine stand in `expect` within `http`");
        }
        match (&self.sql, &self.http, self.exec.is_empty()) {
            (Some(sql), None, true) => Ok(Look::Sql { sql, database: &self.database }),
            (None, Some(knock), true) => Ok(Look::Http(knock)),
            (None, None, false) => Ok(Look::Exec(self)),
            _ => wrong(
                "`wait_until` takes one of `sql`, `http` and `exec`",
                "e.g. `http: #{ url: \"http://127.0.0.1:8404/drained\" }`",
            ),
        }
    }
}
