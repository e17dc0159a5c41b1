//! A plan is the real runbook with the real primitives, on a twin of the site.

mod conduct;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    away::has_changed,
    context::Context,
    done::{self, Done},
    downtime::Counting,
    execute::why_nothing,
    going_back::{self, GoingBack},
    held_to::within,
    on_its_thread::perform,
    past::{self, Decided, Past, Replay, Settled, SoFar, no_more},
    plan::{FORMAT, Plan, PlanEnd, PlannedStep},
    room,
    warned::Warned,
};
use crate::{
    event::{Failure, Planned, Question},
    ports::ends_a_plan,
    primitives::contract::{Call, Kind, Verb},
    script::{self, Answer, Asked, OnFailure, Runbook, Stop},
    sim::Twin,
};

/// Rehearses `runbook` on a twin of the site that `context` reaches, from where the run stands. Changes nothing, takes no
/// lock.
pub async fn rehearse(
    context: Context,
    runbook: Arc<Runbook>,
    params: Value,
    site: Value,
    so_far: SoFar,
) -> Plan {
    let twin = Twin::new(&context.ports, &context.site);
    let warned = Warned::default();
    let (made, live, bare) = (context.now(), context.clone(), so_far.bare);
    let context = Context { ports: twin.ports(), tell: warned.teller(), ..context };
    let catalogue = Arc::clone(&context.catalogue);
    let conduct = Arc::new(Rehearsal::new(context, twin, so_far).await);
    let ended = perform(Arc::clone(&runbook), catalogue, params.clone(), site, conduct.clone()).await;
    let plan = Plan { warnings: warned.take(), ..conduct.plan(&runbook, params, made, ended) };
    if bare || !matches!(plan.end, PlanEnd::Complete | PlanEnd::Unknown { .. }) {
        return plan;
    }
    let going_back = conduct.going_back(runbook.header().on_failure == OnFailure::Undo).await;
    let room = room::needed(&live, &plan.steps).await;
    Plan { room, going_back, ..plan }
}

struct Rehearsal {
    context: Context,
    /// What the run may do, if it is held to a plan.
    held_to: Option<Vec<String>>,
    bare: bool,
    /// What is recorded of it has changed nothing yet.
    untouched: bool,
    twin: Twin,
    state: Mutex<State>,
}

struct State {
    past: Past,
    steps: Vec<PlannedStep>,
    failed: Option<(String, Failure)>,
    /// What must be decided before anything is changed.
    asked: Option<(String, Failure)>,
    unknown: Option<String>,
    away: Counting,
    notes: Vec<String>,
    /// Paths of the steps that were come to.
    begun: BTreeSet<String>,
    /// The effects that were planned, in order.
    done: Vec<Arc<Done>>,
    /// The call from which on a person would be asked before they are taken back, and what.
    asks_from: Option<(String, Question)>,
}

