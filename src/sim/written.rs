//! A world as somebody writes it down: a small TOML file that says in what it differs from the plain site. The format
//! is told to users in `docs/simulate.md`.

mod forms;

use serde_json::Value;

use self::forms::{Failing, Written};
use super::{
    faults::Seeded,
    registry::{Exit, WebHealth},
    server::{Db, Manner},
    setup::{self, Shape},
    world::World,
};
use crate::{
    event::{Failure, suggest},
    ports::{
        postgres::{Obstacle, Session},
        project::repository,
    },
};

/// Another number wherever a file would mean something else.
const FORMAT: u32 = 1;
/// A second: more would only take long.
const MOST_ORDERS: u64 = 1_000;
/// Seconds of Unix time, from 2000 to 2100.
const CENTURY: std::ops::Range<i64> = 946_684_800..4_102_444_800;
const MOST_ROWS: u64 = 10_000_000;
const LARGEST: u64 = 100 << 40;

impl World {
    /// The world that a file tells of.
    ///
    /// # Errors
    ///
    /// `world_invalid` with the line, or with what the file asks for and the plain site does not have.
    pub fn written(text: &str) -> Result<Self, Failure> {
        Self::of_written(&toml::from_str(text).map_err(|error| unreadable(text, &error))?)
    }

    /// The world of a file with more said over it, by the same names: what is in a map goes into the map, a list is put
    /// behind the list, and anything else takes the place of what the file says.
    ///
    /// # Errors
    ///
    /// As [`World::written`]; what is wrong with `more` is told with its place there.
    pub fn written_with(text: &str, more: &Value) -> Result<Self, Failure> {
        let _alone: Written = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let table: toml::Table = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let mut whole = serde_json::to_value(table).map_err(|error| invalid(error.to_string()))?;
        said_over(&mut whole, more);
        Self::of_written(&serde_path_to_error::deserialize(whole).map_err(|error| {
            let (at, why) = (error.path().to_string(), error.into_inner().to_string());
            let failure = invalid(format!("`{at}`: {why}"));
            match meant(&why) {
                Some(hint) => failure.hint(hint),
                None => failure.hint(TOLD),
            }
        })?)
    }

    fn of_written(written: &Written) -> Result<Self, Failure> {
        if written.format != FORMAT {
            let why = format!("format {} is not known", written.format);
            return Err(invalid(why).hint(format!("this uplift reads `format = {FORMAT}`")));
        }
        if let Some(now) = written.now.filter(|now| !CENTURY.contains(&now.as_second())) {
            return Err(invalid(format!("`now` is {now}")).hint("write a moment of this century"));
        }
        let mut state = setup::strata(&shape(written)?);
        state.now = written.now.map_or(state.now, setup::days_before);
        let world = Self::of(state);
        // What the site was started with.
        for (name, value) in &written.env {
            match value.as_str() {
                "" => world.unset(name),
                value => world.set(name, value),
            }
        }
        setup::start(&world);
        world.take_site(written)?;
        world.take_host(written)?;
        world.take_registry(written)?;
        world.take_server(written)?;
        world.take_faults(written)?;
        Ok(world)
    }

    fn take_site(&self, written: &Written) -> Result<(), Failure> {
        for file in &written.file {
            if file.path.is_relative() {
                let text = format!("`{}` of `[[file]]` is no whole path", file.path.display());
                return Err(
                    invalid(text).hint(format!("e.g. `path = \"/srv/strata/{}\"`", file.path.display()))
                );
            }
            self.put_file(&file.path, &file.text, file.mode.unwrap_or(0o644));
        }
        for one in &written.program {
            if one.path.is_relative() {
                let text = format!("`{}` of `[[program]]` is no whole path", one.path.display());
                return Err(invalid(text).hint("e.g. `path = \"/usr/local/bin/haproxyctl\"`"));
            }
            self.put_program(&one.path, &one.does);
        }
        for one in &written.task {
            // The product's images are what `[[release]]` says.
            if repository(&one.image) != setup::REPOSITORY {
                self.put_image(&one.image, one.size.map_or(48 << 20, |size| size.0), one.here);
            }
            self.put_tasks(&one.image, &one.does);
        }
        self.put_answers(&written.answer);
        self.put_queries(&written.query);
        for (path, what) in &written.notifier {
            self.put_notifier(path, *what);
        }
        for name in &written.site.stopped {
            if written.site.database.as_ref() == Some(name) {
                self.stop_database();
                continue;
            }
            let mut state = self.lock();
            let project = state.model.project.name.clone();
            let found = state.host.service(&project, name);
            if found.is_empty() {
                let known: Vec<_> = state.model.services.keys().map(String::as_str).collect();
                let hint = suggest(name, &known);
                return Err(
                    invalid(format!("`site.stopped` names `{name}`, which has no container")).hint(hint)
                );
            }
            for one in found {
                state.stop(&one.id)?;
            }
        }
        if written.users.orders_per_second > MOST_ORDERS {
            let text = format!("`users.orders_per_second` is more than {MOST_ORDERS}");
            return Err(invalid(text).hint("write a smaller one"));
        }
        self.write_steadily(written.users.orders_per_second);
        Ok(())
    }

