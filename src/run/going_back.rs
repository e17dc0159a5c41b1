//! What becomes of planned effects if they are taken back: tried with the real undos, on copies of the twin on which
//! they were planned.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    context::Context,
    downtime::{Counting, Downtime},
};
use crate::{
    event::{Choice, Failure, Question, Teller},
    primitives::contract::{Back, Decision, Later, Undone},
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
    /// From the end of the plan: the one way, or one for each thing that a person can choose.
    pub ways: Vec<WayBack>,
}

/// One way back from the end of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WayBack {
    /// What a person chooses for it. The rows that it costs are counted when it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// For how long each service would be away.
    pub downtime: Vec<Downtime>,
    /// What would not be as before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<String>,
    /// Why it could not be tried to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// An effect that was planned, as the journal would know it.
pub(super) struct Done {
    pub(super) address: String,
    pub(super) verb: String,
    pub(super) version: u32,
    pub(super) intent: Value,
    pub(super) outcome: Value,
    pub(super) adds_only: bool,
}

/// What a person would be asked before these effects are taken back from where the twin stands now.
pub(super) async fn question(context: &Context, twin: &Twin, done: &[Arc<Done>]) -> Option<Question> {
    let rehearsal = on(context, &twin.fork());
    for at in (0..done.len()).rev() {
        if let Ok(Undone::NeedsPerson { question }) = undo(&rehearsal, done, at, None).await {
            return Some(question);
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
    let mut counting = Counting::default();
    let mut asked = None;
    let mut way = WayBack { choice: choice.cloned(), downtime: Vec::new(), stays: Vec::new(), unknown: None };
    for at in (0..done.len()).rev() {
        let began = rehearsal.now();
        let mut undone = undo(&rehearsal, done, at, asked).await;
        if let (Ok(Undone::NeedsPerson { .. }), Some(choice), None) = (&undone, choice, asked) {
            asked = Some((at, choice));
            undone = undo(&rehearsal, done, at, asked).await;
        }
        counting.count(&twin.take_writes(), began, rehearsal.now());
        match undone {
            Ok(Undone::Restored { what, left }) if !left.is_empty() => way.stays.push(what),
            Ok(Undone::Restored { .. } | Undone::Nothing { .. }) => {}
            Ok(Undone::NeedsPerson { question }) => {
                way.unknown = Some(question.text);
                break;
            }
            Err(failure) => {
                way.unknown = Some(failure.message);
                break;
            }
        }
    }
    way.downtime = counting.found;
    way
}

fn on(context: &Context, twin: &Twin) -> Context {
    Context { ports: twin.ports(), tell: Teller::silent(), ..context.clone() }
}

async fn undo(
    context: &Context,
    done: &[Arc<Done>],
    at: usize,
    asked: Option<(usize, &Choice)>,
) -> Result<Undone, Failure> {
    let one = &done[at];
    let chosen = |of: usize| asked.filter(|(at, _)| *at == of).map(|(_, choice)| choice.key.clone());
    let decision =
        chosen(at).map(|choice| Decision { choice, reason: "planned".to_owned(), by: "the plan".to_owned() });
    let later = done.iter().enumerate().skip(at + 1).map(|(at, one)| Later {
        verb: one.verb.clone(),
        address: one.address.clone(),
        adds_only: one.adds_only,
        outcome: Some(one.outcome.clone()),
        choice: chosen(at),
    });
    let back = Back { decision, later: later.collect() };
    let tell = context.tell.at(&one.address);
    let operate = context.operate(&tell);
    context.kept(&one.verb)?.undo(one.version, one.intent.clone(), &back, operate).await
}
