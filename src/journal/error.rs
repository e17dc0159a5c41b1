use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use super::{lock::Holder, processes::Orphan, state::Illegal};
use crate::{
    event::{ExitClass, Failure},
    ports::files::quoted,
};

/// Why the journal cannot be read or written. Code, hint and exit class stand in `JournalError::about`, one arm
/// per variant.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("another run holds the site{}", .holder.as_deref().map(Holder::in_words).unwrap_or_default())]
    Held { holder: Option<Box<Holder>> },
    #[error("a command of an earlier run is still at work{}", list(.orphans))]
    Orphans { orphans: Vec<Orphan> },
    #[error("another run has taken over the site: nothing more is written by this one")]
    LockLost,
    #[error("the journal `{path}` has format {found}; this uplift knows format {known}")]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("`{path}` is not a journal of uplift, or it is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(
        "the journal `{path}` is an older copy: it has {} of {}, and {} of {} were noted",
        count(.commits.0, "record"), count(.takings.0, "command"), .commits.1, .takings.1
    )]
    Older {
        path: PathBuf,
        /// The notes that say so.
        marks: Vec<PathBuf>,
        /// Those that it knows of, and those that were noted.
        takings: (i64, i64),
        commits: (i64, i64),
    },
    #[error(
        "the journal `{path}` is gone: {} and {} were noted",
        count(*.commits, "record"), count(*.takings, "command")
    )]
    Gone { path: PathBuf, mark: PathBuf, takings: i64, commits: i64 },
    #[error("`{path}` belongs to user {owner}, and you are user {user}")]
    NotOwner { path: PathBuf, owner: String, user: String, sudo: String },
    #[error("`{path}` lies on a network file system (`{kind}`), where locks cannot be trusted")]
    NetworkMount { path: PathBuf, kind: String },
    #[error("`{path}` is {what}: the journal's own files and folder must lie there themselves")]
    NotOurs { path: PathBuf, what: String },
    #[error("no room in `{path}` to set aside for the journal: nothing more is begun")]
    NoRoom { path: PathBuf },
    #[error("no room left for the journal in `{path}`")]
    DiskFull { path: PathBuf },
    #[error("{what} holds a secret of the site{}", place(.pointer))]
    HoldsSecret { what: String, pointer: String },
    #[error("there is no run `{id}`")]
    NoSuchRun { id: String },
    #[error("`{id}` could mean several runs: {}", ticked(.of))]
    AmbiguousRun { id: String, of: Vec<String> },
    #[error("run `{run}` is not finished")]
    RunUnfinished { run: String },
    #[error("run `{run}` is over: it is `{state}`")]
    RunOver { run: String, state: String },
    #[error("run `{run}` cannot be recorded as `{state}`: {}", ticked(.open))]
    NotSettled { run: String, state: String, open: Vec<String> },
    #[error("`{address}` stands already in the journal of run `{run}`")]
    Repeated { run: String, address: String },
    #[error("`{address}` of run `{run}`: {illegal}")]
    Illegal { run: String, address: String, illegal: Illegal },
    #[error("cannot {what} `{path}`")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the journal cannot {what}")]
    Store { what: &'static str, source: rusqlite::Error },
}

/// What stands beside the message.
struct About {
    code: &'static str,
    exit: ExitClass,
    hint: Option<String>,
}

