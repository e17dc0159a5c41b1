//! From an unfinished run back to work: forwards or backwards.

use std::{collections::BTreeSet, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    door::{Host, script_site},
    error::HostError,
    held::{For, Held, at_work, begun, context, hold, told},
    layer, library,
    running::Run,
    zero::EntryZero,
};
use crate::{
    event::{Choice, Failure, Question, Teller},
    journal::{Choosing, Entry, Reader, RunRow},
    primitives::contract::{Decision, FORWARD, Verb, suggest},
    run::{self, Context, GoingBack, Job, Plan, SoFar},
    script::{Bundle, Source},
    site::{Databases, Site},
};

impl Host {
    /// Goes on with an unfinished run where it stopped: a call that failed is tried once more. `answer` says what
    /// became of a call that nobody could tell: `applied`, `not-applied` or `retry`.
    pub async fn resume(
        &self,
        run: Option<&str>,
        answer: Option<Decision>,
        command: &str,
    ) -> Result<Run, HostError> {
        let (held, open) = self.take_up(run, "resume", command).await?;
        open.goes_on()?;
        let answer = open.answered(answer, Way::Forward)?;
        let OpenRun { row, zero, entries, .. } = open;
        let site = self.frozen(zero.site);
        self.learn_from_set(&row.params).await;
        let pinned = bundle_of(&held.record.reader, &row.id)?;
        let script = self.check(&pinned).map_err(|error| other_words(error, &row))?;
        let now = self.0.ports.clock.now();
        let writer = &held.record.writer;
        writer.adopt(&row.id)?;
        match answer {
            Some((seq, Decision { choice, reason, by })) => {
                writer.decide(&row.id, seq, Choosing { choice, reason, by }, now)?;
                // What has asked is asked once more, and has its answer now.
                if run::failed_last(&entries).contains(&seq) {
                    writer.reopen(&row.id, seq, now)?;
                }
            }
            None => {
                for seq in run::failed_last(&entries) {
                    writer.reopen(&row.id, seq, now)?;
                }
            }
        }
        let begun = begun(self, (&row.runbook, command), Some(&row));
        let (context, listener) = context(self, &row.id, Arc::clone(&site), begun);
        if self.has_changed(&pinned).await {
            context.tell.warn(format!(
                "`{}`, or what it imports, was changed since: this run goes on with what it began with",
                pinned.main.name
            ));
        }
        let params = row.params.clone();
        let job = Job {
            runbook: script,
            params,
            site: script_site(&site),
            before: zero.before,
            held_to: zero.held_to,
        };
        let messenger = told(self, &context, &held, (&row.runbook, true));
        let held = (held, messenger);
        let id = row.id;
        Ok(at_work(&id, listener, context.cancel.clone(), held, |record| run::execute(context, record, job)))
    }

    /// Takes an unfinished run back. `decision` answers the open question, if there is one.
    pub async fn rollback(
        &self,
        run: Option<&str>,
        decision: Option<Decision>,
        command: &str,
    ) -> Result<Run, HostError> {
        let (held, open) = self.take_up(run, "take back", command).await?;
        self.can_read(&open)?;
        let open = match &decision {
            Some(_) => self.with_question(open).await,
            None => open,
        };
        let (decision, asks) = (open.answered(decision, Way::Back)?, open.asks());
        let OpenRun { row, zero, .. } = open;
        self.learn_from_set(&row.params).await;
        held.record.writer.adopt(&row.id)?;
        let begun = begun(self, (&row.runbook, command), Some(&row));
        let (context, listener) = context(self, &row.id, self.frozen(zero.site), begun);
        let messenger = told(self, &context, &held, (&row.runbook, true));
        let held = (held, messenger);
        let (id, before) = (row.id, zero.before);
        Ok(at_work(&id, listener, context.cancel.clone(), held, |record| {
            run::take_back(context, record, before, (decision, asks))
        }))
    }

