//! From a plan to a run at work, and from an unfinished run back to work.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    door::{Host, script_site},
    error::HostError,
    log,
    runbook::Runbook,
    running::Run,
};
use crate::{
    clients,
    event::{Ending, Event, Failure},
    journal::{
        Choosing, Entry, Folder, Holder, Lock, NewRun, Reader, RunRow, State, Writer, new_run_id, orphans,
    },
    ports::files::Remove,
    primitives::contract::{Decision, suggest},
    run::{self, Context, Job, Plan, Record},
    script::{Bundle, Source},
    site::Site,
    survey::{self, Before},
};

/// Entry 0 of a run: the site before it.
#[derive(Serialize, Deserialize)]
struct EntryZero {
    format: u32,
    site: Site,
    before: Before,
}

const ENTRY_ZERO_FORMAT: u32 = 1;

/// A run that holds its site.
struct Held {
    lock: Lock,
    record: Record,
}

/// Starts `runbook` as planned.
pub(super) async fn start(runbook: &Runbook, plan: Plan, command: &str) -> Result<Run, HostError> {
    let host = &runbook.host;
    let id = new_run_id(host.0.ports.clock.now());
    let held = hold(host, &id, command)?;
    if let Some(row) = held.record.reader.unfinished()? {
        return Err(unfinished(row));
    }
    let changes = plan.stale(&runbook.plan().await);
    if !changes.is_empty() {
        return Err(HostError::Stale { changes });
    }
    forget_never_begun(host, &held.record.reader).await?;
    let (context, listener) = context(host, &id, Arc::clone(&host.0.site));
    let mut before = survey::before(context.ports.observe(&context.site, &id, &context.tell)).await?;
    survey::keep(context.ports.operate(&context.site, &id, &context.tell), &mut before).await?;
    let zero =
        EntryZero { format: ENTRY_ZERO_FORMAT, site: Site::clone(&host.0.site), before: before.clone() };
    let bundle = runbook.script.bundle();
    let now = host.0.ports.clock.now();
    held.record.writer.begin(NewRun {
        id: id.clone(),
        runbook: runbook.name().to_owned(),
        command: command.to_owned(),
        by: clients::who().to_string(),
        at: now,
        params: runbook.params.clone(),
        on_failure: runbook.header().on_failure.as_str().to_owned(),
        bundle: bundle.sources().map(|source| (source.name.clone(), source.text.clone())).collect(),
        before: serde_json::to_value(&zero).map_err(|error| Failure::new("entry_zero", error.to_string()))?,
        uplift: env!("CARGO_PKG_VERSION").to_owned(),
    })?;
    let job = Job {
        runbook: Arc::clone(&runbook.script),
        params: runbook.params.clone(),
        site: script_site(&host.0.site),
        before,
    };
    told(&context, runbook.name(), now, false);
    Ok(at_work(host, &id, listener, context.cancel.clone(), held, |record| {
        run::execute(context, record, job)
    }))
}

/// Kept copies of runs that were killed before they were recorded: nothing was done in them, and the copies hold
/// secrets.
async fn forget_never_begun(host: &Host, reader: &Reader) -> Result<(), HostError> {
    let folder = host.0.site.state.join("kept");
    let known: Vec<_> = reader.runs()?.into_iter().map(|run| run.id).collect();
    for name in host.0.ports.files.list(&folder).await? {
        if !known.contains(&name) {
            let what = "kept copies of a run that never began".to_owned();
            host.0.ports.files.remove(&Remove { path: folder.join(name), what }).await?;
        }
    }
    Ok(())
}

