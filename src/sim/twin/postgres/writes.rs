use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;

use super::{PLANNED, Twin};
use crate::{
    event::{Failure, Teller},
    ports::{
        files::FilesRead,
        postgres::{
            Admit, BlobList, Contents, CopyDatabase, DatabaseFacts, DropDatabase, Dump, DumpReport,
            DumpedDatabase, EndSessions, Equip, Kept, LoadDump, LockSite, Mark, Postgres, PostgresRead,
            Renaming, SiteLock, Swap,
        },
    },
    sim::{
        files::missing as no_file,
        postgres::{is_equipped, not_ours, taken},
        server::missing,
        state::hex,
        twin::{
            databases::{Origin, Planned},
            tree::Node,
        },
    },
};

/// Bytes per second. Measured on two cores with a database of 2.8 GB: a dump through zstd level 1 took 19.7 s, its load
/// 53 s, a template copy of files 2.9 s.
const DUMP: u64 = 150_000_000;
const LOAD: u64 = 50_000_000;
const COPY: u64 = 1_000_000_000;
/// A row's line in the list of uploaded files, packed: its key and checksum are of chance, the rest is alike.
const BLOB: u64 = 48;

impl Twin {
    /// Takes room on the server in the rehearsal, and fails where the run would.
    async fn take_on_server(
        &self,
        endpoint: &crate::site::Endpoint,
        name: &str,
        bytes: u64,
    ) -> Result<(), Failure> {
        if let Some(free) = self.room(endpoint).await?
            && free < bytes
        {
            let text = format!("the server has no room for `{name}`");
            return Err(Failure::new("no_room", text)
                .hint(format!("{bytes} bytes are needed on the database server, {free} are free")));
        }
        self.lock().databases.used += bytes;
        Ok(())
    }

    /// A database that an earlier attempt left under this name, with this mark.
    async fn earlier_attempt(
        &self,
        endpoint: &crate::site::Endpoint,
        name: &str,
        mark: &Mark,
    ) -> Result<Option<Planned>, Failure> {
        let Some(known) = self.planned(endpoint, name).await? else { return Ok(None) };
        let comment = known.facts.comment.as_deref();
        let same =
            comment.and_then(Mark::read).is_none_or(|known| known.run == mark.run && known.kind == mark.kind);
        if same && Kept::of_name(name).is_some() { Ok(Some(known)) } else { Err(taken(name)) }
    }

    fn made(&self, like: DatabaseFacts, as_before: &DatabaseFacts, name: &str, mark: &Mark, origin: Origin) {
        let oid = self.lock().databases.next_oid();
        let facts = DatabaseFacts {
            name: name.to_owned(),
            oid,
            open: matches!(origin, Origin::Dump(_)),
            owner: as_before.owner.clone(),
            acl: as_before.acl.clone(),
            settings: as_before.settings.clone(),
            connection_limit: as_before.connection_limit,
            comment: Some(mark.comment()),
            ..like
        };
        self.plan_database(Planned { facts, origin });
    }

    async fn plan_dump(&self, path: &Path, size: u64) -> Result<String, Failure> {
        self.folder_of(path).await?;
        self.take(path, size).await?;
        let blake3 = hex(&format!("planned dump {}", path.display()));
        self.put(path, Node::Assumed { bytes: size, blake3: blake3.clone() });
        Ok(blake3)
    }

    async fn plan_blobs(&self, request: &Dump) -> Result<Option<BlobList>, Failure> {
        let Some(database) = &request.blobs_of else { return Ok(None) };
        let count = self.listed_uploads(&request.endpoint, database).await?;
        let (file, bytes) = (BlobList::FILE.to_owned(), BLOB + count * BLOB);
        let blake3 = self.plan_dump(&request.folder.join(&file), bytes).await?;
        self.spend(bytes, DUMP);
        Ok(Some(BlobList { file, count, bytes, blake3 }))
    }

