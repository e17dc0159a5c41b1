use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Result, Stack};

pub(super) const DATABASES: [&str; 4] =
    ["strata_production", "strata_production_queue", "strata_production_cache", "strata_production_cable"];

/// Asks PostgreSQL's own programs, so that nothing depends on what uplift knows of a database. Tables that a running
/// site writes without any user are left out, and so is what the product calls a cache.
const SCRIPT: &str = r#"
set -eu
bin=/usr/lib/postgresql/15/bin
as="-U postgres -h /var/run/postgresql"
echo '=== globals'
# A password's hash is another each time that it is set, though the password is the same.
$bin/pg_dumpall $as -g --no-role-passwords
for database; do
    echo "=== schema $database"
    $bin/pg_dump $as -s -C -d "$database"
    $bin/psql $as -X -A -t -q -v ON_ERROR_STOP=1 -d "$database" <<'SQL'
\echo === facts
SELECT 'database', datallowconn, datistemplate, pg_encoding_to_char(encoding), datcollate, datctype,
    datlocprovider, dattablespace FROM pg_database WHERE datname = current_database();
SELECT 'extension', extname, extversion, extnamespace::regnamespace, pg_get_userbyid(extowner)
    FROM pg_extension ORDER BY extname;
SELECT 'large object', oid, pg_get_userbyid(lomowner), lomacl, md5(lo_get(oid)) FROM pg_largeobject_metadata
    ORDER BY oid;
\echo === sequences
SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences;
\echo === rows
SELECT format('SELECT %L || chr(9) || replace(t::text, chr(10), ''\n'') FROM ONLY %I.%I t', c.relname, n.nspname,
    c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname NOT IN
    ('solid_queue_processes', 'solid_queue_claimed', 'solid_cache_entries', 'solid_cable_messages') \gexec
SQL
done
"#;

/// What a database server holds of a site, as PostgreSQL's own programs tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// `pg_dumpall -g`: roles, their rights and settings.
    pub globals: String,
    /// `pg_dump -s -C` by database: schema, owners, rights, comments, settings, connection limit.
    pub schemas: BTreeMap<String, String>,
    /// What those leave out: extensions' versions and owners, large objects with a hash, who may come in.
    pub facts: BTreeMap<String, String>,
    /// The last value that each sequence has given.
    pub sequences: BTreeMap<String, i64>,
    /// Every row by database and table.
    pub rows: BTreeMap<String, BTreeSet<String>>,
}

impl Data {
    fn read(text: &str) -> Result<Self> {
        let mut data = Self::default();
        let (mut part, mut database) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("=== ") {
                let mut words = heading.split(' ');
                words.next().unwrap_or_default().clone_into(&mut part);
                words.next().unwrap_or(&database).to_owned().clone_into(&mut database);
                continue;
            }
            // Newer programs write a word of their own here, another each time.
            if line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ") {
                continue;
            }
            let cut = |by| line.split_once(by).ok_or(format!("{part} of {database}: {line}"));
            match part.as_str() {
                "globals" => writeln!(data.globals, "{line}").unwrap_or_default(),
                "schema" => add(&mut data.schemas, &database, line),
                "facts" => add(&mut data.facts, &database, line),
                "sequences" => {
                    let (name, last) = cut('|')?;
                    let last = last.parse().map_err(|error| format!("{line}: {error}"))?;
                    data.sequences.insert(format!("{database}.{name}"), last);
                }
                _ => {
                    let (table, row) = cut('\t')?;
                    data.rows.entry(format!("{database}.{table}")).or_default().insert(row.to_owned());
                }
            }
        }
        Ok(data)
    }

    /// What differs from `before`, a line each. Rows may have been added since, and sequences have moved on with them.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        unlike("roles", &before.globals, &self.globals, &mut found);
        for (what, then, now) in
            [("schema", &before.schemas, &self.schemas), ("facts", &before.facts, &self.facts)]
        {
            for name in then.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
                let text = |all: &BTreeMap<String, String>| all.get(name).cloned().unwrap_or_default();
                unlike(&format!("{what} of `{name}`"), &text(then), &text(now), &mut found);
            }
        }
        for (name, then) in &before.sequences {
            let now = self.sequences.get(name);
            if now.is_none_or(|now| now < then) {
                found.push(format!("the sequence `{name}` was at {then} and is at {now:?}"));
            }
        }
        found.extend(less("lost", &before.rows, &self.rows));
        found
    }

    /// Rows that are there and were not `before`, a line each.
    pub(super) fn added(&self, before: &Self) -> Vec<String> {
        less("got", &self.rows, &before.rows)
    }
}

