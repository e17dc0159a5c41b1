use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    contract::{Read, Span},
    question::{Question, short},
    sql_query::primary,
};
use crate::{
    event::{Failure, Unit},
    ports::{Observe, clock::since},
};

/// Wait until a question in SQL is answered with true.
///
/// It is asked again and again, each time in a transaction that may only read. A plan does not wait: it takes it to come.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitUntil {
    /// One `SELECT` with one row of one column, true or false: `select count(*) = 0 as idle from jobs`.
    pub sql: String,
    /// The database, by its name or what it is for: `primary`, `queue`, `cache`, `cable`.
    #[serde(default = "primary")]
    pub database: String,
    /// What is waited for, in a few words for the screen.
    #[serde(default)]
    pub what: Option<String>,
    /// How often it is asked, `1s` or longer.
    #[serde(default = "two_seconds")]
    pub every: Span,
    /// For how long it is waited for.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
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

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

impl Read for WaitUntil {
    const NAME: &'static str = "wait_until";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            sql: "select count(*) = 0 as idle from orders".to_owned(),
            database: primary(),
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
            return Err(failure.hint("a second is the least: each question costs the server something"));
        }
        let started = site.clock.now();
        let outcome = || Outcome {
            what: self.words(),
            waited_ms: u64::try_from(since(site.clock, started).as_millis()).unwrap_or(u64::MAX),
        };
        // Asked once in any case: what cannot be asked is found while it is planned.
        if self.is_so(site).await? || site.clock.takes_for_granted(&self.words()) {
            return Ok(outcome());
        }
        loop {
            let waited = since(site.clock, started);
            if waited >= self.timeout.0 {
                let text = format!("it did not come within {}: {}", self.timeout, self.words());
                return Err(Failure::new("wait_over", text)
                    .hint("look why; wait longer with `timeout`, or go on later"));
            }
            let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let what = format!("waiting until {}", self.words());
            site.tell.progress(what, millis(waited), Some(millis(self.timeout.0)), Unit::Milliseconds);
            site.clock.sleep(self.every.0.min(self.timeout.0)).await;
            match self.is_so(site).await {
                Ok(true) => return Ok(outcome()),
                Ok(false) => {}
                // A server that is away for a moment does not end a wait.
                Err(failure) if failure.retryable => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

impl WaitUntil {
    fn words(&self) -> String {
        self.what.clone().unwrap_or_else(|| short(&self.sql))
    }

    async fn is_so(&self, site: Observe<'_>) -> Result<bool, Failure> {
        let question = Question { sql: &self.sql, database: &self.database, timeout: ANSWER };
        let (_, found) = question.ask(2, site).await?;
        let values: Vec<_> =
            found.rows.iter().filter_map(Value::as_object).flat_map(|row| row.values()).collect();
        match values[..] {
            [Value::Bool(so)] => Ok(*so),
            // What a rehearsal has made up.
            [] if found.rows.is_empty() && site.clock.takes_for_granted(&self.words()) => Ok(true),
            _ => {
                let text = format!("`{}` is not answered with true or false alone", short(&self.sql));
                Err(Failure::new("query_refused", text).hint("e.g. `select count(*) = 0 as idle from jobs`"))
            }
        }
    }
}