    /// What was renamed, as the overlay would have it; fails where the server would.
    async fn renamed(&self, request: &Swap) -> Result<Vec<(Renaming, Planned)>, Failure> {
        let mut all: BTreeMap<String, Option<Planned>> = BTreeMap::new();
        for name in request.renames.iter().flat_map(|one| [&one.from, &one.to]) {
            all.insert(name.clone(), self.planned(&request.endpoint, name).await?);
        }
        let mut steps = Vec::new();
        for one in &request.renames {
            let from = all.insert(one.from.clone(), None).flatten();
            let from = from.filter(|planned| planned.facts.oid == one.oid).ok_or_else(|| {
                Failure::new(
                    "databases_moved",
                    format!("the database that was `{}` is another or gone", one.from),
                )
            })?;
            if all.insert(one.to.clone(), Some(from.clone())).flatten().is_some() {
                return Err(taken(&one.to));
            }
            steps.push((one.clone(), from));
        }
        Ok(steps)
    }
}

#[async_trait]
impl Postgres for Twin {
    async fn dump(&self, request: &Dump, _tell: &Teller) -> Result<DumpReport, Failure> {
        let found = self.databases(&request.endpoint, &request.databases).await?;
        let mut databases = Vec::new();
        let mut sizes = Vec::new();
        for name in &request.databases {
            let live = found.iter().find(|facts| facts.name == *name).ok_or_else(|| missing(name))?.size;
            let most = if request.without_rows.contains(name) { Dump::EMPTY } else { live };
            let size = request.expected.get(name).copied().unwrap_or(most);
            let file = format!("{name}.dump.zst");
            let blake3 = self.plan_dump(&request.folder.join(&file), size).await?;
            self.spend(most, DUMP);
            sizes.push((name.clone(), most));
            databases.push(DumpedDatabase {
                name: name.clone(),
                file,
                bytes: size,
                uncompressed_blake3: blake3.clone(),
                blake3,
                uncompressed_bytes: size,
                tables: Vec::new(),
                large_objects: 0,
                sequences: BTreeMap::new(),
            });
        }
        let blobs = self.plan_blobs(request).await?;
        self.assume(if request.databases.iter().all(|name| request.expected.contains_key(name)) {
            "a dump is as large as the last one, and grows as its database does"
        } else {
            "a dump is as large as its database on the server, where no earlier one tells; most are half of it"
        });
        for write in request.changes(&sizes, blobs.as_ref().map(|list| list.bytes)) {
            self.wrote(write);
        }
        Ok(DumpReport {
            snapshot: PLANNED.to_owned(),
            tries: 1,
            wal_lsn: PLANNED.to_owned(),
            databases,
            blobs,
        })
    }

    async fn admit(&self, request: &Admit) -> Result<(), Failure> {
        for name in &request.databases {
            let Some(mut planned) = self.planned(&request.endpoint, name).await? else { continue };
            if planned.facts.open == request.open {
                continue;
            }
            planned.facts.open = request.open;
            if request.open {
                self.lock().databases.ended.remove(&planned.facts.oid);
            }
            self.plan_database(planned);
            let one = Admit { databases: vec![name.clone()], ..request.clone() };
            one.changes().into_iter().for_each(|write| self.wrote(write));
        }
        Ok(())
    }

    async fn end_sessions(&self, request: &EndSessions) -> Result<u64, Failure> {
        let mut ended = 0;
        for name in &request.databases {
            let Some(planned) = self.planned(&request.endpoint, name).await? else { continue };
            let there = self.sessions_in(&request.endpoint, std::slice::from_ref(name)).await?;
            self.lock().databases.ended.insert(planned.facts.oid);
            if let Some(one) = there.first() {
                let others = there.len() - 1;
                let others = if others > 0 { format!(" and {others} more") } else { String::new() };
                self.assume(format!(
                    "who is in `{name}` goes when asked (`{}` of `{}`{others})",
                    one.application, one.user
                ));
                let one = EndSessions { databases: vec![name.clone()], ..request.clone() };
                one.changes().into_iter().for_each(|write| self.wrote(write));
            }
            ended += there.len() as u64;
        }
        Ok(ended)
    }

    async fn copy_database(&self, request: &CopyDatabase, _: &Teller) -> Result<(), Failure> {
        let (endpoint, name) = (&request.endpoint, &request.to);
        let earlier = self.earlier_attempt(endpoint, name, &request.mark).await?;
        if earlier.is_some_and(|known| known.facts.comment.is_some()) {
            return Ok(());
        }
        let from = self.must_plan(endpoint, &request.from.name).await?;
        self.alone(endpoint, std::slice::from_ref(&request.from.name)).await?;
        self.take_on_server(endpoint, name, from.facts.size).await?;
        let origin = match from.origin {
            Origin::Live(live) | Origin::Copy(live) => Origin::Copy(live),
            Origin::Dump(contents) => Origin::Dump(contents),
        };
        self.spend(from.facts.size, COPY);
        self.made(from.facts, &request.from, name, &request.mark, origin);
        let versions = self.lock().databases.schemas.get(&request.from.name).cloned();
        if let Some(versions) = versions {
            self.set_schema(name, versions);
        }
        self.wrote(request.change());
        Ok(())
    }

