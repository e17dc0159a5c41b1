//! All that a test can say beside the language: the engine, the checks, the page for readers and the editors' definitions
//! are made from this list.

use serde::Serialize;

/// What kind of word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WordKind {
    /// Stands alone.
    Function,
    /// Stands behind a site and a dot, with brackets.
    Call,
    /// The same without brackets: how the site is now.
    Seen,
    /// A part of what `run`, `resume` and `rollback` give.
    OfRun,
    /// A part of what `plan` gives.
    OfPlan,
}

/// One word.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TestWord {
    pub kind: WordKind,
    pub name: &'static str,
    /// How it is written, each with another number of arguments.
    pub forms: &'static [&'static str],
    pub what: &'static str,
}

impl TestWord {
    /// How many arguments it may be given.
    pub(super) fn arities(&self) -> impl Iterator<Item = usize> {
        self.forms.iter().map(|form| {
            let inside = form.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
            if inside.is_empty() { 0 } else { inside.split(", ").count() }
        })
    }
}

/// All of them, in the order in which they are told.
#[must_use]
pub fn test_words() -> &'static [TestWord] {
    WORDS
}

/// Those of one kind.
pub(in crate::script) fn of_kind(kind: WordKind) -> impl Iterator<Item = &'static TestWord> {
    WORDS.iter().filter(move |word| word.kind == kind)
}

/// Names that no function of a test file may take.
pub(in crate::script) const TAKEN: [&str; 4] = ["simulated", "expect", "expect_in", "test"];

const fn word(
    kind: WordKind,
    name: &'static str,
    forms: &'static [&'static str],
    what: &'static str,
) -> TestWord {
    TestWord { kind, name, forms, what }
}

const fn part(kind: WordKind, name: &'static str, what: &'static str) -> TestWord {
    TestWord { kind, name, forms: &[], what }
}

use WordKind::{Call, Function, OfPlan, OfRun, Seen};

