//! What a run works with while it holds its site.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{door::Host, error::HostError, log, running::Run, runs::log_of};
use crate::{
    clients,
    event::{Ending, Event},
    journal::{Folder, Holder, Lock, Reader, Writer},
    run::{Context, Record},
    site::Site,
};

/// The site's lock with the journal under it. Dropping it gives the site free, whatever ended the run.
pub(super) struct Held {
    pub(super) record: Record,
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

/// Takes the site's lock and opens its journal for writing.
pub(super) fn hold(host: &Host, run: &str, command: &str) -> Result<Held, HostError> {
    let folder = Folder::prepare(&host.0.site.state)?;
    let now = host.0.ports.clock.now();
    let clients::Who { user, host: machine } = clients::who();
    let holder = Holder {
        run: run.to_owned(),
        command: command.to_owned(),
        user,
        host: machine,
        since: now,
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&folder, holder)?;
    let writer = Arc::new(Writer::open(&folder, &lock, host.0.scrubber.clone())?);
    let reader = Arc::new(Reader::open(&folder)?.ok_or(HostError::NoRun("read"))?);
    if let Some(hands) = &host.0.hands {
        hands.lend(lock.children()?);
    }
    Ok(Held { record: Record { writer, reader }, hands: host.0.hands.clone(), _lock: lock })
}

pub(super) fn context(
    host: &Host,
    run: &str,
    site: Arc<Site>,
) -> (Context, mpsc::UnboundedReceiver<log::Told>) {
    let (listener, events) = mpsc::unbounded_channel();
    let log = host.0.hands.as_ref().and_then(|hands| hands.line_log(&log_path(&site, run)));
    let context = Context {
        catalogue: Arc::clone(&host.0.catalogue),
        ports: host.0.ports.clone(),
        site,
        run: run.to_owned(),
        tell: log::teller(host.0.scrubber.clone(), Arc::clone(&host.0.ports.clock), listener, log),
        cancel: CancellationToken::new(),
        runtime: tokio::runtime::Handle::current(),
    };
    (context, events)
}

fn log_path(site: &Site, run: &str) -> std::path::PathBuf {
    log_of(&site.state, run)
}

pub(super) fn told(context: &Context, runbook: &str, at: Timestamp, again: bool) {
    let (run, runbook, site) = (context.run.clone(), runbook.to_owned(), context.site.name.clone());
    let (at, log) = (at.to_string(), log_path(&context.site, &context.run).display().to_string());
    context.tell.tell(if again {
        Event::RunResumed { run, runbook, site, at, log }
    } else {
        Event::RunStarted { run, runbook, site, at, log }
    });
}

/// The run as a task of its own, which gives the site free when it ends.
pub(super) fn at_work<F>(
    id: &str,
    events: mpsc::UnboundedReceiver<log::Told>,
    cancel: CancellationToken,
    held: Held,
    work: impl FnOnce(Record) -> F,
) -> Run
where
    F: Future<Output = Ending> + Send + 'static,
{
    let work = work(held.record.clone());
    let end = tokio::spawn(async move {
        let ending = work.await;
        drop(held);
        ending
    });
    Run::new(id.to_owned(), events, end, cancel)
}
