use std::future::Future;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Record, from_value};
use crate::{
    event::{Failure, Question, Refusal},
    ports::{Observe, Operate},
};

/// What to do with an effect that began and has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// Doing it again with the same intent gives the same end.
    Repeat,
    /// The world tells whether it happened.
    Probe,
    /// Only a person can tell.
    Ask,
}

impl WhenUnknown {
    /// As the journal holds it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Probe => "probe",
            Self::Ask => "ask",
        }
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Found<O> {
    Applied(O),
    /// Provably nothing of it is there: its preconditions are checked again before it is tried again.
    NotApplied,
    /// Some of it is there; executing the same intent again completes it.
    Partial(String),
    CannotTell(String),
}

/// What a person chose for one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The key of the [`crate::event::Choice`].
    pub choice: String,
    pub reason: String,
    /// Who decided: user and host.
    pub by: String,
}

/// What is known of the run when one of its effects is taken back, besides the effect's own intent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Back<'a> {
    /// A person's choice, where this effect has asked for one.
    pub decision: Option<Decision>,
    /// What the run began after it, in the order of the journal, taken back meanwhile or not: whether users could
    /// reach the new release shows here.
    pub later: &'a [Later],
}

/// An effect that a run began after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Later {
    pub verb: String,
    pub address: String,
    /// It only added something beside the site.
    pub adds_only: bool,
    /// `None` if it has none: it failed, or nobody knows.
    pub outcome: Option<Value>,
    /// What a person has chosen for its way back.
    pub choice: Option<String>,
}

/// Answers to "was this done or not?": about the way forward, and never a choice for the way back.
pub const FORWARD: [&str; 3] = ["applied", "not-applied", "retry"];

/// What came of taking an effect back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undone", rename_all = "snake_case")]
pub enum Undone {
    /// The running site is as it was before the effect.
    Restored {
        what: String,
        /// Except for this, because a person chose so, or because it cannot come back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
    },
    /// Nothing had to be done, and why: a sentence that a reviewer can disagree with.
    Nothing { why: String },
    /// Nothing was done: a person must choose first.
    NeedsPerson { question: Question },
}

/// What stays as an effect has made it: a person may choose so, or nothing can bring it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// The migrations that the new release has applied.
    Schema,
    /// Somebody's edit of the env file.
    Settings,
    /// What was removed beside the running site.
    Removed,
    /// Uploaded files of before that did not come back, or of which that cannot be told.
    Uploads,
    /// What programs have done that nothing takes back.
    Programs,
    /// The same of services elsewhere.
    Elsewhere,
    /// Somebody's edit of a file that the run had put in its place.
    Files,
}

impl Undone {
    /// Everything is as it was.
    pub fn restored(what: impl Into<String>) -> Self {
        Self::Restored { what: what.into(), left: Vec::new() }
    }

    pub fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing { why: why.into() }
    }
}

