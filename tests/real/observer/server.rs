//! What the database server writes down of every statement, and what of it changes something.

use std::collections::BTreeSet;

use super::{super::Field, fact::Facts, names::Names};

/// One statement, or whatever else the server says of a session.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pid: String,
    database: String,
    application: String,
    text: String,
}

/// Has the server write down every statement, and who sends it.
pub(super) fn tell_all(field: &Field) {
    for setting in ["log_line_prefix = '%n|%p|%d|%a|'", "log_statement = 'all'"] {
        field.stack.psql("postgres", &format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    field.stack.psql("postgres", "SELECT pg_reload_conf()").unwrap();
}

/// What was written down since.
pub(super) fn told(field: &Field, since: &str) -> Vec<Statement> {
    let logs = field.stack.tools().docker().args("logs --since").arg(since).arg(field.stack.postgres());
    let logs = logs.run().unwrap();
    let mut told: Vec<Statement> = Vec::new();
    for line in logs.stderr.lines().chain(logs.stdout.lines()) {
        match (Statement::read(line), told.last_mut()) {
            (Some(one), _) => told.push(one),
            // The rest of a statement of several lines.
            (None, Some(last)) => last.text = format!("{}\n{line}", last.text),
            (None, None) => {}
        }
    }
    told
}

impl Statement {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(5, '|');
        let _at: f64 = parts.next()?.parse().ok()?;
        let mut next = || parts.next().map(str::to_owned);
        Some(Self { pid: next()?, database: next()?, application: next()?, text: next()? })
    }

    /// Neither the product nor this laboratory sent it.
    fn is_uplifts(&self) -> bool {
        !self.application.starts_with("strata-") && self.application != "psql"
    }

    /// What was sent; `None` where the line is about something else.
    fn sent(&self) -> Option<&str> {
        let said = self.text.strip_prefix("LOG:  ")?;
        let sent = said.strip_prefix("statement: ");
        sent.or_else(|| said.strip_prefix("execute ")?.split_once(": ").map(|(_, sent)| sent)).map(str::trim)
    }
}

/// Statements that only look, by their first word; with what makes a statement of that kind change something.
const READS: [(&str, &[&str]); 14] = [
    (
        "SELECT",
        &[
            "PG_TERMINATE_BACKEND(",
            "PG_CANCEL_BACKEND(",
            "ADVISORY_LOCK",
            "ADVISORY_XACT_LOCK",
            "LO_UNLINK(",
            "LO_IMPORT(",
            "DBLINK_EXEC(",
            "PG_SWITCH_WAL(",
            "SETVAL(",
            "NEXTVAL(",
            " INTO ",
        ],
    ),
    ("WITH", &["INSERT ", "UPDATE ", "DELETE ", "MERGE "]),
    ("SHOW", &[]),
    ("SET", &[]),
    ("BEGIN", &[]),
    ("START", &[]),
    ("COMMIT", &[]),
    ("ROLLBACK", &[]),
    ("LOCK", &["EXCLUSIVE", "ROW SHARE", "IN SHARE"]),
    ("COPY", &[" FROM "]),
    ("PREPARE", &["INSERT ", "UPDATE ", "DELETE "]),
    ("EXECUTE", &[]),
    ("DEALLOCATE", &[]),
    ("DECLARE", &[]),
];

fn only_looks(sent: &str) -> bool {
    let first = sent.split_whitespace().next().unwrap_or_default().to_uppercase();
    let known = READS.iter().find(|(word, _)| first.trim_end_matches(';') == *word);
    known.is_some_and(|(word, writes)| {
        // A dump reads rows by `COPY (SELECT ... FROM ...) TO stdout`, a load writes them by `COPY ... FROM stdin`.
        let sent = sent.to_uppercase();
        let sent = if *word == "COPY" { sent.rsplit(')').next().unwrap_or_default() } else { &sent };
        !writes.iter().any(|write| sent.contains(write))
    })
}

/// The lock that a run holds and a plan does not.
pub(super) const LOCK: &str = "the lock of the site is taken";

/// What uplift's sessions changed on the server.
pub(super) fn facts(told: &[Statement], names: &Names) -> Facts {
    let mut facts = Facts::default();
    let mut making = Making::default();
    for one in told.iter().filter(|one| one.is_uplifts()) {
        let Some(sent) = one.sent() else { continue };
        if making.is_loading(&one.database) || only_looks(sent) {
            continue;
        }
        if let Some(fact) = making.changed(one, sent) {
            facts.add(names.plain(&fact));
        }
    }
    let ended = "FATAL:  terminating connection due to administrator command";
    let ended: BTreeSet<_> = told.iter().filter(|one| one.text == ended).map(|one| &one.database).collect();
    for database in ended {
        facts.add(names.plain(&format!("database `{database}`: all its sessions are ended")));
    }
    for database in making.loaded {
        facts.add(names.plain(&format!("database `{database}` is filled from a dump")));
    }
    facts
}

/// Databases that come into being in what was told.
#[derive(Debug, Default)]
struct Making {
    /// Made, and not renamed since: what they are given is a part of it.
    fresh: BTreeSet<String>,
    /// Made empty, to be filled.
    empty: BTreeSet<String>,
    loaded: BTreeSet<String>,
    /// Given what belongs to a database, by session.
    equipped: BTreeSet<(String, String)>,
}

impl Making {
    fn is_loading(&mut self, database: &str) -> bool {
        if self.empty.contains(database) {
            self.loaded.insert(database.to_owned());
        }
        self.empty.contains(database)
    }

    /// A sentence for what a statement changes, unless it is a part of something that has one already.
    fn changed(&mut self, by: &Statement, sent: &str) -> Option<String> {
        let quoted: Vec<_> = sent.split('"').skip(1).step_by(2).collect();
        let (first, second) = (quoted.first().copied().unwrap_or_default(), quoted.last().copied());
        let second = second.unwrap_or_default();
        if sent.starts_with("CREATE DATABASE") {
            self.fresh.insert(first.to_owned());
            if sent.contains("TEMPLATE template0") {
                self.empty.insert(first.to_owned());
                return Some(format!("database `{first}` is added, empty"));
            }
            return Some(format!("database `{first}` is added as a copy of `{second}`"));
        }
        if sent.starts_with("DROP DATABASE") {
            return Some(format!("database `{first}` is dropped"));
        }
        if sent.contains("pg_try_advisory_lock(") {
            return Some(LOCK.to_owned());
        }
        if sent.starts_with("ALTER DATABASE") && sent.contains(" ALLOW_CONNECTIONS ") {
            let what = if sent.ends_with("true") { "lets sessions in again" } else { "keeps everybody out" };
            return Some(format!("database `{first}`: {what}"));
        }
        if sent.starts_with("ALTER DATABASE") && sent.contains(" RENAME TO ") {
            // From now on it is another: what the name is given then is no part of the making.
            self.fresh.remove(first);
            self.empty.remove(first);
            return Some(format!("database `{first}`: becomes `{second}`"));
        }
        let to_database = sent.starts_with("ALTER DATABASE")
            || ["COMMENT ON DATABASE", " ON DATABASE ", " IN DATABASE "]
                .iter()
                .any(|part| sent.contains(part));
        if to_database
            && ["ALTER ", "COMMENT ", "GRANT ", "REVOKE "].iter().any(|word| sent.starts_with(word))
        {
            let is_new = self.equipped.insert((by.pid.clone(), first.to_owned()));
            let what = "gets owner, rights, settings and comment as they were";
            return (is_new && !self.fresh.contains(first)).then(|| format!("database `{first}`: {what}"));
        }
        // The name of what was asked to go stands in the server's own word for it.
        if sent.starts_with("SELECT pg_terminate_backend(") {
            return None;
        }
        let start: String = sent.chars().take(120).collect();
        Some(format!("in `{}`: {start}", by.database))
    }
}

/// Something of uplift's was written down.
pub(super) fn heard_uplift(told: &[Statement]) -> bool {
    told.iter().any(|one| one.application == "uplift" && one.sent().is_some())
}