    fn take_host(&self, written: &Written) -> Result<(), Failure> {
        let mounts: Vec<_> = self.lock().disk.systems.iter().map(|one| one.at.clone()).collect();
        for (path, disk) in &written.disk {
            if !mounts.contains(path) {
                let known: Vec<_> = mounts.iter().map(|at| format!("`{}`", at.display())).collect();
                let text = format!("nothing is mounted at `{}`", path.display());
                return Err(invalid(text).hint(format!("there are {}", known.join(", "))));
            }
            self.edit_space(path, |space| {
                space.free = disk.free.map_or(space.free, |size| size.0);
                space.total = space.total.max(space.free);
                space.network = disk.network;
            });
        }
        if let Some(version) = &written.engine.version {
            self.edit_engine(|engine| engine.version.clone_from(version));
        }
        for one in &written.container {
            self.put_container(&one.name, &one.image, |shown| shown.labels.extend(one.labels.clone()));
        }
        self.set_engine(written.engine.reachable);
        Ok(())
    }

    fn take_registry(&self, written: &Written) -> Result<(), Failure> {
        for one in &written.release {
            let mut release = self.release(&one.tag, &one.like)?;
            release.migrations.extend(one.migrations.clone());
            release.boot = one.boot.map_or(release.boot, |span| span.0);
            release.size = one.size.map_or(release.size, |size| size.0);
            if let Some(healthy) = one.healthy {
                release.web = if healthy { WebHealth::Healthy } else { WebHealth::Never };
            }
            let exit = |after: crate::site::Span| Exit {
                code: 1,
                lines: vec![format!("strata: {} ends here", one.tag)],
                after: after.0,
            };
            release.web_exits = one.web_ends_after.map(exit).or(release.web_exits);
            release.job_exits = one.job_ends_after.map(exit).or(release.job_exits);
            release.raises = one.raises.clone().or(release.raises);
            if let Some(slow) = &one.slow {
                release.slow = Some((slow.migration.clone(), slow.takes.0));
                release.one_statement = slow.one_statement;
            }
            let named = release.raises.iter().chain(release.slow.iter().map(|(name, _)| name));
            if let Some(name) = named.into_iter().find(|name| !release.migrations.contains(name)) {
                let text = format!("release `{}` has no migration `{name}`", one.tag);
                return Err(invalid(text).hint("add it to the `migrations` of that release"));
            }
            self.push(release);
        }
        self.set_registry(written.registry.reachable, written.registry.denied);
        Ok(())
    }

    /// What a release is like before its file says more of it.
    fn release(&self, tag: &str, like: &str) -> Result<super::registry::Release, Failure> {
        let state = self.lock();
        let all: Vec<_> =
            state.registry.tags.values().filter_map(|(_, built)| built.release.clone()).collect();
        let Some(found) = all.iter().find(|release| release.tag == like) else {
            let known: Vec<_> = all.iter().map(|release| release.tag.as_str()).collect();
            let text = format!("release `{tag}` is to be like `{like}`, which there is not");
            return Err(invalid(text).hint(suggest(like, &known)));
        };
        Ok(super::registry::Release { tag: tag.to_owned(), ..found.clone() })
    }