/// One effect. The implementing struct is the options; a value of it is one call.
///
/// Its doc comments are its documentation: reference, definitions and checker read them through `JsonSchema`. The
/// first line of the struct's says what it does.
///
/// The laws that every effect keeps, proved by machine: planning writes nothing; executing twice equals once; undo
/// restores the running site whether `execute` finished, stopped half way or never began.
///
/// ```
/// use std::path::PathBuf;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use uplift::{
///     Back, Catalogue, Effect, Failure, Found, Observe, Operate, Refusal, Undone, WhenUnknown,
///     ports::files::{MakeFolder, Remove},
/// };
///
/// /// Make a folder for exports in the site folder.
/// ///
/// /// Undo: it is removed, unless it was there before.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct ExportFolder {
///     /// Its name.
///     name: String,
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Intent {
///     path: PathBuf,
///     was_there: bool,
/// }
///
/// impl Effect for ExportFolder {
///     const NAME: &'static str = "export_folder";
///     type Intent = Intent;
///     type Outcome = ();
///
///     fn example() -> Self {
///         Self { name: "exports".to_owned() }
///     }
///     fn when_unknown(&self) -> WhenUnknown {
///         WhenUnknown::Repeat
///     }
///     async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
///         let path = site.site.project.dir.join(&self.name);
///         let was_there = site.files.lies(&path).await?.is_some();
///         Ok(Intent { path, was_there })
///     }
///     fn summary(intent: &Intent) -> String {
///         format!("make `{}`", intent.path.display())
///     }
///     fn result((): &()) -> String {
///         "made".to_owned()
///     }
///     fn undo_summary(intent: &Intent) -> String {
///         let what = if intent.was_there { "leaves" } else { "removes" };
///         format!("{what} `{}`", intent.path.display())
///     }
///     async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<()>, Failure> {
///         let there = site.files.lies(&intent.path).await?.is_some();
///         Ok(if there { Found::Applied(()) } else { Found::NotApplied })
///     }
///     async fn execute(intent: &Intent, site: Operate<'_>) -> Result<(), Failure> {
///         let (path, what) = (intent.path.clone(), "folder for exports".to_owned());
///         site.files.make_folder(&MakeFolder { path, what }).await
///     }
///     async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
///         if intent.was_there {
///             return Ok(Undone::nothing("the folder was there before"));
///         }
///         let (path, what) = (intent.path.clone(), "folder for exports".to_owned());
///         site.files.remove(&Remove { path, what }).await?;
///         Ok(Undone::restored(Self::undo_summary(intent)))
///     }
/// }
///
/// let catalogue = Catalogue::stock().effect::<ExportFolder>();
/// let verb = catalogue.get("export_folder").unwrap();
/// assert!(verb.parse(verb.example.clone()).is_ok());
/// let misspelt = verb.parse(serde_json::json!({ "nane": "exports" }));
/// assert!(misspelt.is_err_and(|failure| failure.hint.unwrap().contains("did you mean `name`?")));
/// ```
pub trait Effect: Record {
    const NAME: &'static str;
    const VERSION: u32 = 1;
    /// It only adds something beside the site (a backup, an image): containers, configuration and databases stay
    /// as they are. A run that did nothing else has changed nothing.
    const ADDS_ONLY: bool = false;
    /// What it does to the databases goes back by the `pg_savepoint` before it, not by its own undo. A run that has none
    /// finds the difference when it compares, and says so.
    const MOVES_DATA: bool = false;
    /// Neither doing it nor taking it back touches the product's databases, or starts a release that would. Where
    /// their server is down, such an effect may be finished or taken back without the lock that is kept there.
    const LEAVES_DATA: bool = false;

    /// Names of the outcome's fields that a plan only estimates. It ends where a script looks into one, and says so: what
    /// branches by a figure that is not there yet would be planned wrongly.
    const ESTIMATED: &'static [&'static str] = &[];
    /// Decided by reading, committed to the journal before the first write. Holds all that `execute`, `probe` and
    /// `undo` need: from then on there are no options, so that a newer binary can take an older run back.
    type Intent: Record;
    /// Learned by writing, committed after the last write; what the script gets.
    type Outcome: Record;

    /// One call as the reference page shows it and the laws try it.
    fn example() -> Self;

    fn when_unknown(&self) -> WhenUnknown;

    /// The preconditions live here: what can be refused is refused before anything is touched.
    fn intend(&self, site: Observe<'_>) -> impl Future<Output = Result<Self::Intent, Refusal>> + Send;

    /// In a few words, for the screen: what it is about to do.
    fn summary(intent: &Self::Intent) -> String;

    /// What was done, in a few words with its figures, for the screen.
    fn result(outcome: &Self::Outcome) -> String;

    /// What taking it back would do, in a sentence, for the plan.
    fn undo_summary(intent: &Self::Intent) -> String;

    /// Whether this call only adds something, or nothing at all: [`Effect::ADDS_ONLY`], where that is not for each call to say.
    fn only_adds(_intent: &Self::Intent) -> bool {
        Self::ADDS_ONLY
    }

    /// What a script gets where a person, and nothing else, says that it was done. Without it that is `()`.
    fn unheard(_intent: &Self::Intent) -> Option<Self::Outcome> {
        None
    }

    /// Reads an intent that `version` of this primitive wrote.
    fn read_intent(version: u32, value: Value) -> Result<Self::Intent, Failure> {
        if version == Self::VERSION { from_value(value) } else { Err(unknown_version::<Self>(version)) }
    }

    fn probe(
        intent: &Self::Intent,
        site: Observe<'_>,
    ) -> impl Future<Output = Result<Found<Self::Outcome>, Failure>> + Send;

    fn execute(
        intent: &Self::Intent,
        site: Operate<'_>,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send;

    fn undo(
        intent: &Self::Intent,
        back: &Back<'_>,
        site: Operate<'_>,
    ) -> impl Future<Output = Result<Undone, Failure>> + Send;
}

/// What [`Effect::read_intent`] says of a version that it does not know, a later one above all.
#[must_use]
pub fn unknown_version<E: Effect>(version: u32) -> Failure {
    let text = format!("`{}` cannot read what its version {version} wrote", E::NAME);
    Failure::new("intent_version", text).hint("use the uplift that began the run")
}

/// One look at the site, which changes nothing. Its answer is journalled, because the script's path depends on it.
pub trait Read: Record {
    const NAME: &'static str;
    const VERSION: u32 = 1;
    /// It says whether the run may begin: where one that was interrupted goes on and has changed nothing yet, it is looked at
    /// again, because what was so then need not be so now. The script keeps the answer of then.
    const ADMITS: bool = false;
    type Outcome: Record;

    fn example() -> Self;

    /// In a few words, for the screen: what is looked at.
    fn summary(&self) -> String;

    /// The outcome in a few words, for the screen.
    fn result(outcome: &Self::Outcome) -> String;

    /// A failure with a [`crate::event::Question`] lets the run stand still until a person has chosen.
    fn look(&self, site: Observe<'_>) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send;

    /// The outcome that a person's choice makes, where `look` has asked for one.
    fn decided(&self, _decision: &Decision) -> Option<Self::Outcome> {
        None
    }
}
