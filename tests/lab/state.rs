use std::{collections::BTreeMap, fs, path::Path};

use super::{Result, Stack};

/// Everything about a site that an upgrade could change, to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteState {
    /// Bytes of the files in the site folder, uplift's own folder left out.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Containers by service.
    pub containers: BTreeMap<String, ContainerState>,
    /// Applied migrations by database.
    pub schemas: BTreeMap<String, String>,
    /// A hash over all rows, by database and table; tables that a running worker keeps writing are left out.
    pub rows: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub image: String,
    pub status: String,
    pub restart: String,
}

const DATABASES: [&str; 4] =
    ["strata_production", "strata_production_queue", "strata_production_cache", "strata_production_cable"];

impl Stack {
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
            for table in self.psql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")?.lines() {
                if !table.starts_with("solid_queue_") {
                    let hash = format!("SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t");
                    state.rows.insert(format!("{database}.{table}"), self.psql(database, &hash)?);
                }
            }
        }
        Ok(state)
    }

    /// Containers of the project by service; several of one service are joined, so that a leftover shows.
    pub fn containers(&self) -> Result<BTreeMap<String, ContainerState>> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let ids = self.tools().docker().args("ps -aq --no-trunc --filter").arg(filter).output()?;
        let mut found: BTreeMap<String, ContainerState> = BTreeMap::new();
        for id in ids.lines() {
            let format = "{{index .Config.Labels \"com.docker.compose.service\"}}\t{{.Image}}\t{{.State.Status}}\t\
                          {{.HostConfig.RestartPolicy.Name}}";
            let line = self.tools().docker().args("inspect -f").arg(format).arg(id).output()?;
            let parts: Vec<_> = line.split('\t').map(str::to_owned).collect();
            let [service, image, status, restart] = parts.as_slice() else { return Err(format!("inspect: {line}")) };
            let one = ContainerState { image: image.clone(), status: status.clone(), restart: restart.clone() };
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
        self.tools().docker().args("ps -a --no-trunc --format {{.ID}}/{{.Names}} --filter").arg(filter).output()
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