const WORDS: &[TestWord] = &[
    word(
        Function,
        "simulated",
        &["simulated(site)", "simulated(site, says)"],
        "a new simulated site: a ready one by its name, or a world file by its path from the test's own folder (`\"./busy.toml\"`). \
         `says` is a map of what is said over that, by the names of a world file: maps go into maps, lists are put behind lists",
    ),
    word(
        Function,
        "expect",
        &["expect(holds)", "expect(value, wanted)"],
        "fails unless `holds` is true, or `value` is `wanted`; lists and maps are compared whole",
    ),
    word(
        Function,
        "expect_in",
        &["expect_in(part, whole)"],
        "fails unless the text has this text in it, the list this item, the map this key",
    ),
    word(
        Call,
        "plan",
        &["plan(runbook)", "plan(runbook, params)"],
        "plans a runbook, by its name or by its path from the test's own folder (`\"./upgrade.rhai\"`); `params` are what its flags are on \
         the command line, `restore_data` as `--restore-data`",
    ),
    word(
        Call,
        "run",
        &["run(runbook)", "run(runbook, params)"],
        "plans it and, where the plan is fine, runs it to its end, as `uplift run -y` does",
    ),
    word(
        Call,
        "resume",
        &["resume()", "resume(answer)"],
        "goes on with the unfinished run; `answer` is a word for `--outcome` or `--choose`",
    ),
    word(
        Call,
        "rollback",
        &["rollback()", "rollback(given)"],
        "takes the unfinished run back, `given` e.g. `#{ choose: \"restore-data\" }`; else returns from the last upgrade, `given` as \
         for `compose/rollback`: `#{ restore_data: \"always\", jobs: \"hold\" }`",
    ),
    word(
        Call,
        "fault",
        &["fault(at, how)"],
        "the next change whose line in `site.log` begins with `at` goes wrong; `how` is `\"fail_before\"`, `\"fail_after\"`, \
         `\"timeout_after\"`, `\"no_room\"`, `\"stops_server\"`, `\"loses_lock\"`, `\"lose\"`, or the process ends there: `\"kill_before\"`, \
         `\"kill_after\"`. A test in which that never came fails",
    ),
    word(
        Call,
        "put",
        &["put(path, text)"],
        "puts a file on the host; a path that does not begin with `/` is one from the site's folder",
    ),
    word(Call, "remove", &["remove(path)"], "removes a file, or a folder with all in it"),
    word(Call, "file", &["file(path)"], "the text of a file, `()` where there is none"),
    word(
        Call,
        "variable",
        &["variable(name, value)"],
        "a variable of the environment that uplift is started with there, for secrets by `env:NAME`. Those of your own shell are never seen",
    ),
    word(Call, "wait", &["wait(time)"], "lets time pass there, e.g. `\"10m\"`: users go on writing"),
    part(Seen, "version", "the tag that web runs now; `()` where it does not run"),
    part(Seen, "services", "by name, each with `running`, `version` (tag), `restart` (policy)"),
    part(
        Seen,
        "databases",
        "by name, each with `migrations` (versions; `()` where it has none), `rows` (by table), `open` (lets sessions in)",
    ),
    part(Seen, "backups", "names of the backups that runs have made and verified, newest first"),
    part(
        Seen,
        "started",
        "commands of the programs that were started there, in order: `\"/usr/local/bin/haproxyctl drain web\"`",
    ),
    part(
        Seen,
        "asked",
        "requests to services elsewhere, in order, each with `request` (`\"POST https://lb.internal/drain\"`), `headers`, `bearer` (where its token is from), `body`",
    ),
    part(
        Seen,
        "notices",
        "what the site's `[notify]` command was told, in order, each as the JSON of the notice",
    ),
    part(Seen, "posted", "lines that were posted to chats, by `[notify]` or by `notify`, in order"),
    part(Seen, "log", "lines of all changes so far, for `fault`"),
    part(Seen, "unfinished", "the run that is not over; `()` where there is none"),
    part(Seen, "lost_orders", "orders of users that were acknowledged and are not in the database"),
    part(
        OfRun,
        "ending",
        "`done`, `nothing_needed`, `refused`, `taken_back`, `rolled_back`, `needs_person`, `stuck`, `unfinished`, `interrupted`, `closed`; \
         `killed` where a fault has ended the process",
    ),
    part(OfRun, "code", "the exit code of the command line"),
    part(OfRun, "run", "its name; `()` where none was begun"),
    part(OfRun, "reason", "the stable code of why it failed; `()` where it did not"),
    part(OfRun, "message", "why it failed, or why nothing was needed, in words"),
    part(OfRun, "hint", "what to do about that"),
    part(OfRun, "at", "the call that failed, by its address"),
    part(
        OfRun,
        "did",
        "addresses of the calls that came to a good end, in order: `\"switch web/compose_up#1\"`",
    ),
    part(OfRun, "undone", "addresses of those that were taken back, in the order in which they were"),
    part(OfRun, "left", "what was left as it is when it was taken back, a sentence each"),
    part(OfRun, "notes", "what it has told on its way, `print` included"),
    part(OfRun, "warnings", "what it has warned of"),
    part(OfRun, "question", "what a person is asked; `()` where nobody is"),
    part(OfRun, "choices", "the answers that there are, by their words"),
    part(OfRun, "away", "by service, for how many seconds it was away"),
    part(OfPlan, "steps", "names of its steps, in order"),
    part(
        OfPlan,
        "calls",
        "addresses of its calls, in order; a hook's stand under `STEP/before`, `STEP/after`",
    ),
    part(
        OfPlan,
        "changes",
        "what it would change, in order, each with `address`, `change` (`file`, `service_down`, `program`, ... as in `-o json`), what \
         that has, and `shell`",
    ),
    part(OfPlan, "downtime", "by service, for how many seconds it is expected to be away"),
    part(OfPlan, "complete", "whether it came to the runbook's end"),
    part(OfPlan, "nothing_needed", "whether the site is as it should be already"),
    part(OfPlan, "reason", "the stable code of why it would be refused; `()` where it would not"),
    part(OfPlan, "message", "why it would be refused, or is not complete, in words"),
    part(OfPlan, "hint", "what to do about that"),
    part(OfPlan, "at", "the call that would be refused, by its address"),
    part(
        OfPlan,
        "own",
        "what of it is not as it ships, a sentence each: hooks, and files of the site or a bundle",
    ),
    part(OfPlan, "notes", "what the runbook would tell"),
    part(OfPlan, "warnings", "what it warns of"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_say_how_many_arguments_there_are() {
        let found = |name: &str| {
            let word = WORDS.iter().find(|word| word.name == name).unwrap();
            word.arities().collect::<Vec<_>>()
        };
        assert_eq!(found("simulated"), [1, 2]);
        assert_eq!(found("resume"), [0, 1]);
        assert_eq!(found("put"), [2]);
    }

    #[test]
    fn no_name_stands_twice_in_a_kind() {
        for (at, word) in WORDS.iter().enumerate() {
            let twice = WORDS[..at].iter().any(|other| (other.kind, other.name) == (word.kind, word.name));
            assert!(!twice, "{}", word.name);
            assert!(matches!(word.kind, Call | Function) != word.forms.is_empty(), "{}", word.name);
        }
    }
}
