use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Decision, Read};
use crate::{
    event::{Choice, Failure, Question},
    ports::Observe,
};

/// Stand still until a person says that the run goes on.
///
/// The run ends with exit code 7 and the question; `uplift resume --choose go --reason TEXT` goes on from here, and who said so
/// is recorded; `uplift rollback` is the other answer. Where a parameter of the runbook may say it in advance, it has to as long
/// as nothing was changed: the run does not stand still then, it is refused. A plan takes it for granted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    /// What the person is asked, e.g. `is the smoke test green?`.
    pub question: String,
    /// The name of the parameter that may answer in advance, e.g. `tested`.
    #[serde(default)]
    pub param: Option<String>,
    /// What that parameter says, e.g. `params::tested`: with `go` the run does not stand still.
    #[serde(default)]
    pub answer: Option<String>,
    /// What helps the person, a line each.
    #[serde(default)]
    pub found: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was asked.
    pub question: String,
    /// A person has said so while the run stood still.
    pub asked: bool,
    /// Who that was, user and host; `()` where it was said in advance.
    #[serde(default)]
    pub by: Option<String>,
    /// What that person gave as the reason.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The answer with which the run goes on.
const GO: &str = "go";

impl Read for Pause {
    const NAME: &'static str = "pause";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            question: "is the smoke test green?".to_owned(),
            param: Some("tested".to_owned()),
            answer: Some(GO.to_owned()),
            found: vec!["https://strata.example/smoke".to_owned()],
        }
    }

    fn summary(&self) -> String {
        format!("wait for a person: {}", self.question)
    }

    fn result(outcome: &Outcome) -> String {
        let said = match (&outcome.by, &outcome.reason) {
            (Some(by), Some(reason)) => format!("{by} said `go`: {reason}"),
            _ if outcome.asked => "a person said `go`".to_owned(),
            _ => "`go` was said in advance".to_owned(),
        };
        format!("{} {said}", outcome.question)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        if self.param.is_some() != self.answer.is_some() {
            let failure =
                Failure::new("bad_option", "`pause`: one of `param` and `answer` says nothing alone");
            return Err(failure.hint("e.g. `param: \"tested\", answer: params::tested`, or neither"));
        }
        if self.answer.as_deref() == Some(GO)
            || site.clock.takes_for_granted(&format!("a person says `go`: {}", self.question))
        {
            let question = self.question.clone();
            return Ok(Outcome { question, asked: false, by: None, reason: None });
        }
        Err(Failure::asks("pause", self.asked()))
    }

    fn decided(&self, decision: &Decision) -> Option<Outcome> {
        (decision.choice == GO).then(|| Outcome {
            question: self.question.clone(),
            asked: true,
            by: Some(decision.by.clone()),
            reason: Some(decision.reason.clone()),
        })
    }
}

impl Pause {
    fn asked(&self) -> Question {
        Question {
            address: String::new(),
            text: self.question.clone(),
            found: self.found.clone(),
            choices: vec![Choice {
                key: GO.to_owned(),
                does: "go on from here".to_owned(),
                costs: String::new(),
                also: String::new(),
            }],
            flag: Some(self.param.clone().unwrap_or_default()),
        }
    }
}
