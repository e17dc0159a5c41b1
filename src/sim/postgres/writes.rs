use std::time::Duration;

use async_trait::async_trait;

use super::remain;
use crate::{
    event::{Failure, Teller, Unit},
    ports::postgres::{
        Admit, Contents, CopyDatabase, DatabaseFacts, DropDatabase, Dump, DumpReport, EndSessions, Equip,
        Kept, LoadDump, LockSite, Mark, Postgres, Renaming, SiteLock, Swap,
    },
    sim::{
        archive::Dumped,
        server::{Db, Server},
        state::State,
        world::World,
    },
};

/// Bytes per second that a copy and a load bring.
const COPY: u64 = 1 << 30;
const LOAD: u64 = 50 << 20;

impl Server {
    fn may_create(&self) -> Result<(), Failure> {
        if self.may_create {
            return Ok(());
        }
        let text = format!("`{}` may not make and rename databases", self.user);
        let hint = format!("let it: `ALTER ROLE \"{}\" CREATEDB`, or set `UPLIFT_DB_ADMIN_URL`", self.user);
        Err(Failure::new("may_not_create", text).hint(hint))
    }

    /// Gives a database what it had, in one transaction.
    fn equip(&mut self, name: &str, facts: &DatabaseFacts, comment: Option<String>) -> Result<(), Failure> {
        let of_another = facts.setting_of_another(&self.user).filter(|_| !self.may_set_roles);
        if let Some(setting) = of_another {
            let text = format!("in `postgres`: permission denied to set `{setting}`");
            return Err(Failure::new("database_denied", text));
        }
        self.begin();
        let own = &mut self.get_mut(name)?.facts;
        own.owner.clone_from(&facts.owner);
        own.acl.clone_from(&facts.acl);
        own.settings.clone_from(&facts.settings);
        own.connection_limit = facts.connection_limit;
        own.comment = comment;
        Ok(())
    }

    /// The databases as these renames leave them.
    fn renamed(&self, renames: &[Renaming]) -> Result<std::collections::BTreeMap<String, Db>, Failure> {
        let mut all = self.databases.clone();
        for one in renames {
            let known = all.get(&one.from).filter(|db| db.facts.oid == one.oid);
            if known.is_none() {
                let text = format!("the database that was `{}` is another or gone", one.from);
                return Err(Failure::new("databases_moved", text));
            }
            if all.contains_key(&one.to) {
                return Err(taken(&one.to));
            }
            let Some(mut db) = all.remove(&one.from) else { continue };
            db.facts.name.clone_from(&one.to);
            all.insert(one.to.clone(), db);
        }
        Ok(all)
    }
}

impl State {
    fn admit(&mut self, name: &str, open: bool) -> Result<(), Failure> {
        self.server.begin();
        let db = self.server.get_mut(name)?;
        db.facts.open = open;
        let oid = db.facts.oid;
        if open {
            self.server.cut.retain(|(_, known)| *known != oid);
            let back = self.server.foreign.iter_mut().filter(|one| one.session.database == name);
            back.for_each(|one| one.away = false);
        }
        Ok(())
    }

    fn end_sessions(&mut self, request: &EndSessions) -> Result<u64, Failure> {
        let (mut ended, mut left) = (0, Vec::new());
        for name in &request.databases {
            let (count, remaining) =
                self.write(&format!("end sessions in {name}"), |state| Ok(state.end_in(name)))?;
            ended += count;
            left.extend(remaining);
        }
        if left.is_empty() {
            return Ok(ended);
        }
        self.pass(request.patience);
        Err(remain(&left))
    }

    /// Nobody is in it, and nothing holds it.
    fn alone(&self, name: &str) -> Result<(), Failure> {
        let left = self.sessions(&[name.to_owned()]);
        if !left.is_empty() {
            return Err(remain(&left));
        }
        let prepared = |one: &&crate::ports::postgres::Obstacle| {
            one.database == name && one.kind == "prepared_transaction"
        };
        match self.server.obstacles.iter().find(prepared) {
            Some(one) => {
                let text = format!("the prepared transaction `{}` holds `{name}`", one.name);
                Err(Failure::new("sessions_remain", text))
            }
            None => Ok(()),
        }
    }

    /// Makes a database as a copy of `like`, which may be empty, with nothing of what a copy does not take along. A copy
    /// lets nobody in: what comes back must be what was copied.
    fn make_database(&mut self, like: Db, name: &str, open: bool) -> Result<(), Failure> {
        self.server.may_create()?;
        if self.server.databases.contains_key(name) {
            return Err(taken(name));
        }
        self.server.take(name, like.facts.size)?;
        let facts = DatabaseFacts {
            name: name.to_owned(),
            oid: 0,
            owner: self.server.user.clone(),
            open,
            connection_limit: -1,
            acl: Vec::new(),
            settings: Vec::new(),
            comment: None,
            ..like.facts
        };
        self.server.put(Db { facts, ..like });
        Ok(())
    }