    fn take_server(&self, written: &Written) -> Result<(), Failure> {
        let server = &written.server;
        for (name, database) in &written.database {
            let mut db = self.database(name).unwrap_or_else(|| Db::new(name, "strata", &[], &[]));
            if let Some((table, _)) = database.rows.iter().find(|(_, rows)| **rows > MOST_ROWS) {
                let text = format!("`database.{name}.rows.{table}` is more than {MOST_ROWS}");
                return Err(invalid(text).hint("write a smaller one, and a `size` of the database"));
            }
            if database.size.is_some_and(|size| size.0 > LARGEST) {
                return Err(invalid(format!("`database.{name}.size` is more than 100 TiB"))
                    .hint("write a smaller one"));
            }
            for (table, rows) in &database.rows {
                db.set_rows(table, *rows);
                // What users add gets numbers of its own.
                let next = &mut self.lock().server.next;
                *next = (*next).max(*rows);
            }
            db.facts.size = database.size.map_or(db.facts.size, |size| size.0);
            self.put_database(db);
        }
        for job in &written.job {
            self.put_job(&job.class, job.claimed_by.as_deref());
        }
        for (pid, one) in (9_001..).zip(&written.session) {
            let session = Session {
                pid,
                database: one.database.clone(),
                user: one.user.clone(),
                application: one.application.clone(),
                client: "10.0.0.9".to_owned(),
                state: "idle".to_owned(),
                query: String::new(),
                seconds: 60,
                quiet_ms: 60_000,
            };
            self.put_session(session, if one.comes_back { Manner::ComesBack } else { Manner::Goes });
        }
        for one in &written.slot {
            self.put_obstacle(Obstacle {
                database: one.database.clone(),
                kind: "replication_slot".to_owned(),
                name: one.name.clone(),
            });
        }
        if let Some(room) = &server.room {
            self.set_room(room.bytes().map_err(invalid)?);
        }
        self.set_may_create(server.may_create);
        self.set_pooler(server.pooler.as_deref());
        self.deny_lock(server.lock_denied);
        self.set_server(server.reachable, server.standby);
        Ok(())
    }

    fn take_faults(&self, written: &Written) -> Result<(), Failure> {
        if written.fault.iter().any(|one| one.at.is_empty())
            || written.faults.is_some_and(|all| all.one_in == 0)
        {
            let text = "`fault.at` is the beginning of a line, and `faults.one_in` at least 1";
            return Err(invalid(text).hint("`simulate.md` lists the lines"));
        }
        let mut state = self.lock();
        let faults = &mut state.faults;
        faults.next = written.fault.iter().map(|one| (one.at.clone(), one.how)).collect();
        faults.seeded = written.faults.map(|Failing { seed, one_in }| Seeded { seed, one_in });
        Ok(())
    }
}

fn shape(written: &Written) -> Result<Shape, Failure> {
    let site = &written.site;
    let job = Some(site.job.clone()).filter(|name| !name.is_empty());
    let others = [
        ("job", &job, Some("web")),
        ("database", &site.database, Some("web")),
        ("database", &site.database, job.as_deref()),
    ];
    for (key, name, taken) in others {
        if name.is_some() && (name.as_deref() == taken || name.as_deref() == Some("")) {
            let name = name.as_deref().unwrap_or_default();
            let text = format!("`site.{key}` is `{name}`, which is no name, or that of another service");
            return Err(invalid(text).hint("give it a name of its own"));
        }
    }
    Ok(Shape {
        job,
        health_check: site.health_check,
        published: site.published,
        database: site.database.clone(),
    })
}

fn invalid(why: impl Into<String>) -> Failure {
    Failure::new("world_invalid", why)
}

/// With the line, and what was probably meant.
fn unreadable(text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    let message = error.message().trim();
    let failure = invalid(format!("line {line}: {message}"));
    if message.contains("missing field `format`") {
        return failure.hint(format!("begin it with `format = {FORMAT}`"));
    }
    match meant(message) {
        Some(hint) => failure.hint(hint),
        None => failure.hint(TOLD),
    }
}

const TOLD: &str = "`docs/simulate.md` tells what a world file holds";

/// serde lists what it knows after the word that it does not.
fn meant(message: &str) -> Option<String> {
    let mut words = message.split('`').skip(1).step_by(2);
    let (wrong, known) = (words.next()?, words.collect::<Vec<_>>());
    (message.starts_with("unknown") && !known.is_empty()).then(|| suggest(wrong, &known))
}

fn said_over(whole: &mut Value, more: &Value) {
    match (whole, more) {
        (Value::Object(whole), Value::Object(more)) => {
            for (name, value) in more {
                said_over(whole.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(whole), Value::Array(more)) => whole.extend(more.iter().cloned()),
        (whole, more) => more.clone_into(whole),
    }
}
