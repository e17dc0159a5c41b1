//! Where a run may end: as before, done, or with a question that can be answered to an end.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use uplift::{Ending, event::Question, primitives::contract::FORWARD};

use super::{
    super::night::Night,
    judge::Judge,
    seen::{Snap, open_run},
    trial::{Data, Stand, Trial},
};

/// What a person has said on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    /// What was written since may be put aside.
    pub(super) data: bool,
    /// The data stays as it is.
    pub(super) code: bool,
    /// Users were in, and the data goes back: uploaded files that have come meanwhile stay.
    pub(super) said: bool,
}

/// Who judges the ends of one run.
#[derive(Clone, Copy)]
pub(super) struct Ends<'t> {
    pub(super) trial: &'t Trial<'t>,
    pub(super) judge: &'t Arc<Judge>,
    pub(super) word: Word,
    pub(super) depth: usize,
}

/// More questions one after the other than any run has.
const DEEPEST: usize = 5;

type Words = Result<String, String>;

impl<'t> Ends<'t> {
    /// In a few words, how it ended in the end; an error if it may not end so.
    pub(super) fn told<'f>(self, night: &'f Night, ending: Ending) -> BoxFuture<'f, Words>
    where
        't: 'f,
    {
        async move {
            let runs = night.runs();
            let over = match &ending {
                Ending::Done => self.is_there(night, "done"),
                Ending::NothingNeeded { .. } => self.is_back(night, "nothing needed"),
                Ending::Refused { failure } => self.is_back(night, &format!("refused ({})", failure.code)),
                Ending::TakenBack { .. } => self.is_back(night, "taken back"),
                Ending::RolledBack { .. } => self.is_back(night, "as before"),
                Ending::Interrupted => Err("nobody has interrupted it".to_owned()),
                Ending::Closed { .. } => Ok("left so".to_owned()),
                Ending::NeedsPerson { .. } | Ending::Stuck { .. } | Ending::Unfinished { .. } => {
                    return self.stands(night, &ending).await;
                }
            }?;
            if let Some((open, _)) = open_run(night) {
                return Err(format!("it ends with {over}, and run {} is open", open.id));
            }
            self.no_order_is_lost(night)?;
            self.judge.lawful(night)?;
            Ok(format!("{over} [{}]", runs.trim_end()))
        }
        .boxed()
    }

    /// The door stayed shut: nothing has happened.
    pub(super) fn shut(self, night: &Night, code: &str) -> Words {
        if let Some((open, _)) = open_run(night) {
            return Err(format!("it did not begin ({code}), and run {} is open", open.id));
        }
        let words = self.is_back(night, &format!("not begun ({code})"))?;
        self.judge.lawful(night)?;
        Ok(words)
    }

    fn data(&self) -> Data {
        match (self.word.code, self.trial.is_busy) {
            (true, _) => Data::Any,
            (false, true) => Data::Written,
            (false, false) => Data::Exact,
        }
    }

    fn is_there(&self, night: &Night, words: &str) -> Words {
        let now = Stand::of(night);
        if now.is(&self.trial.after, self.data()) {
            return Ok(words.to_owned());
        }
        Err(format!("{words}, and not as where nothing goes wrong: {}", now.beside(&self.trial.after)))
    }

    fn is_back(&self, night: &Night, words: &str) -> Words {
        let mut now = Stand::of(night);
        if self.word.said {
            now.leave_out_uploads_beside(&self.trial.before);
        }
        if now.is(&self.trial.before, self.data()) {
            return Ok(words.to_owned());
        }
        Err(format!("{words}, and not as before: {}", now.beside(&self.trial.before)))
    }

    fn no_order_is_lost(&self, night: &Night) -> Result<(), String> {
        let lost = night.world.lost_orders();
        if lost <= self.trial.lost || self.word.data {
            return Ok(());
        }
        Err(format!("{lost} acknowledged orders are lost, and nobody has said so"))
    }

    /// It stands still: each way on is gone to its end.
    async fn stands(self, night: &Night, ending: &Ending) -> Words {
        let (row, goes_back) = open_run(night).ok_or("it stands still, and no run is open")?;
        if row.ending.as_ref() != Some(ending) {
            return Err(format!("it stands still, and the journal says {:?}", row.ending));
        }
        if self.depth > DEEPEST {
            return Err(format!("it never ends: {ending:?}"));
        }
        let question = ending.question();
        let mut ways = ways(question, goes_back);
        if self.depth > 0 {
            // Where one question follows another all answers were tried to the first.
            ways.truncate(1);
        }
        let snap = Snap::of(night);
        let mut words = Vec::new();
        for way in ways {
            let night = snap.lay(night);
            let judge = self.trial.watched(&night);
            let told = match (way.forwards, way.choice.as_deref()) {
                (true, choice) => night.try_resume(choice).await,
                (false, choice) => night.try_rollback(choice).await,
            };
            let told = told.map_err(|error| format!("`{}` is refused: {}", way.words(), error.failure()))?;
            let word = self.word.after(&way, self.trial.has_word());
            let ends = Ends { judge: &judge, word, depth: self.depth + 1, ..self };
            let end = ends.told(&night, told.ending).await;
            words.push(format!(
                "{}: {}",
                way.words(),
                end.map_err(|why| format!("after `{}`: {why}", way.words()))?
            ));
        }
        self.judge.lawful(night)?;
        let kind = match ending {
            Ending::Stuck { failure, .. } => format!("stuck ({})", failure.code),
            Ending::NeedsPerson { .. } => "asks".to_owned(),
            _ => "stands still".to_owned(),
        };
        Ok(format!("{kind} {{{}}}", words.join("; ")))
    }
}

/// One way to go on.
struct Way {
    forwards: bool,
    choice: Option<String>,
}

impl Way {
    fn words(&self) -> String {
        let verb = if self.forwards { "resume" } else { "rollback" };
        self.choice.as_ref().map_or(verb.to_owned(), Clone::clone)
    }
}

impl Word {
    /// `beforehand`: it was said with the command that what was written since may be put aside. That is about what is done, not
    /// about the way back.
    fn after(self, way: &Way, beforehand: bool) -> Self {
        let said = |word: &str| way.choice.as_deref() == Some(word);
        Self {
            data: (beforehand && (way.forwards || said("stay"))) || said("restore-data"),
            code: self.code || said("return-code"),
            said: self.said || said("restore-data"),
        }
    }
}

fn ways(question: Option<&Question>, goes_back: bool) -> Vec<Way> {
    let Some(question) = question else {
        let ways = [true, false].map(|forwards| Way { forwards, choice: None });
        return ways.into_iter().filter(|way| !(way.forwards && goes_back)).collect();
    };
    let choices = question.choices.iter().map(|choice| choice.key.clone());
    let way = |key: String| {
        assert!(!FORWARD.contains(&key.as_str()), "no stock primitive asks what became of it: {question:?}");
        Way { forwards: question.flag.is_some(), choice: Some(key) }
    };
    choices.map(way).collect()
}