    /// What going on with an unfinished run would do: what is recorded is not done again. Changes nothing.
    pub async fn plan_on(&self, run: &str) -> Result<Plan, HostError> {
        let open = self.open_run(Some(run), "resume")?;
        open.goes_on()?;
        let OpenRun { row, zero, entries, .. } = open;
        self.learn_from_set(&row.params).await;
        let pinned = bundle_of(&self.reader()?.ok_or(HostError::NoRun("resume"))?, &row.id)?;
        let script = self.check(&pinned).map_err(|error| other_words(error, &row))?;
        let site = self.frozen(zero.site);
        let context = self.rehearsal(Arc::clone(&site), &row.id, Some(&row));
        let so_far = SoFar { entries, held_to: zero.held_to, bare: false };
        // A run of before this was recorded has no bundle.
        let changed = if zero.changed.is_empty() { layer::changes(&script, None) } else { zero.changed };
        let rest = run::rehearse(context, script, row.params, script_site(&site), so_far);
        let plan = Box::pin(rest).await;
        Ok(Plan { goes_on: Some(row.id), changed, ..plan })
    }

    /// What taking an unfinished run back would do. Changes nothing.
    pub async fn plan_back(&self, run: &str) -> Result<GoingBack, HostError> {
        let open = self.open_run(Some(run), "take back")?;
        self.can_read(&open)?;
        let asks = open.asks();
        let OpenRun { row, zero, entries, .. } = open;
        self.learn_from_set(&row.params).await;
        let context = self.rehearsal(self.frozen(zero.site), &row.id, Some(&row));
        Ok(Box::pin(run::plan_back(&context, &entries, asks)).await)
    }