impl Host {
    /// Goes on with an unfinished run where it stopped: a call that failed is tried once more. `answer` says what
    /// became of a call that nobody could tell: `applied`, `not-applied` or `retry`.
    #[expect(clippy::unused_async, reason = "it starts a task, which needs the caller's runtime")]
    pub async fn resume(
        &self,
        run: Option<&str>,
        answer: Option<Decision>,
        command: &str,
    ) -> Result<Run, HostError> {
        let open = self.open_run(run, "resume")?;
        if let Some(entry) = open.entries.iter().find(|entry| !entry.undos.is_empty()) {
            let text = format!("run `{}` is being taken back: `{}` was reached", open.row.id, entry.address);
            let failure = Failure::new("being_taken_back", text).hint("`uplift rollback` goes on with that");
            return Err(HostError::Invalid(failure));
        }
        let answer = open.answered(answer)?;
        let OpenRun { row, zero, entries } = open;
        let held = hold(self, &row.id, command)?;
        let site = self.frozen(zero.site);
        let script = self.check(&bundle_of(&held.record.reader, &row.id)?)?;
        let now = self.0.ports.clock.now();
        let writer = &held.record.writer;
        writer.adopt(&row.id)?;
        match answer {
            Some((seq, Decision { choice, reason, by })) => {
                writer.decide(&row.id, seq, Choosing { choice, reason, by }, now)?;
            }
            None => {
                for seq in failed_last(&entries) {
                    writer.reopen(&row.id, seq, now)?;
                }
            }
        }
        let (context, listener) = context(self, &row.id, Arc::clone(&site));
        let params = row.params.clone();
        let job = Job { runbook: script, params, site: script_site(&site), before: zero.before };
        told(&context, &row.runbook, now, true);
        let id = row.id;
        Ok(at_work(self, &id, listener, context.cancel.clone(), held, |record| {
            run::execute(context, record, job)
        }))
    }

    /// Takes an unfinished run back. `decision` answers the open question, if there is one.
    #[expect(clippy::unused_async, reason = "it starts a task, which needs the caller's runtime")]
    pub async fn rollback(
        &self,
        run: Option<&str>,
        decision: Option<Decision>,
        command: &str,
    ) -> Result<Run, HostError> {
        let open = self.open_run(run, "take back")?;
        let decision = open.answered(decision)?;
        let OpenRun { row, zero, .. } = open;
        let held = hold(self, &row.id, command)?;
        held.record.writer.adopt(&row.id)?;
        let (context, listener) = context(self, &row.id, self.frozen(zero.site));
        told(&context, &row.runbook, self.0.ports.clock.now(), true);
        let (id, before) = (row.id, zero.before);
        Ok(at_work(self, &id, listener, context.cancel.clone(), held, |record| {
            run::take_back(context, record, before, decision)
        }))
    }

    /// The unfinished run that is meant, with the site as it was before it.
    fn open_run(&self, run: Option<&str>, what: &'static str) -> Result<OpenRun, HostError> {
        let reader = self.reader()?.ok_or(HostError::NoRun(what))?;
        let row = match run {
            Some(run) => reader.run(run)?,
            None => reader.unfinished()?.ok_or(HostError::NoRun(what))?,
        };
        if !row.state.unfinished() {
            let text = format!("run `{}` is over ({})", row.id, row.state_word());
            let failure =
                Failure::new("run_is_over", text).hint("`uplift history` lists the runs of this site");
            return Err(HostError::Invalid(failure));
        }
        let zero: EntryZero = serde_json::from_value(reader.before(&row.id)?).map_err(|error| {
            Failure::new("entry_zero", format!("cannot read the record of the site: {error}"))
        })?;
        let entries = reader.entries(&row.id)?;
        Ok(OpenRun { row, zero, entries })
    }

    /// The site as the run knew it; secrets are never stored, so they come from the settings of today.
    fn frozen(&self, site: Site) -> Arc<Site> {
        Arc::new(Site { secrets: self.0.site.secrets.clone(), ..site })
    }
}

/// A run that waits to go on or back.
struct OpenRun {
    row: RunRow,
    zero: EntryZero,
    entries: Vec<Entry>,
}

