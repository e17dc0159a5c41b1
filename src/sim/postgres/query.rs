//! Questions in SQL: a world knows how many rows a table has, and what somebody has told it to answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    event::Failure,
    ports::postgres::{Query, Rows},
    sim::{state::State, world::World},
};

/// How the server answers a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The whole question; spaces and the case of letters do not count.
    pub sql: String,
    /// The rows, each a map from column to value.
    #[serde(default)]
    pub rows: Vec<Value>,
    /// Only where there is this file.
    pub where_is: Option<std::path::PathBuf>,
}

impl World {
    /// From now on the server answers these so. The first that fits counts.
    pub fn put_queries(&self, told: &[Told]) {
        self.lock().queries.extend(told.iter().cloned());
    }
}

fn plain(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl State {
    pub(super) fn answer_query(&self, request: &Query) -> Result<Rows, Failure> {
        let db = self.server.get(&request.database)?;
        let sql = plain(&request.sql);
        let fits = |told: &&Told| {
            plain(&told.sql) == sql
                && told.where_is.as_ref().is_none_or(|path| self.disk.files.contains_key(path))
        };
        let rows = if let Some(told) = self.queries.iter().find(fits) {
            told.rows.clone()
        } else {
            let words: Vec<_> = sql.split(' ').collect();
            let ["select", "count(*)", "as", name, "from", table] = words[..] else {
                return Err(unknown(request));
            };
            let found = db.table(table).ok_or_else(|| unknown(request))?;
            vec![json!({ name: found.count() })]
        };
        let more = rows.len() > request.limit;
        Ok(Rows { rows: rows.into_iter().take(request.limit).collect(), more })
    }
}

fn unknown(request: &Query) -> Failure {
    let text = format!("`{}` is not answered by `{}`", request.sql.trim(), request.database);
    Failure::new("query_failed", text)
        .hint("a simulated server answers what `[[query]]` of its file tells it")
}
