//! A backup set as a restore needs it: found, read, and under the names that this site has.

use std::path::Path;

use crate::{
    backups::{self, DatabaseEntry, Manifest},
    event::Failure,
    ports::{
        Observe,
        postgres::{NAME_AN_ADMINISTRATOR, Server},
    },
};

/// The manifest of the set in this folder.
pub(super) async fn open(folder: &Path, site: Observe<'_>) -> Result<Manifest, Failure> {
    backups::read(site.files, folder).await
}

/// The databases of the set under the names that this site's settings give them now.
pub(super) fn as_named_here(manifest: &Manifest, site: Observe<'_>) -> Result<Vec<DatabaseEntry>, Failure> {
    let mut entries = Vec::new();
    for database in &site.site.databases.all {
        let entry = manifest.databases.iter().find(|one| one.role == database.role).ok_or_else(|| {
            let text = format!("the set `{}` holds no {} database", manifest.set, database.role);
            Failure::new("set_lacks_database", text).hint("take another set: `uplift backup list`")
        })?;
        let mut entry = entry.clone();
        entry.facts.name.clone_from(&database.name);
        entries.push(entry);
    }
    Ok(entries)
}

/// The server that the set is to be loaded on; its own databases may be gone.
pub(super) async fn server(manifest: &Manifest, site: Observe<'_>) -> Result<Server, Failure> {
    let all = &site.site.databases;
    let server = match site.postgres.server(&all.endpoint, all.primary()).await {
        Err(failure) if failure.code == "database_missing" => {
            site.postgres.server(&all.endpoint, "postgres").await?
        }
        found => found?,
    };
    manifest.loads_on(&server)?;
    if !server.may_create {
        let user = &all.endpoint.user;
        let text = format!("`{user}` may not create databases");
        return Err(Failure::new("may_not_create", text)
            .hint(format!("let it: `ALTER ROLE \"{user}\" CREATEDB`, or {NAME_AN_ADMINISTRATOR}")));
    }
    let of_another =
        |one: &DatabaseEntry| one.facts.setting_of_another(&all.endpoint.user).map(str::to_owned);
    if let Some(setting) = manifest.databases.iter().find_map(of_another).filter(|_| !server.may_set_roles) {
        let text = format!(
            "`{}` may not give a database what another role has there: `{setting}`",
            all.endpoint.user
        );
        return Err(Failure::new("may_not_set", text).hint(NAME_AN_ADMINISTRATOR));
    }
    Ok(server)
}