    /// What a rehearsal works with: nobody watches it.
    pub(super) fn rehearsal(&self, site: Arc<Site>, run: &str, earlier: Option<&RunRow>) -> Context {
        Context {
            catalogue: Arc::clone(&self.0.catalogue),
            ports: self.0.ports.clone(),
            site,
            run: run.to_owned(),
            begun: Arc::new(begun(self, ("", ""), earlier)),
            tell: Teller::silent(),
            cancel: CancellationToken::new(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// What an answer would decide, refused as it is where it is given. Nothing is recorded.
    pub async fn try_answer(&self, run: &str, choice: &str, back: bool) -> Result<Choice, HostError> {
        let open = self.open_run(Some(run), "answer")?;
        let open = if back { self.with_question(open).await } else { open };
        let answer = Decision { choice: choice.to_owned(), reason: String::new(), by: String::new() };
        open.answered(Some(answer), if back { Way::Back } else { Way::Forward })?;
        let asked =
            run::asked(&open.entries, open.row.ending.as_ref()).into_iter().map(|(_, question)| question);
        let mut choices = asked.chain(open.would_ask).flat_map(|question| question.choices);
        choices.find(|one| one.key == choice).ok_or(HostError::NoRun("answer"))
    }

    /// Of a run that was interrupted nothing was asked yet: what going back would ask now.
    async fn with_question(&self, open: OpenRun) -> OpenRun {
        if open.asks() || !run::asked(&open.entries, None).is_empty() {
            return open;
        }
        let context = self.rehearsal(self.frozen(open.zero.site.clone()), &open.row.id, Some(&open.row));
        let question = Box::pin(run::plan_back(&context, &open.entries, false)).await.question;
        OpenRun { would_ask: question, ..open }
    }

    /// The unfinished run that is meant, with the site's lock. It is looked at before the lock is taken, so that
    /// nothing is made where there is no run, and again under it, because the run may have ended meanwhile.
    async fn take_up(
        &self,
        run: Option<&str>,
        what: &'static str,
        command: &str,
    ) -> Result<(Held, OpenRun), HostError> {
        let OpenRun { row, zero, .. } = self.open_run(run, what)?;
        let site = self.frozen(zero.site);
        let held = hold(self, (&row.id, For::Unfinished), &site, command).await?;
        let open = self.open_run(Some(&row.id), what)?;
        Ok((held, open))
    }

    /// The unfinished run that is meant, with the site as it was before it.
    fn open_run(&self, run: Option<&str>, what: &'static str) -> Result<OpenRun, HostError> {
        let reader = self.reader()?.ok_or(HostError::NoRun(what))?;
        let row = match run {
            Some(run) => reader.run(run)?,
            None => match reader.unfinished()? {
                Some(row) => row,
                None => return Err(none_open(reader.newest(1)?.pop(), what)),
            },
        };
        if !row.state.unfinished() {
            let text = format!("run `{}` is over ({})", row.id, row.state_word());
            let failure =
                Failure::new("run_is_over", text).hint("`uplift history` lists the runs of this site");
            return Err(HostError::Invalid(failure));
        }
        let zero = EntryZero::read(reader.before(&row.id)?)?;
        let entries = reader.entries(&row.id)?;
        Ok(OpenRun { row, zero, entries, would_ask: None })
    }

    /// An effect that this uplift cannot take back is found before the first of them is: else the site would be left
    /// between the two.
    fn can_read(&self, open: &OpenRun) -> Result<(), HostError> {
        let begun = open.entries.iter().filter(|entry| entry.state.to_take_back());
        for entry in begun {
            let Some(intent) = entry.intent.clone() else { continue };
            let kept = self.0.catalogue.get(&entry.verb).and_then(Verb::kept);
            let unread = match kept.map(|kept| kept.undo_summary(entry.version, intent)) {
                Some(Err(failure)) if failure.code == "intent_version" => failure,
                None => Failure::new("primitive_missing", format!("this uplift has no `{}`", entry.verb)),
                _ => continue,
            };
            let RunRow { id, uplift, .. } = &open.row;
            let hint = format!(
                "take the run back with uplift {uplift}, which began it: `uplift rollback {id}`; nothing was touched"
            );
            return Err(HostError::Site(
                Failure { message: format!("`{}`: {}", entry.address, unread.message), ..unread }.hint(hint),
            ));
        }
        Ok(())
    }

    /// Whether another text stands now where a runbook came from. One that is gone, or is seen from another folder, is
    /// not another.
    async fn has_changed(&self, pinned: &Bundle) -> bool {
        let texts = |bundle: &Bundle| {
            let all = bundle.sources();
            all.map(|source| source.text.clone()).collect::<BTreeSet<_>>()
        };
        let now = library::find(&pinned.main.name, self.layer()).await;
        now.is_ok_and(|now| {
            !texts(pinned).is_subset(&texts(&now)) || pinned.hooks.is_some() != now.hooks.is_some()
        })
    }

    /// The site as the run knew it. Secrets are never stored, so they come from the settings of today; and so does the
    /// way to the databases, because a container that is started again has another address.
    fn frozen(&self, site: Site) -> Arc<Site> {
        let endpoint = self.0.site.databases.endpoint.clone();
        let databases = Databases { endpoint, ..site.databases };
        let today = &self.0.site;
        let (grants, notify) = (today.grants.clone(), today.notify.clone());
        Arc::new(Site { secrets: today.secrets.clone(), grants, notify, databases, ..site })
    }
}

/// What a run began with is not to be mended: where this uplift does not understand it any more, another does.
fn other_words(error: HostError, row: &RunRow) -> HostError {
    let HostError::Runbook { problems, .. } = error else { return error };
    let text = "this uplift does not understand the runbook that the run began with, so nothing was done";
    let RunRow { id, uplift, .. } = row;
    let hint = format!("go back with `uplift rollback {id}`, or resume with uplift {uplift}, which began it");
    HostError::Site(Failure::new("diverged", text).hint(hint).evidence(problems))
}

/// No run is unfinished: the newest is named, so that nobody takes this for another site.
fn none_open(newest: Option<RunRow>, what: &'static str) -> HostError {
    let Some(run) = newest else { return HostError::NoRun(what) };
    let text = format!("there is no run to {what}: the newest, {}, is over ({})", run.id, run.state_word());
    HostError::Invalid(Failure::new("no_run", text).hint("`uplift status` tells how the site is"))
}

/// A run that waits to go on or back.
struct OpenRun {
    row: RunRow,
    zero: EntryZero,
    entries: Vec<Entry>,
    /// What going back would ask, where nothing was asked yet.
    would_ask: Option<Question>,
}

impl OpenRun {
    /// Whether it was left at a question.
    fn asks(&self) -> bool {
        self.row.ending.as_ref().is_some_and(|ending| ending.question().is_some())
    }

    /// Refuses to go on with what is on its way back.
    fn goes_on(&self) -> Result<(), HostError> {
        let Some(entry) = self.entries.iter().find(|entry| !entry.undos.is_empty()) else { return Ok(()) };
        let text = format!("run `{}` is being taken back: `{}` was reached", self.row.id, entry.address);
        let failure = Failure::new("being_taken_back", text).hint("`uplift rollback` goes on with that");
        Err(HostError::Invalid(failure))
    }

    /// The answer with the number of the call that it is about. Refused before anything is touched if nothing was
    /// asked, or if the answer is none of the choices.
    fn answered(&self, answer: Option<Decision>, way: Way) -> Result<Option<(i64, Decision)>, HostError> {
        let Some(answer) = answer else { return Ok(None) };
        let mut asked = run::asked(&self.entries, self.row.ending.as_ref());
        let at = |question: &Question| self.entries.iter().find(|entry| entry.address == question.address);
        asked
            .extend(self.would_ask.iter().filter_map(|question| Some((at(question)?.seq, question.clone()))));
        let offers = |question: &Question| question.choices.iter().any(|choice| choice.key == answer.choice);
        let named = asked.iter().find(|(_, question)| offers(question));
        // A misspelt answer is about what is asked on this way.
        let own = || asked.iter().find(|(_, question)| question.flag.is_some() == (way == Way::Forward));
        let meant = named.or_else(own).or(asked.first());
        let Some((seq, question)) = meant else {
            let failure =
                Failure::new("nothing_asked", format!("run `{}` has no open question", self.row.id));
            return Err(HostError::Invalid(failure.hint("leave the answer out")));
        };
        way.fits(question, &answer.choice, &self.row.id)?;
        if offers(question) {
            return Ok(Some((*seq, answer)));
        }
        let known: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
        let text = format!("`{}` is none of the answers to: {}", answer.choice, question.text);
        Err(HostError::Invalid(Failure::new("no_such_choice", text).hint(suggest(&answer.choice, &known))))
    }
}

/// Where a person wants to go with an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

impl Way {
    /// An answer about going on must not send a run back, nor the other way round.
    fn fits(self, question: &Question, choice: &str, run: &str) -> Result<(), HostError> {
        let forward = question.flag.is_some() || FORWARD.contains(&choice);
        let verb = match (self, forward) {
            (Self::Back, true) if question.flag.is_some() => "resume",
            (Self::Forward, false) => "rollback",
            _ => return Ok(()),
        };
        let text = format!("`{choice}` is no answer for this command: {}", question.text);
        let hint = if question.choices.iter().any(|known| known.key == choice) {
            format!("type `uplift {verb} {run} --choose {choice} --reason TEXT`")
        } else {
            "leave the answer out: what has to be chosen for this command is asked then".to_owned()
        };
        Err(HostError::Invalid(Failure::new("other_way", text).hint(hint)))
    }
}

fn bundle_of(reader: &Reader, run: &str) -> Result<Bundle, HostError> {
    let mut sources = reader.bundle(run)?.into_iter().map(|(name, text)| Source { name, text });
    let main = sources.next().ok_or_else(|| {
        Failure::new("no_scripts", format!("the journal holds no runbook for run `{run}`"))
            .hint(format!("take it back: `uplift rollback {run}`"))
    })?;
    Ok(library::pinned(main, sources.collect()))
}
