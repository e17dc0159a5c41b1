//! A question in SQL that a runbook asks.

use std::time::Duration;

use super::contract::suggest;
use crate::{
    event::Failure,
    ports::{
        Observe,
        postgres::{Query, Rows},
    },
};

pub(super) struct Question<'a> {
    pub(super) sql: &'a str,
    /// Name or role.
    pub(super) database: &'a str,
    pub(super) timeout: Duration,
}

/// Functions that do more than look although a transaction that may only read lets them: names, or their beginnings.
const ACTS: [&str; 32] = [
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_advisory",
    "pg_try_advisory",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_promote",
    "pg_switch_wal",
    "pg_create",
    "pg_drop",
    "pg_copy",
    "pg_logical",
    "pg_replication",
    "pg_wal_replay",
    "pg_stat_reset",
    "pg_notify",
    "pg_sleep",
    "pg_backup",
    "set_config",
    "dblink",
    "lo_creat",
    "lo_export",
    "lo_from_bytea",
    "lo_import",
    "lo_open",
    "lo_put",
    "lo_truncate",
    "lo_unlink",
    "lowrite",
    "pg_stat_statements_reset",
    // These run a question that stands in a text.
    "query_to_xml",
    "ts_stat",
];

impl Question<'_> {
    /// The database's name with the answer. Fails with `query_refused` where the question is none.
    pub(super) async fn ask(&self, limit: usize, site: Observe<'_>) -> Result<(String, Rows), Failure> {
        let sql = self.checked()?;
        let all = &site.site.databases;
        let wanted = |one: &&crate::site::Database| one.name == self.database || one.role == self.database;
        let Some(found) = all.all.iter().find(wanted) else {
            let known: Vec<_> =
                all.all.iter().flat_map(|one| [one.role.as_str(), one.name.as_str()]).collect();
            let text = format!("`{}` is no database of this site", self.database);
            return Err(Failure::new("bad_option", text).hint(suggest(self.database, &known)));
        };
        let query = Query {
            endpoint: all.endpoint.clone(),
            database: found.name.clone(),
            sql,
            limit,
            timeout: self.timeout,
        };
        Ok((found.name.clone(), site.postgres.query(&query).await?))
    }

    /// The statement, once nothing in it is known to do more than look. The transaction that may only read keeps what is written
    /// away; this is about what such a transaction lets through: locks, sessions, files, other servers.
    fn checked(&self) -> Result<String, Failure> {
        let sql = self.sql.trim().trim_end_matches(';').trim_end();
        let refused = |why: &str| {
            Failure::new("query_refused", format!("`{}` is not asked: {why}", short(self.sql)))
                .hint("write one `SELECT` that only looks")
        };
        if sql.is_empty() {
            return Err(refused("there is nothing in it"));
        }
        if sql.contains('\0') {
            return Err(refused("it holds a byte 0"));
        }
        let lower = sql.to_lowercase();
        if lower.contains("u&\"") {
            return Err(refused("a name in it is written in other signs"));
        }
        let in_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        for word in lower.split(|letter| !in_a_name(letter)) {
            if let Some(acts) = ACTS.iter().find(|acts| word.starts_with(**acts)) {
                return Err(refused(&format!("`{acts}` does more than look")));
            }
        }
        Ok(sql.to_owned())
    }
}

/// The beginning of it, in one line.
pub(super) fn short(sql: &str) -> String {
    const MOST: usize = 80;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST { line } else { line.chars().take(MOST).collect::<String>() + " ..." }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_is_asked() {
        let checked = |sql: &str| {
            Question { sql, database: "primary", timeout: Duration::ZERO }
                .checked()
                .map_err(|failure| failure.code)
        };
        assert_eq!(checked(" select 1 as one ; "), Ok("select 1 as one".to_owned()));
        assert_eq!(checked("select lot, load from t"), Ok("select lot, load from t".to_owned()));
        assert_eq!(checked("select lo_water from t"), Ok("select lo_water from t".to_owned()));
        for sql in [
            "",
            ";",
            "select pg_terminate_backend(pid) from pg_stat_activity",
            "SELECT PG_Advisory_Lock(1)",
            "select * from dblink('x', 'delete from t') as t(a int)",
            "select lo_unlink(1)",
            "select \"lo_unlink\" (1)",
            "select U&\"pg\\005fterminate_backend\"(42)",
            "select pg_stat_statements_reset()",
        ] {
            assert_eq!(checked(sql), Err("query_refused".to_owned()), "{sql}");
        }
    }
}
