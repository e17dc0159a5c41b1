//! A set's dumps loaded into databases of their own, counted there, and dropped.

use std::path::Path;

use super::{
    manifest::{DatabaseEntry, Manifest},
    prove::same_rows,
    size,
};
use crate::{
    event::Failure,
    ports::{
        Operate,
        postgres::{DropDatabase, DumpClient, Kept, LoadDump},
        server_room,
    },
};

/// Loads every dump of the set in `folder` beside the site's databases, and counts. Nothing stays, whatever comes of it.
/// Gives the rows that were counted. `run` names the trial: the databases are called `NAME__check_RUN`.
pub async fn try_restore(manifest: &Manifest, folder: &Path, site: Operate<'_>) -> Result<u64, Failure> {
    let endpoint = &site.site.databases.endpoint;
    let server = site.postgres.server(endpoint, site.site.databases.primary()).await?;
    manifest.loads_on(&server)?;
    let needed: u64 = manifest.databases.iter().map(|one| one.facts.size).max().unwrap_or_default();
    if let Some(free) = server_room(site.observe()).await?
        && free < needed + needed / 10
    {
        let text =
            format!("the database server needs {} free and has {}", size(needed + needed / 10), size(free));
        return Err(Failure::new("no_room", text).hint("make room there, and type the command again"));
    }
    let client = site.postgres.dump_client(server.major()).await?;
    let mut rows = 0;
    for entry in &manifest.databases {
        let counted = one(entry, &client, folder, site).await;
        let dropped = drop_of(entry, site).await;
        rows += counted?;
        dropped?;
    }
    Ok(rows)
}

/// Drops what a trial that was stopped has left.
pub async fn drop_trial(manifest: &Manifest, site: Operate<'_>) -> Result<(), Failure> {
    for entry in &manifest.databases {
        drop_of(entry, site).await?;
    }
    Ok(())
}

async fn one(
    entry: &DatabaseEntry,
    client: &DumpClient,
    folder: &Path,
    site: Operate<'_>,
) -> Result<u64, Failure> {
    let of = &entry.facts.name;
    let now = site.clock.now();
    let mark = Kept::Checking.mark(of, site.run, now);
    let load = LoadDump {
        endpoint: site.site.databases.endpoint.clone(),
        client: client.clone(),
        file: folder.join(&entry.file),
        facts: entry.facts.clone(),
        to: Kept::Checking.name(of, site.run),
        mark,
    };
    let contents = site.postgres.load_dump(&load, site.tell).await?;
    same_rows(entry, &contents)?;
    Ok(contents.tables.iter().map(|table| table.rows).sum())
}

async fn drop_of(entry: &DatabaseEntry, site: Operate<'_>) -> Result<(), Failure> {
    let endpoint = site.site.databases.endpoint.clone();
    let name = Kept::Checking.name(&entry.facts.name, site.run);
    site.postgres.drop_database(&DropDatabase { endpoint, name, oid: 0 }).await
}
