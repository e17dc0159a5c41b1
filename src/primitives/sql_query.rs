use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    contract::{Read, Span},
    question::{Question, short},
};
use crate::{event::Failure, ports::Observe};

/// Ask one of the site's databases, in a transaction that may only read.
///
/// A plan asks too. After a step that changes the database itself the answer is not known in a plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlQuery {
    /// One `SELECT`. Each column needs a name of its own: `select count(*) as waiting from jobs`.
    pub sql: String,
    /// The database, by its name or what it is for: `primary`, `queue`, `cache`, `cable`.
    #[serde(default = "primary")]
    pub database: String,
    /// The most rows that are given, up to 1000.
    #[serde(default = "a_hundred")]
    pub limit: usize,
    /// After that the server gives it up.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

pub(super) fn primary() -> String {
    "primary".to_owned()
}

fn a_hundred() -> usize {
    100
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

/// A record holds no tables.
const MOST: usize = 1000;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The database that was asked.
    pub database: String,
    /// A map from column to value for each row, without secrets.
    pub rows: Vec<Value>,
    /// There are more rows.
    pub more: bool,
}

impl Read for SqlQuery {
    const NAME: &'static str = "sql_query";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            sql: "select count(*) as orders from orders".to_owned(),
            database: primary(),
            limit: a_hundred(),
            timeout: ten_seconds(),
        }
    }

    fn summary(&self) -> String {
        format!("ask `{}`: {}", self.database, short(&self.sql))
    }

    fn result(outcome: &Outcome) -> String {
        let rows = match outcome.rows.len() {
            1 => "1 row".to_owned(),
            n => format!("{n} rows"),
        };
        let more = if outcome.more { ", and there are more" } else { "" };
        format!("`{}` answered with {rows}{more}", outcome.database)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        if !(1..=MOST).contains(&self.limit) {
            let failure = Failure::new("bad_option", format!("`sql_query`: `limit` is {}", self.limit));
            return Err(failure.hint(format!("it is a number from 1 to {MOST}")));
        }
        let question = Question { sql: &self.sql, database: &self.database, timeout: self.timeout.0 };
        let (database, found) = question.ask(self.limit, site).await?;
        let rows = found.rows.iter().map(|row| site.scrubber.scrub_json(row)).collect();
        Ok(Outcome { database, rows, more: found.more })
    }
}
