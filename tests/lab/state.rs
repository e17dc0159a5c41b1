use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::Duration,
};

use serde_json::Value;

use super::{Result, Stack, data::Data, wait_until};

/// Mode, owner and content of a file.
type SiteFile = (u32, u32, Vec<u8>);

/// Everything about a site that an upgrade could change, to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteState {
    /// Mode, owner and bytes of the files in the site folder, uplift's own folder left out.
    pub files: BTreeMap<String, SiteFile>,
    /// Containers by service.
    pub containers: BTreeMap<String, ContainerState>,
    pub data: Data,
    /// Owner, mode and content of the uploaded files.
    pub uploads: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub image: String,
    pub status: String,
    pub restart: String,
    /// Settings, command, ports, mounts, labels.
    pub made_with: Value,
}

impl SiteState {
    /// What differs from the site as it was `before`, a line each. Rows and uploaded files may have been added since.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let names = self.files.keys().chain(before.files.keys()).collect::<BTreeSet<_>>();
        for name in names.into_iter().filter(|name| self.files.get(*name) != before.files.get(*name)) {
            found.push(format!("the file `{name}` is not as before"));
        }
        if self.containers != before.containers {
            found.push(format!("containers: {:#?} before, {:#?} now", before.containers, self.containers));
        }
        for (name, then) in &before.uploads {
            let now = self.uploads.get(name);
            if now != Some(then) {
                found.push(format!("the uploaded file `{name}` was {then} and is {now:?}"));
            }
        }
        found.extend(self.data.differences(&before.data));
        found
    }

    /// Rows and uploaded files that were not there `before`, a line each.
    pub fn added(&self, before: &Self) -> Vec<String> {
        let files = self.uploads.keys().filter(|name| !before.uploads.contains_key(*name));
        let files = files.map(|name| format!("uploaded `{name}`"));
        self.data.added(&before.data).into_iter().chain(files).collect()
    }
}

impl Stack {
    /// Waits until every order's job has been done: until then the background service keeps changing rows.
    pub fn settle(&self) -> Result<()> {
        let query = "SELECT count(*) FROM solid_queue_jobs WHERE finished_at IS NULL";
        wait_until("the background service to do all jobs", Duration::from_mins(4), || {
            self.psql("strata_production_queue", query).is_ok_and(|count| count == "0")
        })
    }

    /// The site as it is now.
    pub fn state(&self) -> Result<SiteState> {
        Ok(SiteState {
            files: files(self.dir())?,
            containers: self.containers()?,
            data: self.data()?,
            uploads: self.uploads()?,
        })
    }

    /// Containers of the project by service; several of one service are joined, so that a leftover shows.
    pub fn containers(&self) -> Result<BTreeMap<String, ContainerState>> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let ids = self.tools().docker().args("ps -aq --no-trunc --filter").arg(filter).output()?;
        let mut found: BTreeMap<String, ContainerState> = BTreeMap::new();
        for id in ids.lines() {
            let looked = self.tools().docker().args("inspect -f").arg("{{json .}}").arg(id).run()?;
            if looked.stderr.contains("No such object") {
                // It went away between the two questions.
                continue;
            }
            let (service, one) = container(&looked.stdout)?;
            match found.get_mut(&service) {
                Some(known) => known.status = format!("{} and {}", known.status, one.status),
                None => {
                    found.insert(service, one);
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

/// One container, of all that the engine says of it.
fn container(inspected: &str) -> Result<(String, ContainerState)> {
    let all: Value = serde_json::from_str(inspected).map_err(|error| format!("inspect: {error}"))?;
    let text = |pointer: &str| all.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut labels = all.pointer("/Config/Labels").cloned().unwrap_or_default();
    if let Some(labels) = labels.as_object_mut() {
        // Compose's own note of which container this one came after.
        labels.remove("com.docker.compose.replace");
        // Whether `--no-deps` was typed when it was made.
        labels.remove("com.docker.compose.depends_on");
        labels.remove("com.docker.compose.config-hash");
    }
    let parts = [
        "/Config/Env",
        "/Config/Cmd",
        "/Config/Entrypoint",
        "/Config/Healthcheck",
        "/HostConfig/PortBindings",
        "/HostConfig/Binds",
        "/HostConfig/Mounts",
    ];
    let mut made_with: Vec<_> =
        parts.iter().map(|part| all.pointer(part).cloned().unwrap_or_default()).collect();
    // Compose writes variables and volumes in no order.
    for list in made_with.iter_mut().filter_map(Value::as_array_mut) {
        list.sort_by_key(Value::to_string);
    }
    made_with.push(labels);
    let one = ContainerState {
        image: text("/Image"),
        status: text("/State/Status"),
        restart: text("/HostConfig/RestartPolicy/Name"),
        made_with: Value::Array(made_with),
    };
    Ok((text("/Config/Labels/com.docker.compose.service"), one))
}

fn files(folder: &Path) -> Result<BTreeMap<String, SiteFile>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        if entry.path().is_file() {
            let bytes = fs::read(entry.path()).map_err(|error| error.to_string())?;
            let meta = entry.metadata().map_err(|error| error.to_string())?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), (meta.mode(), meta.uid(), bytes));
        }
    }
    Ok(files)
}
