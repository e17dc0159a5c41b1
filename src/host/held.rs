//! What a run works with while it holds its site.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{door::Host, error::HostError, log, notices::Messenger, running::Run, runs::log_of};
use crate::{
    clients,
    event::{Ending, Event, Failure},
    journal::{Folder, Holder, Lock, Reader, RunRow, Writer},
    ports::{notices::Begun, postgres::LockSite},
    run::{Context, Record, SharedLock},
    site::Site,
    survey,
};

/// The site's locks with the journal under them. Dropping it gives the site free, whatever ended the run.
pub(super) struct Held {
    pub(super) record: Record,
    /// Why the lock in the database is missing, where it is.
    without: Option<Failure>,
    hands: Option<clients::Hands>,
    _lock: Lock,
}

impl Drop for Held {
    fn drop(&mut self) {
        // What is lent to children holds a part of the lock.
        if let Some(hands) = &self.hands {
            hands.take_back();
        }
    }
}

impl Host {
    /// Who works on the site's databases from another machine, if somebody does: asked by taking their lock, for no longer
    /// than that takes. What a plan finds meanwhile, a site
    /// that is down or a database that lets nobody in, is that run's doing.
    pub async fn held_elsewhere(&self) -> Option<Failure> {
        let clients::Who { user, host } = clients::who();
        let request = lock_of(&self.0.site, "plan", &user, &host);
        let failure = SharedLock::take(&self.0.ports, request).await.err()?;
        (failure.code == "site_held").then_some(failure)
    }
}

/// How the lock in the database is asked for.
fn lock_of(site: &Site, run: &str, user: &str, machine: &str) -> LockSite {
    LockSite {
        endpoint: site.databases.endpoint.clone(),
        primary: site.databases.primary().to_owned(),
        holder: format!("uplift {run} {user}@{machine}"),
    }
}

/// Which run the site is taken for.
#[derive(Clone, Copy)]
pub(super) enum For {
    /// It needs the databases from its first call on.
    New,
    /// It was begun already, so that it may go on without the lock in the database as far as it needs no database.
    Unfinished,
}

/// Takes the site's lock on this host, opens its journal for writing, and takes the lock in the database.
pub(super) async fn hold(
    host: &Host,
    (run, reason): (&str, For),
    site: &Site,
    command: &str,
) -> Result<Held, HostError> {
    let folder = Folder::prepare(&host.0.site.state)?;
    let now = host.0.ports.clock.now();
    let clients::Who { user, host: machine } = clients::who();
    let holder = Holder {
        run: run.to_owned(),
        command: host.0.scrubber.scrub(command),
        user: user.clone(),
        host: machine.clone(),
        since: now,
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&folder, holder)?;
    let writer = Arc::new(Writer::open(&folder, &lock, host.0.scrubber.clone())?);
    let reader = Arc::new(Reader::open(&folder)?.ok_or(HostError::NoRun("read"))?);
    // The site may have been opened long ago, and the server's container been started again since.
    host.0.ports.postgres.go_by(&survey::way(&host.0.ports, site).await?);
    let request = lock_of(site, run, &user, &machine);
    let (shared, without) = match reason {
        For::New => (SharedLock::take(&host.0.ports, request).await?, None),
        For::Unfinished => SharedLock::take_if_up(&host.0.ports, request).await?,
    };
    if let Some(hands) = &host.0.hands {
        hands.lend(lock.children()?);
    }
    let record = Record { writer, reader, lock: Arc::new(shared) };
    Ok(Held { record, without, hands: host.0.hands.clone(), _lock: lock })
}

/// How the work of this command begins: a run that is there already has begun before.
pub(super) fn begun(host: &Host, (runbook, command): (&str, &str), earlier: Option<&RunRow>) -> Begun {
    let who = clients::who();
    Begun {
        started: earlier.map_or_else(|| host.now(), |row| row.started),
        runbook: runbook.to_owned(),
        command: command.to_owned(),
        by: who.to_string(),
        host: who.host.clone(),
        again: earlier.is_some(),
    }
}

pub(super) fn context(
    host: &Host,
    run: &str,
    site: Arc<Site>,
    begun: Begun,
) -> (Context, mpsc::UnboundedReceiver<log::Told>) {
    let (listener, events) = mpsc::unbounded_channel();
    let log = host.0.ports.files.log(&log_path(&site, run));
    let context = Context {
        catalogue: Arc::clone(&host.0.catalogue),
        ports: host.0.ports.clone(),
        site,
        run: run.to_owned(),
        begun: Arc::new(begun),
        tell: log::teller(host.0.scrubber.clone(), Arc::clone(&host.0.ports.clock), listener, log),
        cancel: CancellationToken::new(),
        runtime: tokio::runtime::Handle::current(),
    };
    (context, events)
}

fn log_path(site: &Site, run: &str) -> std::path::PathBuf {
    log_of(&site.state, run)
}

/// Tells that the run begins; gives who is to tell how it ended.
pub(super) fn told(
    host: &Host,
    context: &Context,
    held: &Held,
    (runbook, again): (&str, bool),
) -> Option<Messenger> {
    let at: Timestamp = host.now();
    let (run, runbook, site) = (context.run.clone(), runbook.to_owned(), context.site.name.clone());
    let (at, log) = (at.to_string(), log_path(&context.site, &context.run).display().to_string());
    context.tell.tell(if again {
        Event::RunResumed { run, runbook, site, at, log }
    } else {
        Event::RunStarted { run, runbook, site, at, log }
    });
    if let Some(failure) = &held.without {
        context.tell.warn(format!(
            "{failure}, so nothing keeps another machine away from this site; going on as far as the databases are \
             left alone"
        ));
    }
    let mut messenger = Messenger::of(host, context, &held.record.reader)?;
    messenger.begins();
    Some(messenger)
}

/// The run as a task of its own, which gives the site free when it ends.
pub(super) fn at_work<F>(
    id: &str,
    events: mpsc::UnboundedReceiver<log::Told>,
    cancel: CancellationToken,
    (held, messenger): (Held, Option<Messenger>),
    work: impl FnOnce(Record) -> F,
) -> Run
where
    F: Future<Output = Ending> + Send + 'static,
{
    let work = work(held.record.clone());
    let end = tokio::spawn(async move {
        let ending = work.await;
        drop(held);
        // The site is free: whoever is told may begin the next run.
        if let Some(messenger) = messenger {
            messenger.ended(&ending).await;
        }
        ending
    });
    Run::new(id.to_owned(), events, end, cancel)
}