impl Rehearsal {
    async fn new(context: Context, twin: Twin, so_far: SoFar) -> Self {
        let SoFar { entries: recorded, held_to, bare } = so_far;
        let untouched = !has_changed(&context.catalogue, &recorded);
        let (past, over) = Past::of(recorded);
        let done = done::of_record(&context, &over, done::Words::All);
        // What has come to this point already is told of the last call.
        let asks_from = match (done.last(), done.iter().all(|one| one.adds_only)) {
            (Some(last), false) => going_back::question(&context, &twin, &done)
                .await
                .map(|question| (last.address.clone(), question)),
            _ => None,
        };
        let down = if past.is_used_up() { Vec::new() } else { past::down(&context).await };
        let state = State {
            past,
            steps: Vec::new(),
            failed: None,
            asked: None,
            unknown: None,
            away: Counting::of_down(down, context.now()),
            notes: Vec::new(),
            begun: BTreeSet::new(),
            done,
            asks_from,
        };
        Self { context, held_to, bare, untouched, twin, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(
        &self,
        runbook: &Runbook,
        params: Value,
        made: Timestamp,
        ended: Result<Value, script::ScriptError>,
    ) -> Plan {
        let mut state = self.state();
        let asked = state.asked.take();
        let end = match (ended, state.unknown.take()) {
            (_, Some(why)) => PlanEnd::Unknown { why },
            (Err(error), None) if error.is_unknown() => PlanEnd::Unknown { why: error.message },
            (Ok(said), None) => {
                // Who waits, or is asked, has something to do too.
                let mut calls = state.steps.iter().flat_map(|step| &step.calls);
                if would_change(&state.steps) || calls.any(|call| !call.assumed.is_empty()) {
                    PlanEnd::Complete
                } else {
                    PlanEnd::NothingNeeded { why: why_nothing(&said) }
                }
            }
            (Err(error), None) => {
                let (address, cause) = match (error.failure(), state.failed.take()) {
                    (Some(failure), Some((address, last))) if *failure == last => (address, last),
                    (Some(failure), _) => (String::new(), failure.clone()),
                    (None, _) => (String::new(), error.as_failure()),
                };
                // The script itself went wrong, or a call of the site's own: its lines show where.
                let shows = error.failure().is_none() || error.is_of_the_site();
                let excerpt = shows.then(|| error.into_failure(runbook.bundle()).excerpt).flatten();
                PlanEnd::Fails { address, failure: Failure { excerpt: cause.excerpt.or(excerpt), ..cause } }
            }
        };
        let end = asked.map_or(end, |(address, failure)| PlanEnd::Fails { address, failure });
        let steps = std::mem::take(&mut state.steps);
        let downtime = std::mem::take(&mut state.away.found);
        let mut notes = std::mem::take(&mut state.notes);
        if end == PlanEnd::Complete {
            notes.extend(runbook.passed_over(&state.begun));
        }
        let site = &self.context.site;
        Plan {
            format: FORMAT,
            uplift: env!("CARGO_PKG_VERSION").to_owned(),
            made,
            goes_on: None,
            runbook: runbook.name().to_owned(),
            scripts: runbook.bundle().hash(),
            changed: Vec::new(),
            site: site.name.clone(),
            folder: site.project.dir.clone(),
            params,
            route: site.databases.endpoint.detour().map(str::to_owned),
            steps,
            end,
            warnings: Vec::new(),
            notes,
            downtime,
            room: Vec::new(),
            going_back: None,
        }
    }

    async fn one(&self, asked: &Asked) -> Result<Answer, Stop> {
        let verb = self.context.verb(asked.verb).map_err(Stop::Failed)?;
        let tell = self.context.tell.at(&asked.address);
        let call = verb.parse(asked.input.clone()).map_err(Stop::Failed)?;
        let (intent, summary) = match self.decided(asked, verb, &*call).await? {
            Decided::Known(value) => return Ok(value),
            Decided::Do(intent, summary) => (intent, summary),
        };
        let began = self.context.now();
        let (result, undo) = match (verb.kind, &intent) {
            (Kind::Effect, Some(intent)) => {
                let kept = self.context.kept(verb.name).map_err(Stop::Failed)?;
                let undo = kept.undo_summary(verb.version, intent.clone()).map_err(Stop::Failed)?;
                (kept.execute(verb.version, intent.clone(), self.context.operate(&tell)).await, Some(undo))
            }
            _ => (call.look(self.context.observe(&tell)).await.map(|(value, _)| value), None),
        };
        let made_up = self.twin.take_made_up();
        match result {
            Ok(value) => {
                self.planned(asked, summary.clone(), undo, began);
                if let (Kind::Effect, Some(intent)) = (verb.kind, intent) {
                    self.done(Done {
                        seq: 0,
                        address: asked.address.clone(),
                        verb: verb.name.to_owned(),
                        version: verb.version,
                        summary,
                        adds_only: verb.only_adds(verb.version, &intent),
                        intent,
                        outcome: made_up.is_none().then(|| value.clone()),
                        decision: None,
                        over: false,
                    })
                    .await;
                }
                Ok(Answer::rehearsed(verb, value, made_up))
            }
            Err(failure) if ends_a_plan(&failure) => {
                self.planned(asked, summary, undo, began);
                self.state().unknown = Some(failure.message);
                Err(Stop::Ends)
            }
            Err(failure) if failure.question.is_some() => {
                // Before anything is to be changed the person who plans is asked; later the one who watches the run.
                let later = would_change(&self.state().steps);
                self.planned(asked, summary, None, began);
                if later {
                    self.state().unknown = failure.question.map(|question| question.text);
                } else {
                    self.state().asked = Some((asked.address.clone(), failure));
                }
                Err(Stop::Ends)
            }
            Err(failure) => Err(self.failed(asked, summary, failure)),
        }
    }

    /// What the call would do, or its answer where the record has it.
    async fn decided(&self, asked: &Asked, verb: &Verb, call: &dyn Call) -> Result<Decided, Stop> {
        let tell = self.context.tell.at(&asked.address);
        let replay = self.state().past.replay(asked, verb.version, verb.kind)?;
        let begun = match replay {
            Replay::Answer(Ok(answer)) if self.untouched && verb.admits => {
                let (holds, name) =
                    (call.look(self.context.observe(&tell)).await, format!("`{}`", verb.name));
                let failed = |failure| self.failed(asked, name.clone(), no_more(&name, failure));
                return holds.map(|_| Decided::Known(answer)).map_err(failed);
            }
            Replay::Answer(answer) => return answer.map(Decided::Known),
            Replay::Begun(begun) => begun,
            Replay::Nothing => {
                let decided = match within(self.held_to.as_deref(), &asked.address, verb.kind) {
                    Ok(()) => call.intend(self.context.observe(&tell)).await.map_err(|refusal| refusal.0),
                    Err(failure) => Err(failure),
                };
                let decided = decided.map(|(intent, summary)| Decided::Do(intent, summary));
                return decided.map_err(|failure| self.failed(asked, format!("`{}`", verb.name), failure));
            }
        };
        match begun.settle(&self.context, verb, call, &tell).await {
            Ok(Settled::Applied(value)) => {
                let now = self.context.now();
                self.planned(asked, format!("{} (found done)", begun.summary), None, now);
                Ok(Decided::Known(Answer::Known(value)))
            }
            Ok(Settled::Execute) => Ok(Decided::Do(Some(begun.intent), begun.summary)),
            Ok(Settled::Ask(text)) => {
                let now = self.context.now();
                self.planned(asked, begun.summary, None, now);
                self.state().unknown = Some(text);
                Err(Stop::Ends)
            }
            Err(failure) => Err(self.failed(asked, begun.summary, failure)),
        }
    }

    /// Remembers an effect, and whether going back asks a person from it on.
    async fn done(&self, one: Done) {
        let (address, adds_only) = (one.address.clone(), one.adds_only);
        let done = {
            let mut state = self.state();
            state.done.push(Arc::new(one));
            // What changes nothing of the site makes no question of what came before it.
            let last = state.steps.last().and_then(|step| step.calls.last());
            if self.bare
                || adds_only
                || state.asks_from.is_some()
                || last.is_none_or(|call| call.writes.is_empty())
            {
                return;
            }
            state.done.clone()
        };
        if let Some(question) = going_back::question(&self.context, &self.twin, &done).await {
            self.state().asks_from = Some((address, question));
        }
    }

    /// How one comes back from where the rehearsal stands; `None` if nothing but additions is planned.
    async fn going_back(&self, by_itself: bool) -> Option<GoingBack> {
        let (done, asks_from) = {
            let mut state = self.state();
            (std::mem::take(&mut state.done), state.asks_from.take())
        };
        if done.iter().all(|one| one.adds_only) {
            return None;
        }
        let last = done.last().map(|one| one.address.clone());
        let asks_from = match asks_from {
            None => going_back::question(&self.context, &self.twin, &done)
                .await
                .and_then(|one| Some((last?, one))),
            asks_from => asks_from,
        };
        let (asks_from, question) = asks_from.unzip();
        let mut ways = going_back::ways(&self.context, &self.twin, &done, question.as_ref()).await;
        // No row is written in a rehearsal: what it would count is no figure.
        ways.iter_mut().filter_map(|way| way.choice.as_mut()).for_each(|choice| choice.costs.clear());
        Some(GoingBack { by_itself, asks_from, question: None, ways })
    }

    fn failed(&self, asked: &Asked, summary: String, failure: Failure) -> Stop {
        let now = self.context.now();
        self.planned(asked, summary, None, now);
        self.state().failed = Some((asked.address.clone(), failure.clone()));
        Stop::Failed(failure)
    }

    fn planned(&self, asked: &Asked, summary: String, undo: Option<String>, began: Timestamp) {
        let writes = self.twin.take_writes();
        let call = Planned {
            address: asked.address.clone(),
            summary,
            assumed: self.twin.take_assumed(),
            undo,
            relies_on: self.twin.take_relies_on(),
            writes,
        };
        let now = self.context.now();
        let mut state = self.state();
        state.away.count(&call.writes, began, now);
        match state.steps.last_mut() {
            Some(step) if step.path == asked.path => step.calls.push(call),
            _ => state.steps.push(PlannedStep { path: asked.path.clone(), calls: vec![call] }),
        }
    }
}

/// Only effects can be taken back.
fn would_change(steps: &[PlannedStep]) -> bool {
    steps.iter().flat_map(|step| &step.calls).any(|call| call.undo.is_some())
}
