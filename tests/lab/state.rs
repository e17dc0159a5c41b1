use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use super::{Result, Stack, wait_until};

/// Everything about a site that an upgrade could change, to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteState {
    /// Bytes of the files in the site folder, uplift's own folder left out.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Containers by service.
    pub containers: BTreeMap<String, ContainerState>,
    /// Applied migrations by database.
    pub schemas: BTreeMap<String, String>,
    /// All rows, by database and table; tables that a running worker keeps writing are left out.
    pub rows: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub image: String,
    pub status: String,
    pub restart: String,
}

const DATABASES: [&str; 4] =
    ["strata_production", "strata_production_queue", "strata_production_cache", "strata_production_cable"];

impl SiteState {
    /// What differs from the site as it was `before`, a line each. Rows may have been added since.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let names = self.files.keys().chain(before.files.keys()).collect::<BTreeSet<_>>();
        for name in names.into_iter().filter(|name| self.files.get(*name) != before.files.get(*name)) {
            found.push(format!("the file `{name}` is not as before"));
        }
        if self.containers != before.containers {
            found.push(format!("containers: {:#?} before, {:#?} now", before.containers, self.containers));
        }
        if self.schemas != before.schemas {
            found.push(format!("migrations: {:#?} before, {:#?} now", before.schemas, self.schemas));
        }
        for (table, rows) in &before.rows {
            let none = BTreeSet::new();
            let now = self.rows.get(table).unwrap_or(&none);
            found.extend(rows.difference(now).map(|row| format!("`{table}` has lost the row {row}")));
        }
        found
    }
}

impl Stack {
    /// Waits until every order's job has been done: until then the background service keeps changing rows.
    pub fn settle(&self) -> Result<()> {
        let query = "SELECT count(*) FROM solid_queue_jobs WHERE finished_at IS NULL";
        wait_until("the background service to do all jobs", Duration::from_mins(1), || {
            self.psql("strata_production_queue", query).is_ok_and(|count| count == "0")
        })
    }

    /// The site as it is now.
    pub fn state(&self) -> Result<SiteState> {
        let mut state = SiteState {
            files: files(self.dir())?,
            containers: self.containers()?,
            schemas: BTreeMap::new(),
            rows: BTreeMap::new(),
        };
        for database in DATABASES {
            let versions = "SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations";
            state.schemas.insert(database.to_owned(), self.psql(database, versions)?);
            state.rows.extend(self.rows(database)?);
        }
        Ok(state)
    }

    /// All rows of a database by table, in one question.
    fn rows(&self, database: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let tables =
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^solid_queue_'";
        let tables = self.psql(database, tables)?;
        let mut rows: BTreeMap<_, _> =
            tables.lines().map(|table| (format!("{database}.{table}"), BTreeSet::new())).collect();
        let of = |table: &str| format!("SELECT '{database}.{table}', t::text FROM {table} t");
        let all = tables.lines().map(of).collect::<Vec<_>>().join(" UNION ALL ");
        for line in self.psql(database, &all)?.lines() {
            if let Some((table, row)) = line.split_once('|')
                && let Some(rows) = rows.get_mut(table)
            {
                rows.insert(row.to_owned());
            }
        }
        Ok(rows)
    }

    /// Containers of the project by service; several of one service are joined, so that a leftover shows.
    pub fn containers(&self) -> Result<BTreeMap<String, ContainerState>> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let ids = self.tools().docker().args("ps -aq --no-trunc --filter").arg(filter).output()?;
        let mut found: BTreeMap<String, ContainerState> = BTreeMap::new();
        for id in ids.lines() {
            let format = "{{index .Config.Labels \"com.docker.compose.service\"}}\t{{.Image}}\t{{.State.Status}}\t\
                          {{.HostConfig.RestartPolicy.Name}}";
            let looked = self.tools().docker().args("inspect -f").arg(format).arg(id).run()?;
            if looked.stderr.contains("No such object") {
                // It went away between the two questions.
                continue;
            }
            let line = looked.stdout.trim();
            let parts: Vec<_> = line.split('\t').map(str::to_owned).collect();
            let [service, image, status, restart] = parts.as_slice() else {
                return Err(format!("inspect: {line}"));
            };
            let one =
                ContainerState { image: image.clone(), status: status.clone(), restart: restart.clone() };
            match found.get_mut(service) {
                Some(known) => known.status = format!("{} and {}", known.status, one.status),
                None => {
                    found.insert(service.clone(), one);
                }
            }
        }
        Ok(found)
    }

    /// Ids of the project's containers, with when each was made: equal lists mean that nothing was made again.
    pub fn container_ids(&self) -> Result<String> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        self.tools()
            .docker()
            .args("ps -a --no-trunc --format {{.ID}}/{{.Names}} --filter")
            .arg(filter)
            .output()
    }
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        if entry.path().is_file() {
            let bytes = fs::read(entry.path()).map_err(|error| error.to_string())?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    Ok(files)
}