    /// A database of an earlier attempt of the same run, whole or not; one of somebody else is a failure.
    fn earlier_attempt(&self, name: &str, mark: &Mark) -> Result<Option<&Db>, Failure> {
        let Some(db) = self.server.databases.get(name) else { return Ok(None) };
        let same = db.mark().is_none_or(|known| known.run == mark.run && known.kind == mark.kind);
        if same && Kept::of_name(name).is_some() { Ok(Some(db)) } else { Err(taken(name)) }
    }

    /// Gives a database what it had, and compares.
    fn dress(&mut self, name: &str, facts: &DatabaseFacts, mark: Option<&Mark>) -> Result<(), Failure> {
        let comment = mark.map(Mark::comment).or_else(|| facts.comment.clone());
        self.write(&format!("equip {name}"), |state| state.server.equip(name, facts, comment))?;
        let now = &self.server.get(name)?.facts;
        if is_equipped(now, facts) {
            return Ok(());
        }
        let text = format!("`{name}` could not be given what it had");
        Err(Failure::new("not_as_before", text))
    }

    fn copy_database(&mut self, request: &CopyDatabase) -> Result<(), Failure> {
        self.session(&request.endpoint)?;
        let name = &request.to;
        match self.earlier_attempt(name, &request.mark)?.map(Db::mark) {
            // The mark is the last thing that a copy gets.
            Some(Some(_)) => return Ok(()),
            Some(None) => self.write(&format!("drop {name}"), |state| state.drop_now(name))?,
            None => {}
        }
        self.write(&format!("copy {} to {name}", request.from.name), |state| {
            let from = state.server.get(&request.from.name)?.clone();
            state.alone(&request.from.name)?;
            let size = from.facts.size;
            state.make_database(from, name, false)?;
            state.pass(Duration::from_millis(100 + size * 1_000 / COPY));
            Ok(())
        })?;
        self.dress(name, &request.from, Some(&request.mark))
    }

    fn load_dump(&mut self, request: &LoadDump) -> Result<Contents, Failure> {
        self.session(&request.endpoint)?;
        let name = &request.to;
        if let Some(denied) = request.facts.extensions.iter().find(|one| !one.trusted) {
            let text = format!("only a superuser may create the extension `{}`", denied.name);
            return Err(Failure::new("extension_denied", text)
                .hint("set `UPLIFT_DB_ADMIN_URL` to an administrator's address"));
        }
        if self.earlier_attempt(name, &request.mark)?.is_some() {
            self.write(&format!("drop {name}"), |state| state.drop_now(name))?;
        }
        self.write(&format!("create {name}"), |state| {
            let empty = Db { versions: None, ..Db::new(name, "", &[], &[]) };
            let facts =
                DatabaseFacts { size: empty.facts.size, extensions: Vec::new(), ..request.facts.clone() };
            state.make_database(Db { facts, ..empty }, name, true)
        })?;
        self.write(&format!("mark {name}"), |state| {
            state.server.begin();
            state.server.get_mut(name)?.facts.comment = Some(request.mark.comment());
            Ok(())
        })?;
        self.write(&format!("load {name}"), |state| state.load(request))?;
        let made = self.server.get(name)?;
        if made.mark().as_ref() != Some(&request.mark) {
            return Err(Failure::new("not_as_before", format!("`{name}` could not be marked as ours")));
        }
        if !is_equipped(&made.facts, &request.facts) {
            self.dress(name, &request.facts, Some(&request.mark))?;
        }
        Ok(self.server.get(name)?.contents())
    }

    fn load(&mut self, request: &LoadDump) -> Result<(), Failure> {
        let (_, Dumped { db: dumped, .. }) = self.undumped(&request.file)?;
        let grows = request.facts.size.saturating_sub(self.server.get(&request.to)?.facts.size);
        self.server.take(&request.to, grows)?;
        self.pass(Duration::from_millis(200 + request.facts.size * 1_000 / LOAD));
        self.server.begin();
        let db = self.server.get_mut(&request.to)?;
        let facts = DatabaseFacts {
            size: db.facts.size + grows,
            extensions: dumped.facts.extensions,
            ..db.facts.clone()
        };
        *db = Db { facts, ..dumped };
        Ok(())
    }

