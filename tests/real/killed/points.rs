//! The commits of a journal, at which a run can be killed exactly.

use std::{fs, path::Path};

use super::super::{Field, every, preload};
use crate::lab::Shell;

fn before(number: usize) -> String {
    format!("before:{number}")
}

fn after(number: usize) -> String {
    format!("after:{number}")
}

/// Right before and right after each of `commits` commits; of these only `sample`, spread over the run and as often
/// before a commit as after one, unless every one is wanted.
pub(super) fn of(commits: usize, sample: usize) -> Vec<String> {
    spread(commits, sample, |at| 1 + at * (commits - 2) / (sample - 1))
}

/// The same, but the few lie in the middle, where data is moved.
pub(super) fn amid(commits: usize, sample: usize) -> Vec<String> {
    spread(commits, sample, |at| commits * (at + 1) / (sample + 1))
}

fn spread(commits: usize, sample: usize, number: impl Fn(usize) -> usize) -> Vec<String> {
    if every() {
        return (1..=commits).flat_map(|number| [before(number), after(number)]).collect();
    }
    (0..sample).map(|at| if at % 2 == 0 { before(number(at)) } else { after(number(at)) }).collect()
}

/// Whether it is one of the last commits of a run: one during which the log is begun anew syncs once more than another.
pub(super) fn is_last(point: &str, commits: usize) -> bool {
    let number: usize = point.split(':').next_back().and_then(|number| number.parse().ok()).unwrap_or(0);
    number + 1 >= commits
}

pub(super) fn preloaded(field: &Field, words: &str) -> Shell {
    field.shell(words).env("LD_PRELOAD", preload::library().display().to_string())
}

/// The command, killed at this commit of its journal.
pub(super) fn killed(field: &Field, words: &str, point: &str) -> Shell {
    preloaded(field, words).env("UPLIFT_TEST_KILL", point)
}

/// Runs a command that nobody disturbs and that ends with `exit`, and counts how often the journal is synced.
pub(super) fn count(field: &Field, words: &str, exit: i32) -> usize {
    let file = field.dir().with_extension("commits");
    let shell = preloaded(field, words).env("UPLIFT_TEST_COUNT", file.display().to_string());
    let _screen = field.run(&shell, words).ends(exit);
    read_and_remove(&file)
}

fn read_and_remove(file: &Path) -> usize {
    let count = fs::read_to_string(file).unwrap().parse().unwrap();
    fs::remove_file(file).unwrap();
    count
}
