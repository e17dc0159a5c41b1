//! What a plan and a run are to a test: maps of plain values.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    event::{Ending, Event, ExitClass, Failure},
    host::{error::HostError, past::Shown},
    journal::State,
    run::{self, Plan, PlanEnd},
};

/// Of a process that a signal has ended.
const KILLED: u8 = 137;

/// What became of a command.
#[derive(Default)]
pub(super) struct Came {
    ending: String,
    code: u8,
    failure: Option<Failure>,
    at: Option<String>,
    notes: Vec<String>,
    warnings: Vec<String>,
    shown: Option<Shown>,
    question: Option<crate::event::Question>,
    left: Vec<String>,
    /// Why nothing was needed.
    why: Option<String>,
}

impl Came {
    /// No run was begun.
    pub(super) fn refused(failure: Failure, exit: ExitClass, at: Option<String>) -> Self {
        let question = failure.question.as_deref().cloned();
        Self {
            ending: "refused".to_owned(),
            code: exit.code(),
            failure: Some(failure),
            at,
            question,
            ..Self::default()
        }
    }

    /// A plan that leads to no run.
    pub(super) fn planned(self, plan: &Plan) -> Self {
        Self { notes: plan.notes.clone(), warnings: plan.warnings.clone(), ..self }
    }

    pub(super) fn nothing_needed(why: &str) -> Self {
        Self { ending: "nothing_needed".to_owned(), why: Some(why.to_owned()), ..Self::default() }
    }

    /// A door that stayed shut is an end like others, unless the test itself has asked for what is not there.
    pub(super) fn shut(error: &HostError) -> Result<Self, Failure> {
        match error {
            HostError::Invalid(_) | HostError::Runbook { .. } | HostError::NoRun(_) => Err(asked(error)),
            _ => Ok(Self::refused(error.failure(), error.exit(), None)),
        }
    }

    /// A run came to an end, or its process did.
    pub(super) fn run(ending: &Ending, events: &[Event], killed: bool, shown: Option<Shown>) -> Self {
        let mut came = Self { shown, ..Self::default() };
        for event in events {
            match event {
                Event::Note { text, .. } => came.notes.push(text.clone()),
                Event::Warning { text, .. } => came.warnings.push(text.clone()),
                Event::CallFailed { address, .. } => came.at = Some(address.clone()),
                _ => {}
            }
        }
        if killed {
            return Self { ending: "killed".to_owned(), code: KILLED, at: None, ..came };
        }
        let word = serde_json::to_value(ending).ok();
        let word = word.as_ref().and_then(|value| value.get("ending")?.as_str()).unwrap_or_default();
        let (failure, left) = match ending {
            Ending::Refused { failure } | Ending::Stuck { failure, .. } => (Some(failure), None),
            Ending::TakenBack { failure, left } => (Some(failure), Some(left)),
            Ending::RolledBack { left } => (None, Some(left)),
            Ending::NeedsPerson { failure, .. } => (failure.as_ref(), None),
            Ending::Unfinished { cause, .. } => (cause.as_ref(), None),
            _ => (None, None),
        };
        came.at = came.at.filter(|_| failure.is_some());
        Self {
            ending: word.to_owned(),
            code: ending.exit().code(),
            failure: failure.cloned(),
            left: left.cloned().unwrap_or_default(),
            question: ending.question().cloned(),
            ..came
        }
    }

    /// In a line, for whoever reads why a test failed.
    pub(super) fn line(&self, what: &str) -> String {
        let excerpt = self.failure.as_ref().and_then(|failure| failure.excerpt.as_deref());
        let place = excerpt.and_then(|lines| lines.lines().find_map(|line| line.trim().strip_prefix("--> ")));
        // What ships is not what the test is about.
        let own = |place: &&str| place.starts_with("uplift/") || place.contains(".rhai");
        let place = place.filter(own).map(|place| format!(", {place}")).unwrap_or_default();
        let at = self.at.as_ref().filter(|at| !at.is_empty());
        let at = at.map(|at| format!(" at `{at}`")).unwrap_or_default();
        let why = self.failure.as_ref().map(|failure| format!("{at}{place}: {failure} (`{}`)", failure.code));
        format!("{what}: {} ({}){}", self.ending, self.code, why.unwrap_or_default())
    }

