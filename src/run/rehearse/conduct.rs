//! A rehearsal as the script meets it: each call is rehearsed on the twin.

use super::Rehearsal;
use crate::script::{Answer, Asked, Conduct, Place, Stop};

impl Rehearsal {
    async fn side_by_side(&self, asked: &[Asked]) -> Result<Vec<Answer>, Stop> {
        if let Some(refusal) = self.state().past.refusal(asked) {
            return Err(Stop::Failed(refusal));
        }
        // One refusal and none starts: the run decides all before it begins any, so the rehearsal does too. What is
        // recorded was decided then.
        let is_new = self.state().past.is_used_up();
        let undecided = if is_new { asked } else { &[] };
        for one in undecided {
            let verb = self.context.verb(one.verb).map_err(Stop::Failed)?;
            let tell = self.context.tell.at(&one.address);
            let call = verb.parse(one.input.clone()).map_err(Stop::Failed)?;
            if let Err(refusal) = call.intend(self.context.observe(&tell)).await {
                return Err(self.failed(one, format!("`{}`", verb.name), refusal.0));
            }
        }
        let mut answers = Vec::new();
        for one in asked {
            let answer = self.one(one).await;
            if is_new || answer == Err(Stop::Ends) {
                answers.push(Ok(answer?));
            } else {
                // All of a recorded block are taken from the record, whatever became of the first.
                answers.push(answer);
            }
        }
        answers.into_iter().collect()
    }
}

impl Conduct for Rehearsal {
    fn call(&self, asked: Asked) -> Result<Answer, Stop> {
        self.context.runtime.block_on(self.one(&asked))
    }

    fn together(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        self.context.runtime.block_on(self.side_by_side(&asked))
    }

    fn step_started(&self, path: &str) {
        self.state().begun.insert(path.to_owned());
    }

    fn step_ended(&self, _path: &str, _well: bool) {}

    fn print(&self, text: &str, _place: Place) {
        let mut state = self.state();
        if !state.notes.iter().any(|known| known == text) {
            state.notes.push(text.to_owned());
        }
    }

    fn cancelled(&self) -> bool {
        self.context.cancel.is_cancelled()
    }
}
