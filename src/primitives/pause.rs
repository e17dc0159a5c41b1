use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
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
        let when = if outcome.asked { "a person said `go`" } else { "`go` was said in advance" };
        format!("{} {when}", outcome.question)
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
            return Ok(Outcome { question: self.question.clone(), asked: false });
        }
        Err(Failure::asks("pause", self.asked()))
    }

    fn decided(&self, choice: &str) -> Option<Outcome> {
        (choice == GO).then(|| Outcome { question: self.question.clone(), asked: true })
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
