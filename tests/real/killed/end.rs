//! Ending a run that was killed.

use std::time::Duration;

use super::super::{Field, screen::Screen};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Resume,
    Rollback,
}

impl Way {
    /// One and the other by turns, such that both meet points before a commit and after one.
    pub(super) fn by_turns(number: usize) -> Self {
        if (number / 2 + number).is_multiple_of(2) { Self::Resume } else { Self::Rollback }
    }

    pub(super) fn words(self, run: &str) -> String {
        match self {
            Self::Resume => format!("resume {run} -y"),
            Self::Rollback => format!("rollback {run} -y"),
        }
    }
}

/// Types the command until no child of the killed run is at work any more.
pub(super) fn end_it(field: &Field, way: Way, run: &str) -> Screen {
    until_free(field, &way.words(run))
}

fn until_free(field: &Field, words: &str) -> Screen {
    for _ in 0..60 {
        let screen = field.uplift(words);
        if screen.exit() != Some(5) {
            return screen;
        }
        let _named = screen.shows(&["process"]);
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("a child of the killed run does not end");
}

/// How a run was ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// A person had to say that the data goes back.
    pub(super) data_by_word: bool,
    pub(super) last: Screen,
}

/// Types what a person would: the command of their choice, and then what the screen says. `mend` does away with what a
/// screen names, if it can.
pub(super) fn as_told(field: &Field, way: Way, run: &str, mend: &mut dyn FnMut(&Screen) -> bool) -> Ended {
    let mut screen = end_it(field, way, run);
    if mend(&screen) {
        screen = end_it(field, Way::Rollback, run);
    }
    if way == Way::Resume && screen.exit() == Some(2) {
        let _why = screen.clone().shows(&["is being taken back", "`uplift rollback`"]);
        screen = end_it(field, Way::Rollback, run);
    }
    if screen.exit() != Some(7) {
        return Ended { data_by_word: false, last: screen };
    }
    let shown = screen.shows(&["uplift rollback", "--choose restore-data"]);
    let told = field.uplift("status").ends(7).shows(&[run]);
    drop((shown, told));
    let words = format!("rollback {run} --choose restore-data --reason tested -y");
    let mut last = until_free(field, &words);
    if mend(&last) {
        last = end_it(field, Way::Rollback, run);
    }
    Ended { data_by_word: true, last }
}