impl JournalError {
    /// Stable name of the reason, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.about().code
    }

    #[must_use]
    pub fn exit(&self) -> ExitClass {
        self.about().exit
    }

    /// What to type or to change.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.about().hint
    }

    fn about(&self) -> About {
        use ExitClass::{Held, Refused, Unfinished};
        let about =
            |code, exit, hint: &str| About { code, exit, hint: (!hint.is_empty()).then(|| hint.to_owned()) };
        match self {
            Self::Held { holder } => {
                let run = holder.as_ref().map(|one| one.run.clone()).filter(|run| !run.is_empty());
                let watch =
                    run.map_or("uplift status".to_owned(), |run| format!("uplift show {run} --follow"));
                about("site_held", Held, &format!("wait for it, or watch it: `{watch}`"))
            }
            Self::Orphans { orphans } => about("still_working", Held, &stop_line(orphans)),
            Self::LockLost => about("lock_lost", Unfinished, "see who works on the site: `uplift status`"),
            Self::Newer { .. } => about("journal_newer", Refused, "use the newer uplift that wrote it"),
            Self::Damaged { .. } => {
                about("journal_damaged", Refused, "keep the file for support; do not delete it")
            }
            Self::Older { marks, .. } => about("journal_older", Refused, &put_back(marks)),
            Self::Gone { mark, .. } => about("journal_gone", Refused, &bring_back(mark)),
            Self::NotOwner { sudo, .. } => about("not_owner", Refused, &format!("type `{sudo}`")),
            Self::NetworkMount { .. } => {
                about("network_mount", Refused, "name a folder on a local disk: `--state DIR`")
            }
            Self::NotOurs { .. } => {
                about("not_a_folder", Refused, "move it away, or name another folder: `--state DIR`")
            }
            Self::NoRoom { path } => about("journal_no_room", Refused, &free_line(path)),
            Self::DiskFull { path } => about("journal_disk_full", Unfinished, &free_line(path)),
            Self::HoldsSecret { .. } => about(
                "secret_in_journal",
                Refused,
                "take it out; if only a name happens to contain it, that secret is too easy: change it",
            ),
            Self::NoSuchRun { .. } => about("no_such_run", ExitClass::Invalid, "list them: `uplift history`"),
            Self::AmbiguousRun { .. } => about("ambiguous_run", ExitClass::Invalid, "type more of its name"),
            Self::RunUnfinished { run } => {
                let hint = format!("`uplift resume {run}` or `uplift rollback {run}`");
                about("run_unfinished", Unfinished, &hint)
            }
            Self::RunOver { .. } => about("run_over", Refused, "list the runs: `uplift history`"),
            Self::NotSettled { .. } => about("not_settled", Unfinished, Failure::REPORT),
            Self::Repeated { .. } => about("repeated_call", Unfinished, Failure::REPORT),
            Self::Illegal { .. } => about("illegal_move", Unfinished, Failure::REPORT),
            Self::Io { path, .. } => {
                let hint = format!(
                    "see that `{}` can be written to, or name another folder: `--state DIR`",
                    path.parent().unwrap_or(path).display()
                );
                about("journal_io", Refused, &hint)
            }
            Self::Store { .. } => about(
                "journal_store",
                Unfinished,
                "look at the disk with `dmesg`; `uplift status` says where the site stands",
            ),
        }
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::from(&error)
    }
}

impl From<&JournalError> for Failure {
    fn from(error: &JournalError) -> Self {
        let about = error.about();
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            let _ = write!(message, ": {inner}");
            source = inner.source();
        }
        let mut failure = Failure::new(about.code, message);
        failure.hint = about.hint;
        failure
    }
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") }
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn list(orphans: &[Orphan]) -> String {
    let of = orphans.iter().map(|one| format!("`{}` (process {})", one.command, one.pid)).collect::<Vec<_>>();
    if of.is_empty() { String::new() } else { format!(": {}", of.join(", ")) }
}

fn free_line(path: &Path) -> String {
    format!("free some room there: `df -h {}`", quoted(path))
}

fn stop_line(orphans: &[Orphan]) -> String {
    let pids = orphans.iter().map(|one| one.pid.to_string()).collect::<Vec<_>>().join(" ");
    if pids.is_empty() {
        "it cannot be seen from here: look for it as root, outside this container".to_owned()
    } else {
        format!("let it finish, or stop it: `kill {pids}`")
    }
}

fn count(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn bring_back(mark: &Path) -> String {
    format!(
        "put it back from a copy; if there is none, see what runs (`docker ps`) and that no run was in its middle, then type \
         `rm {}`: what the lost runs did is in no record any more",
        quoted(mark)
    )
}

fn put_back(marks: &[PathBuf]) -> String {
    let marks: Vec<_> = marks.iter().map(|mark| quoted(mark)).collect();
    format!(
        "put the newest one back; if there is none, see what runs (`docker ps`) and that no run was in its middle, then \
         type `rm {}`: what the lost runs did is in no record any more, and a run that is called unfinished then may be over",
        marks.join(" ")
    )
}
