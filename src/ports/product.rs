//! What the product's variables mean: where its data is, and who works on its jobs.

use std::{collections::BTreeMap, path::Path};

use super::{
    compose::{Config, ServiceConfig},
    docker::Container,
};
use crate::{
    event::Failure,
    site::{Database, Databases, Endpoint, Secret, Site, SslMode, Storage},
};

/// The server and the databases that a container with these variables uses.
pub fn databases(environment: &BTreeMap<String, Secret>) -> Result<Databases, Failure> {
    let setting =
        |name: &str| environment.get(name).map(Secret::reveal).filter(|value| !value.trim().is_empty());
    let Some(host) = setting("DB_HOST") else {
        let text = "`DB_HOST` is not set, so this Strata has its database inside the container";
        return Err(Failure::new("database_bundled", text)
            .hint("that shape is not supported yet: nothing was touched"));
    };
    let port = setting("DB_PORT").unwrap_or("5432");
    let port = port.trim().parse().map_err(|_| {
        Failure::new("bad_setting", format!("`DB_PORT={port}` is no port"))
            .hint("write it as a number from 1 to 65535, e.g. `DB_PORT=5432`")
    })?;
    let ssl = setting("DB_SSLMODE").or_else(|| setting("PGSSLMODE")).unwrap_or("prefer");
    let ssl: SslMode = serde_json::from_value(ssl.into()).map_err(|_| {
        let text = format!("`{ssl}` is no `sslmode`");
        Failure::new("bad_setting", text)
            .hint("use one of `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`")
    })?;
    let primary = primary(setting);
    let named = |role: &str| match role {
        "primary" => primary.to_owned(),
        other => format!("{primary}_{other}"),
    };
    let all = ["primary", "queue", "cache", "cable"];
    Ok(Databases {
        endpoint: Endpoint {
            host: host.trim().to_owned(),
            port,
            user: setting("DB_USERNAME").unwrap_or("strata").to_owned(),
            ssl,
            route: Endpoint::AS_IT_IS.to_owned(),
        },
        all: all
            .map(|role| Database { role: role.to_owned(), name: named(role), rows_left_out: false })
            .to_vec(),
    })
}

/// The primary database by the product's variables, of which `set` gives those that say something.
pub fn primary<'a>(set: impl Fn(&str) -> Option<&'a str>) -> &'a str {
    set(DB_NAME).or_else(|| set(OLDER_DB_NAME)).unwrap_or("strata_production")
}

/// The variable that names it, and the one that does where that is not set.
pub const DB_NAME: &str = "DB_NAME";
pub const OLDER_DB_NAME: &str = "DB_DATABASE";

/// Where uploaded files lie in a container.
pub const FILES_AT: &str = "/rails/storage";

/// Where web keeps uploaded files by the compose files; refused if what runs has them elsewhere.
pub fn storage(config: &Config, web: &ServiceConfig, running: &[Container]) -> Result<Storage, Failure> {
    let backend = web.environment.get("STORAGE_BACKEND").map_or("local", Secret::reveal);
    if backend != "local" && !backend.is_empty() {
        return Ok(Storage::Object { kind: backend.to_owned() });
    }
    let configured = web
        .mounts
        .iter()
        .find(|mount| mount.target == FILES_AT)
        .map(|mount| config.volumes.get(&mount.source).cloned().unwrap_or_else(|| mount.source.clone()));
    let mounted = running
        .iter()
        .find_map(|container| container.mounts.iter().find(|mount| mount.target == FILES_AT))
        .map(|mount| mount.source.clone());
    if let (Some(configured), Some(mounted)) = (&configured, &mounted)
        && !same_place(configured, mounted)
    {
        let text = format!(
            "the compose files mount `{configured}` at `{FILES_AT}`, but what runs has `{mounted}` there"
        );
        return Err(Failure::new("storage_differs", text).hint(
            "the next start would lose sight of all uploaded files: correct the volume in the compose files",
        ));
    }
    if let (None, Some(mounted), Some(container)) = (&configured, &mounted, running.first()) {
        let text = format!(
            "`{}` has `{mounted}` at `{FILES_AT}`, and the compose files mount nothing there",
            container.name
        );
        return Err(Failure::new("storage_differs", text).hint(
            "the next start would lose sight of all uploaded files: put the volume back into the compose files",
        ));
    }
    if let (Some(configured), None, Some(container)) = (&configured, &mounted, running.first()) {
        let text = format!(
            "the compose files mount `{configured}` at `{FILES_AT}`, but `{}` runs without it",
            container.name
        );
        return Err(Failure::new("storage_differs", text).hint(format!(
            "the next start would lose all uploaded files that are in the container: copy them out first, \
             `docker cp {}:{FILES_AT}/. FOLDER`, and into the volume once it is mounted",
            container.name
        )));
    }
    // Empty where nothing is mounted: whatever would replace the containers is refused then.
    let volume = mounted.or(configured).unwrap_or_default();
    Ok(Storage::Local { volume, path: FILES_AT.to_owned() })
}

/// Whether two paths, or names of volumes, are the same: files say `/srv/./storage/` where the engine says `/srv/storage`.
#[must_use]
pub fn same_place(one: &str, other: &str) -> bool {
    Path::new(one).components().eq(Path::new(other).components())
}

/// The variable that lets web work on jobs.
pub const JOBS_IN_WEB: &str = "HANDLE_JOBS_IN_WEB_SERVER";

/// Whether web works on jobs itself, so that holding the worker back holds nothing back.
#[must_use]
pub fn web_runs_jobs(site: &Site) -> bool {
    site.job.is_none() || is_on(site.settings.get(JOBS_IN_WEB).map_or("", String::as_str))
}

/// Whether a variable's value switches something on. In doubt it does.
#[must_use]
pub fn is_on(value: &str) -> bool {
    !["", "0", "false", "no", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_it_is_on() {
        for (value, on) in
            [("true", true), ("1", true), ("Yes", true), ("false", false), (" off ", false), ("", false)]
        {
            assert_eq!(is_on(value), on, "`{value}`");
        }
    }
}