impl OpenRun {
    /// The answer with the number of the call that it is about. Refused before anything is touched if nothing was
    /// asked, or if the answer is none of the choices.
    fn answered(&self, answer: Option<Decision>) -> Result<Option<(i64, Decision)>, HostError> {
        let Some(answer) = answer else { return Ok(None) };
        let Some((seq, question)) = run::asked(&self.entries, self.row.ending.as_ref()) else {
            let failure =
                Failure::new("nothing_asked", format!("run `{}` has no open question", self.row.id));
            return Err(HostError::Invalid(failure.hint("leave the answer out")));
        };
        let known: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
        if known.contains(&answer.choice.as_str()) {
            return Ok(Some((seq, answer)));
        }
        let text = format!("`{}` is none of the answers to: {}", answer.choice, question.text);
        Err(HostError::Invalid(Failure::new("no_such_choice", text).hint(suggest(&answer.choice, &known))))
    }
}

/// The call, or the calls of the last block, that ended the run by failing: a person wants them tried once more. A
/// refusal of a whole block stays, because the others of the block were never recorded.
fn failed_last(entries: &[Entry]) -> Vec<i64> {
    let Some(last) = entries.last() else { return Vec::new() };
    let of_block =
        |entry: &&Entry| entry.seq == last.seq || (last.group.is_some() && entry.group == last.group);
    let failed = |entry: &&Entry| {
        entry.state == State::Failed || (entry.state == State::Refused && entry.group.is_none())
    };
    entries.iter().filter(of_block).filter(failed).map(|entry| entry.seq).collect()
}

fn bundle_of(reader: &Reader, run: &str) -> Result<Bundle, HostError> {
    let mut sources = reader.bundle(run)?.into_iter().map(|(name, text)| Source { name, text });
    let main =
        sources.next().ok_or_else(|| Failure::new("no_scripts", "the journal holds no runbook for it"))?;
    Ok(Bundle { main, libs: sources.collect() })
}

fn unfinished(row: RunRow) -> HostError {
    let state = row.state_word();
    HostError::Unfinished { run: row.id, runbook: row.runbook, state }
}

/// Takes the site's lock and opens its journal for writing.
fn hold(host: &Host, run: &str, command: &str) -> Result<Held, HostError> {
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
    let children = orphans(&folder)?;
    if !children.is_empty() {
        let children =
            children.iter().map(|child| format!("process {}: {}", child.pid, child.command)).collect();
        return Err(HostError::Orphans { children });
    }
    if let Some(hands) = &host.0.hands {
        hands.lend(lock.children()?);
    }
    let writer = Arc::new(Writer::open(&folder, &lock, host.0.scrubber.clone())?);
    let reader = Reader::open(&folder)?.ok_or(HostError::NoRun("read"))?;
    Ok(Held { lock, record: Record { writer, reader: Arc::new(reader) } })
}

fn context(host: &Host, run: &str, site: Arc<Site>) -> (Context, mpsc::UnboundedReceiver<log::Told>) {
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
    super::runs::log_of(&site.state, run)
}

fn told(context: &Context, runbook: &str, at: Timestamp, again: bool) {
    let (run, runbook, site) = (context.run.clone(), runbook.to_owned(), context.site.name.clone());
    let (at, log) = (at.to_string(), log_path(&context.site, &context.run).display().to_string());
    context.tell.tell(if again {
        Event::RunResumed { run, runbook, site, at, log }
    } else {
        Event::RunStarted { run, runbook, site, at, log }
    });
}

/// The run as a task of its own, which gives the site free when it ends.
fn at_work<F>(
    host: &Host,
    id: &str,
    events: mpsc::UnboundedReceiver<log::Told>,
    cancel: CancellationToken,
    held: Held,
    work: impl FnOnce(Record) -> F,
) -> Run
where
    F: Future<Output = Ending> + Send + 'static,
{
    let Held { lock, record } = held;
    let work = work(record);
    let hands = host.0.hands.clone();
    let end = tokio::spawn(async move {
        let ending = work.await;
        if let Some(hands) = hands {
            hands.take_back();
        }
        drop(lock);
        ending
    });
    Run::new(id.to_owned(), events, end, cancel)
}