    async fn load_dump(&self, request: &LoadDump, _: &Teller) -> Result<Contents, Failure> {
        let (endpoint, name) = (&request.endpoint, &request.to);
        self.size(&request.file).await?.ok_or_else(|| no_file(&request.file))?;
        let earlier = self.earlier_attempt(endpoint, name, &request.mark).await?;
        if let Some(earlier) = earlier {
            let databases = &mut self.lock().databases;
            databases.used = databases.used.saturating_sub(earlier.facts.size);
        }
        self.take_on_server(endpoint, name, request.facts.size).await?;
        let told = self.told(&request.file).await?;
        let contents = told
            .as_ref()
            .map(|told| Contents { tables: told.tables.clone(), large_objects: told.large_objects });
        let contents = contents.unwrap_or(Contents { tables: Vec::new(), large_objects: 0 });
        self.assume(format!("`{name}` has the rows that the backup says"));
        self.spend(request.facts.size, LOAD);
        let origin = Origin::Dump(contents.clone());
        self.made(request.facts.clone(), &request.facts, name, &request.mark, origin);
        if let Some(told) = told.filter(|told| !told.schema_versions.is_empty()) {
            self.set_schema(name, told.schema_versions);
        }
        self.wrote(request.change());
        Ok(contents)
    }

    async fn equip(&self, request: &Equip) -> Result<(), Failure> {
        let mut planned = self.must_plan(&request.endpoint, &request.database).await?;
        let comment = request.mark.as_ref().map(Mark::comment).or_else(|| request.facts.comment.clone());
        if is_equipped(&planned.facts, &request.facts) && planned.facts.comment == comment {
            return Ok(());
        }
        let wanted = &request.facts;
        planned.facts = DatabaseFacts {
            owner: wanted.owner.clone(),
            acl: wanted.acl.clone(),
            settings: wanted.settings.clone(),
            connection_limit: wanted.connection_limit,
            comment,
            ..planned.facts
        };
        self.plan_database(planned);
        self.wrote(request.change());
        Ok(())
    }

    async fn swap(&self, request: &Swap) -> Result<(), Failure> {
        let mut done = true;
        for one in &request.renames {
            let there = self.planned(&request.endpoint, &one.to).await?;
            done &= there.is_some_and(|planned| planned.facts.oid == one.oid);
        }
        if done {
            return Ok(());
        }
        let steps = self.renamed(request).await?;
        for one in &request.renames {
            if self.planned(&request.endpoint, &one.from).await?.is_some() {
                self.alone(&request.endpoint, std::slice::from_ref(&one.from)).await?;
            }
        }
        for (one, planned) in steps {
            self.lock().databases.rename(&one.from, &one.to, planned);
        }
        for (name, versions) in &request.schemas {
            self.set_schema(name, versions.clone());
        }
        request.changes().into_iter().for_each(|write| self.wrote(write));
        Ok(())
    }

    async fn drop_database(&self, request: &DropDatabase) -> Result<(), Failure> {
        let known = self.planned(&request.endpoint, &request.name).await?;
        let other = |known: &Planned| {
            let marked = known.facts.comment.as_deref().and_then(Mark::read).is_some();
            !marked || (request.oid != 0 && known.facts.oid != request.oid)
        };
        if Kept::of_name(&request.name).is_none() || known.as_ref().is_some_and(other) {
            return Err(not_ours(&request.name));
        }
        let Some(planned) = known else { return Ok(()) };
        {
            let databases = &mut self.lock().databases;
            databases.changed.insert(request.name.clone(), None);
            databases.schemas.remove(&request.name);
            databases.used = databases.used.saturating_sub(planned.facts.size);
        }
        self.wrote(request.change());
        Ok(())
    }

    /// A plan takes no lock.
    async fn lock(&self, _: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
        Ok(Box::new(NoLock))
    }
}

struct NoLock;

#[async_trait]
impl SiteLock for NoLock {
    async fn is_held(&self) -> bool {
        true
    }
}