    fn swap(&mut self, request: &Swap) -> Result<(), Failure> {
        self.session(&request.endpoint)?;
        let done =
            |one: &Renaming| self.server.databases.get(&one.to).is_some_and(|db| db.facts.oid == one.oid);
        if request.renames.iter().all(done) {
            return Ok(());
        }
        self.server.may_create()?;
        let renamed = self.server.renamed(&request.renames)?;
        for one in &request.renames {
            self.alone(&one.from)?;
        }
        self.server.databases = renamed;
        self.server.begin();
        self.pass(Duration::from_millis(2));
        Ok(())
    }

    /// Closed, emptied of sessions, and dropped.
    fn drop_now(&mut self, name: &str) -> Result<(), Failure> {
        self.admit(name, false)?;
        self.end_in(name);
        self.alone(name)?;
        if let Some(slot) = self.server.obstacles.iter().find(|one| one.database == *name) {
            let text = format!("the {} `{}` holds `{name}`", slot.kind.replace('_', " "), slot.name);
            return Err(Failure::new("database_failed", text));
        }
        if let Some(gone) = self.server.databases.remove(name) {
            self.server.give(gone.facts.size);
            self.server.begin();
        }
        Ok(())
    }

    fn drop_database(&mut self, request: &DropDatabase) -> Result<(), Failure> {
        self.session(&request.endpoint)?;
        let name = &request.name;
        let known = self.server.databases.get(name);
        let other = |db: &Db| db.mark().is_none() || (request.oid != 0 && db.facts.oid != request.oid);
        if Kept::of_name(name).is_none() || known.is_some_and(other) {
            return Err(not_ours(name));
        }
        if known.is_some() { self.drop_now(name) } else { Ok(()) }
    }
}

pub(in crate::sim) fn not_ours(name: &str) -> Failure {
    Failure::new("not_ours", format!("`{name}` is not a database that uplift has made; it stays"))
        .hint(format!("if it is not needed: `DROP DATABASE \"{name}\"`"))
}

pub(in crate::sim) fn taken(name: &str) -> Failure {
    Failure::new("name_taken", format!("there is already a database `{name}`, and it is not this run's"))
}

pub(in crate::sim) fn is_equipped(now: &DatabaseFacts, wanted: &DatabaseFacts) -> bool {
    (&now.owner, &now.acl, &now.settings, now.connection_limit)
        == (&wanted.owner, &wanted.acl, &wanted.settings, wanted.connection_limit)
}

/// Told without the world's lock: a listener may ask the clock.
fn tell_bytes(tell: &Teller, what: &str, total: u64) {
    for part in 1..=2 {
        tell.progress(what, total / 2 * part, Some(total), Unit::Bytes);
    }
}

#[async_trait]
impl Postgres for World {
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure> {
        let report = self.act("dump", |state| state.dump(request))?;
        for one in &report.databases {
            tell_bytes(tell, &format!("dump of `{}`", one.name), one.uncompressed_bytes);
        }
        Ok(report)
    }

    async fn admit(&self, request: &Admit) -> Result<(), Failure> {
        let mut state = self.lock();
        state.session(&request.endpoint)?;
        let what = if request.open { "open" } else { "close" };
        let other = |name: &&String| {
            state.server.databases.get(*name).is_some_and(|db| db.facts.open != request.open)
        };
        let names: Vec<_> = request.databases.iter().filter(other).cloned().collect();
        for name in &names {
            state.write(&format!("{what} {name}"), |state| state.admit(name, request.open))?;
        }
        Ok(())
    }

    async fn end_sessions(&self, request: &EndSessions) -> Result<u64, Failure> {
        let mut state = self.lock();
        state.session(&request.endpoint)?;
        state.end_sessions(request)
    }

    async fn copy_database(&self, request: &CopyDatabase, tell: &Teller) -> Result<(), Failure> {
        self.lock().copy_database(request)?;
        tell_bytes(tell, &format!("copy of `{}`", request.from.name), request.from.size);
        Ok(())
    }

    async fn load_dump(&self, request: &LoadDump, tell: &Teller) -> Result<Contents, Failure> {
        let contents = self.lock().load_dump(request)?;
        tell_bytes(tell, &format!("`{}` from its dump", request.facts.name), request.facts.size);
        Ok(contents)
    }

    async fn equip(&self, request: &Equip) -> Result<(), Failure> {
        let mut state = self.lock();
        state.session(&request.endpoint)?;
        state.dress(&request.database, &request.facts, request.mark.as_ref())
    }

    async fn swap(&self, request: &Swap) -> Result<(), Failure> {
        let names: Vec<_> = request.renames.iter().map(|one| format!("{} to {}", one.from, one.to)).collect();
        self.act(&format!("rename {}", names.join(", ")), |state| state.swap(request))
    }

    async fn drop_database(&self, request: &DropDatabase) -> Result<(), Failure> {
        self.act(&format!("drop {}", request.name), |state| state.drop_database(request))
    }

    async fn lock(&self, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
        self.take_lock(request)
    }
}
