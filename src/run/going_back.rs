//! What becomes of planned effects if they are taken back: tried with the real undos, on copies of the twin on which
//! they were planned.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    context::Context,
    done::{self, Done, Unwinding},
    downtime::{Counting, Downtime},
    past::down,
};
use crate::{
    event::{Choice, Failure, Planned, Question, Teller},
    journal::Entry,
    ports::ends_a_plan,
    primitives::contract::{Decision, Undone},
    sim::Twin,
};

/// Going back from a run that has come to the end of its plan, or anywhere on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoingBack {
    /// Whether a run that fails goes back without being told to.
    pub by_itself: bool,
    /// The call from which on a person has to choose first. `None`: at no point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks_from: Option<String>,
    /// Of an unfinished run: what a person is asked now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// From the end of the plan: the one way, or one for each thing that a person can choose.
    pub ways: Vec<WayBack>,
}

/// One way back from the end of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WayBack {
    /// What a person chooses for it. In a plan without what it costs: the rows are counted when it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// What is done, last first: `summary` says what is taken back, `undo` what that comes to.
    pub calls: Vec<Planned>,
    /// For how long each service would be away.
    pub downtime: Vec<Downtime>,
    /// What would not be as before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<String>,
    /// What a person would be asked on the way, from where on it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What would fail on the way, so that the run would be stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<Failure>,
}

/// What a person would be asked before these effects are taken back from where the twin stands now.
pub(super) async fn question(context: &Context, twin: &Twin, done: &[Arc<Done>]) -> Option<Question> {
    let rehearsal = on(context, &twin.fork());
    let unwinding = Unwinding::of(done.to_vec());
    for at in unwinding.to_take_back() {
        // What fails here fails again when it is done, where it is recorded and told.
        if let Ok(Undone::NeedsPerson { question }) = unwinding.undo(&rehearsal, at).await {
            return Some(Question { address: done[at].address.clone(), ..question });
        }
    }
    None
}

/// All ways back from where the twin stands now, with the `question` that is asked first.
pub(super) async fn ways(
    context: &Context,
    twin: &Twin,
    done: &[Arc<Done>],
    question: Option<&Question>,
) -> Vec<WayBack> {
    let Some(question) = question else { return vec![way(context, twin, done, None).await] };
    let mut ways = Vec::new();
    for choice in question.choices.iter().filter(|choice| choice.key != super::execute::STAY) {
        ways.push(way(context, twin, done, Some(choice)).await);
    }
    ways
}

async fn way(context: &Context, twin: &Twin, done: &[Arc<Done>], choice: Option<&Choice>) -> WayBack {
    let twin = twin.fork();
    let rehearsal = on(context, &twin);
    let mut counting = Counting::of_down(down(&rehearsal).await, rehearsal.now());
    let mut decision = choice.map(|choice| Decision {
        choice: choice.key.clone(),
        reason: "planned".to_owned(),
        by: "the plan".to_owned(),
    });
    let mut way = WayBack { choice: choice.cloned(), ..WayBack::default() };
    let mut unwinding = Unwinding::of(done.to_vec());
    for at in unwinding.to_take_back() {
        let began = rehearsal.now();
        let mut undone = unwinding.undo(&rehearsal, at).await;
        if matches!(undone, Ok(Undone::NeedsPerson { .. }))
            && let Some(decision) = decision.take()
        {
            unwinding.choose(at, decision);
            undone = unwinding.undo(&rehearsal, at).await;
        }
        let writes = twin.take_writes();
        counting.count(&writes, began, rehearsal.now());
        let comes_to = match undone {
            Ok(Undone::NeedsPerson { question }) => {
                way.unknown = Some(question.text);
                None
            }
            Ok(Undone::Restored { what, left }) => {
                way.stays.extend((!left.is_empty()).then(|| what.clone()));
                Some(what)
            }
            Ok(Undone::Nothing { why }) => Some(why),
            Err(failure) if ends_a_plan(&failure) => {
                way.unknown = Some(failure.message);
                None
            }
            Err(failure) => {
                way.fails = Some(failure);
                None
            }
        };
        let ends = comes_to.is_none();
        way.calls.push(Planned {
            address: done[at].address.clone(),
            summary: done[at].summary.clone(),
            writes,
            assumed: twin.take_assumed(),
            undo: comes_to,
            relies_on: Vec::new(),
        });
        if ends {
            break;
        }
    }
    way.downtime = counting.found;
    way
}

/// Going back from where an unfinished run stands, tried on a twin of the site. Changes nothing. `asks` as in
/// [`super::take_back`].
pub async fn plan_back(context: &Context, entries: &[Entry], asks: bool) -> GoingBack {
    let words = if asks { done::Words::All } else { done::Words::NEW };
    let done = done::of_record(context, entries, words);
    let twin = Twin::new(&context.ports, &context.site);
    let question = question(context, &twin, &done).await;
    let ways = ways(context, &twin, &done, question.as_ref()).await;
    GoingBack { by_itself: false, asks_from: None, question, ways }
}

fn on(context: &Context, twin: &Twin) -> Context {
    Context { ports: twin.ports(), tell: Teller::silent(), ..context.clone() }
}