fn add(texts: &mut BTreeMap<String, String>, name: &str, line: &str) {
    writeln!(texts.entry(name.to_owned()).or_default(), "{line}").unwrap_or_default();
}

/// The lines that only one of the two has, or has more often. Their order means nothing: that of a database's settings is
/// the one in which they were set.
fn unlike(what: &str, then: &str, now: &str, found: &mut Vec<String>) {
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    if sorted(then) == sorted(now) {
        return;
    }
    let only = |one: &str, other: &str| -> Vec<String> {
        let known: BTreeSet<_> = other.lines().collect();
        one.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect()
    };
    found.push(format!("{what}: only before {:#?}, only now {:#?}", only(then, now), only(now, then)));
}

fn less(
    verb: &str,
    all: &BTreeMap<String, BTreeSet<String>>,
    fewer: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (table, rows) in all {
        let none = BTreeSet::new();
        let known = fewer.get(table).unwrap_or(&none);
        found.extend(rows.difference(known).map(|row| format!("`{table}` has {verb} the row {row}")));
    }
    found
}

impl Stack {
    /// All that the server holds of this site.
    pub fn data(&self) -> Result<Data> {
        let psql = self.tools().docker().arg("exec").arg(self.postgres());
        let psql = psql.args("bash -c").arg(SCRIPT).arg("data");
        Data::read(&DATABASES.iter().fold(psql, |psql, database| psql.arg(*database)).output()?)
    }

    /// Gives the databases what a careless copy, dump or rename loses.
    pub fn adorn(&self) -> Result<()> {
        let queue = "ALTER DATABASE strata_production_queue SET work_mem = '13MB'";
        self.psql("postgres", queue)?;
        for statement in ADORNED {
            self.psql("strata_production", statement)?;
        }
        Ok(())
    }

    /// Every uploaded file with owner, mode and content.
    pub(super) fn uploads(&self) -> Result<BTreeMap<String, String>> {
        let root = self.storage()?;
        let mut found = BTreeMap::new();
        walk(&root, &root, &mut found).map_err(|error| format!("`{}`: {error}", root.display()))?;
        Ok(found)
    }

    /// The folder in which the volume's files lie on this host.
    pub fn storage(&self) -> Result<PathBuf> {
        let volume = format!("{}_strata_storage", self.project());
        let inspect = self.tools().docker().args("volume inspect -f {{.Mountpoint}}").arg(volume);
        Ok(PathBuf::from(inspect.output()?))
    }
}

/// As the server's administrator in the primary database; rights are given in the owner's name.
const ADORNED: [&str; 7] = [
    "CREATE ROLE reporter LOGIN PASSWORD 'reads'; CREATE ROLE \"odd role\"; GRANT \"odd role\" TO reporter; \
     ALTER ROLE reporter SET statement_timeout = '9s'",
    "ALTER DATABASE strata_production SET work_mem = '13MB'; \
     ALTER DATABASE strata_production SET search_path = \"$user\", public; \
     ALTER ROLE strata IN DATABASE strata_production SET lock_timeout = '77s'; \
     ALTER DATABASE strata_production CONNECTION LIMIT 77; \
     COMMENT ON DATABASE strata_production IS 'it''s the \\ primary'",
    "REVOKE CONNECT ON DATABASE strata_production FROM PUBLIC; \
     GRANT CONNECT ON DATABASE strata_production TO reporter WITH GRANT OPTION; \
     GRANT TEMP ON DATABASE strata_production TO \"odd role\"",
    "SET ROLE strata; CREATE EXTENSION citext; CREATE EXTENSION pg_trgm",
    "SET ROLE strata; SELECT lo_from_bytea(4711, 'a scanned letter'); GRANT SELECT ON LARGE OBJECT 4711 TO reporter; \
     COMMENT ON LARGE OBJECT 4711 IS 'scanned'",
    "SET ROLE strata; GRANT SELECT ON orders TO reporter; COMMENT ON COLUMN orders.key IS 'what users type'; \
     ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporter",
    "SET ROLE strata; CREATE VIEW busy AS SELECT id, key FROM orders WHERE processed_at IS NULL; \
     ALTER TABLE credentials SET (fillfactor = 77); ALTER TABLE orders ALTER COLUMN key SET STATISTICS 300",
];

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_dir() {
            walk(root, &path, found)?;
        }
        let content = if meta.is_file() { fs::read(&path)? } else { Vec::new() };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let content = String::from_utf8_lossy(&content);
        found.insert(name, format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid()));
    }
    Ok(())
}