    pub(super) fn value(self) -> Value {
        let (reason, message, hint) = said(self.failure.as_ref());
        let message = self.why.map_or(message, |why| json!(why));
        let (mut did, mut undone, mut away) = (Vec::new(), Vec::new(), Map::new());
        if let Some(Shown { run, calls, .. }) = &self.shown {
            for call in calls {
                if call.attempts.iter().any(|attempt| attempt.state == State::Succeeded) {
                    did.push(call.address.clone());
                }
                if call.state == State::Undone {
                    undone.push(call.address.clone());
                }
            }
            undone.reverse();
            away = seconds_away(run, calls);
        }
        let choices: Vec<_> = self
            .question
            .iter()
            .flat_map(|question| &question.choices)
            .map(|choice| choice.key.clone())
            .collect();
        json!({
            "ending": self.ending, "code": self.code, "run": self.shown.map(|shown| shown.run.id),
            "reason": reason, "message": message, "hint": hint, "at": self.at,
            "did": did, "undone": undone, "left": self.left, "notes": self.notes, "warnings": self.warnings,
            "question": self.question.map(|question| question.text), "choices": choices, "away": away,
        })
    }
}

/// Why what a test has asked for is not there.
pub(super) fn asked(error: &HostError) -> Failure {
    match error {
        HostError::Runbook { .. } => {
            error.failure().hint("mend these lines; `uplift runbook check` shows them too")
        }
        _ => error.failure(),
    }
}

fn seconds_away(row: &crate::journal::RunRow, calls: &[crate::journal::Entry]) -> Map<String, Value> {
    let mut away: BTreeMap<String, f64> = BTreeMap::new();
    for one in run::away(row, calls) {
        let until = one.until.or(row.ended).unwrap_or(one.from);
        *away.entry(one.service).or_default() += until.duration_since(one.from).as_secs_f64();
    }
    away.into_iter().map(|(service, seconds)| (service, json!(seconds))).collect()
}

fn said(failure: Option<&Failure>) -> (Value, Value, Value) {
    failure.map_or((Value::Null, Value::Null, Value::Null), |failure| {
        (json!(failure.code), json!(failure.message), json!(failure.hint))
    })
}

pub(super) fn plan(plan: &Plan) -> Value {
    let (failure, at, why) = match &plan.end {
        PlanEnd::Fails { address, failure } => (Some(failure), Some(address), None),
        PlanEnd::Unknown { why } | PlanEnd::NothingNeeded { why } => (None, None, Some(why)),
        PlanEnd::Complete => (None, None, None),
    };
    let (reason, message, hint) = said(failure);
    let changes = plan.steps.iter().flat_map(|step| &step.calls).flat_map(|call| {
        call.writes.iter().map(|write| {
            let mut change = serde_json::to_value(&write.change).unwrap_or_default();
            if let Some(map) = change.as_object_mut() {
                map.insert("address".to_owned(), json!(call.address));
                map.insert("shell".to_owned(), json!(write.shell));
            }
            change
        })
    });
    let downtime: Map<_, _> =
        plan.downtime.iter().map(|one| (one.service.clone(), json!(seconds(one.millis)))).collect();
    json!({
        "steps": plan.steps.iter().map(|step| &step.path).collect::<Vec<_>>(),
        "calls": plan.addresses(),
        "changes": changes.collect::<Vec<_>>(),
        "downtime": downtime,
        "complete": plan.is_complete(),
        "nothing_needed": matches!(plan.end, PlanEnd::NothingNeeded { .. }),
        "reason": reason, "message": why.map_or(message, |why| json!(why)), "hint": hint, "at": at,
        "own": plan.changed, "notes": plan.notes, "warnings": plan.warnings,
    })
}

#[expect(clippy::cast_precision_loss, reason = "of times that anybody waits")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
