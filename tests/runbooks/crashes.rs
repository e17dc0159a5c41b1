//! The crash table: a process that dies at any commit of its journal, and before and after any of its effects, with the
//! power of the machine or without. For each rule of what to do when nobody knows (`Repeat`, `Probe`, `Ask`) it is counted in
//! the world how often an effect was done: at most once, and exactly once unless a person was asked. What may be repeated
//! comes to the same end.
//!
//! | row | dies | here |
//! |---|---|---|
//! | C0 | before the run is recorded | syncs of a run, the first of them |
//! | C1 | after that, before the first intent | `intend` |
//! | C2 | while an intent is committed | each sync, `during` |
//! | C3 | before the effect | `execute` |
//! | C5 | the power fails | what was synced is left, another boot |
//! | C6 | after the effect, before its outcome | `executed` |
//! | C7 | while an outcome is committed | each sync, `during` |
//! | C8 | after that | each sync, `after` |
//! | C9 | in the pause before another attempt | the second stamp is flaky |
//! | C11 | while it is found out what happened | `probe`, and each sync of a resumption |
//! | C12 | when an undo is recorded | `undo`, and each sync of a way back |
//! | C13 | after the undo, before that is recorded | `undone` |
//!
//! C4 (a command outlives its run) and C14 (a lock that was taken over), C15 (a full disk) and C16 (an older journal) are in
//! `tests/journal`, C17 (an edited runbook) in `pinned.rs`. C10 waits for approvals.

mod machine;
mod stamp;

use machine::{Death, Machine, part, plays};
use stamp::{ASK, PROBE, REPEAT, done};
use uplift::{Ending, HostError};

/// Points of the way back, and the step whose effect is at work there. All of it is rehearsed on a twin first: the third
/// undo of a process is the first that is real.
const BACK: [(&str, &str); 4] =
    [("undo:3", "second"), ("undone:3", "second"), ("undo:4", "first"), ("undone:4", "first")];

/// A class with the test that tries it.
#[derive(Clone, Copy)]
struct Table {
    class: u8,
    test: &'static str,
}

impl Table {
    /// All deaths, each with and without the power of the machine.
    fn try_all(self) {
        if let Some((part, folder)) = part() {
            return plays(&part, &folder);
        }
        let fresh = Machine::new(self.class);
        // Both effects are done, and nobody has written down that the second one is.
        let open = fresh.copy();
        open.dies(self.test, "run", &Death::Point("executed:2".to_owned()));
        let mut tried = 0;
        for (base, part, points) in [
            (
                &fresh,
                "run",
                &["intend:1", "intend:2", "execute:1", "executed:1", "execute:3", "executed:2"][..],
            ),
            (&open, "resume", &["probe:1"]),
            (&open, "rollback", &BACK.map(|(point, _)| point)),
        ] {
            let points: Vec<_> = points.iter().map(|point| Death::Point((*point).to_owned())).collect();
            // Without a need to ask the world nothing is asked.
            let points = if part == "resume" && self.class == REPEAT { Vec::new() } else { points };
            let syncs = base.copy().syncs(self.test, part);
            assert!(syncs > 3, "{part}: {syncs} syncs");
            let when = |n| ["during", "after"].map(|when| Death::Sync(format!("{when}:{n}")));
            for death in (1..=syncs).flat_map(when).chain(points) {
                tried += self.dies(base, part, &death);
            }
        }
        println!("{}: {tried} ends of {} deaths", self.test, tried / 2);
        assert!(tried >= 80, "only {tried}");
    }

    /// One death, then all ways on. Gives how many were tried.
    fn dies(self, base: &Machine, part: &str, death: &Death) -> usize {
        let machine = base.copy();
        machine.dies(self.test, part, death);
        Self::is_undoing(&machine, death);
        let mut tried = 0;
        for power in Self::powers(death) {
            if *power == Power::Fails {
                machine.loses_power();
            }
            let when = format!("{part}, {death:?}, power {power:?}");
            self.ends(&machine.copy(), "resume", &when);
            self.ends(&machine.copy(), "rollback", &when);
            tried += 2;
        }
        tried
    }

    /// A death at a point of the way back is one of the real way back: the journal has begun an undo, and the world is as
    /// before that, or as after it.
    fn is_undoing(machine: &Machine, death: &Death) {
        let Death::Point(point) = death else { return };
        let Some((_, step)) = BACK.iter().find(|(one, _)| one == point) else { return };
        let undoing = machine.undoing().unwrap_or_else(|| panic!("{point}: no undo stands in the journal"));
        assert!(undoing.starts_with(step), "{point}: {undoing}");
        let (world, is_before) = (machine.world(), point.starts_with("undo:"));
        let is_there = ["a", "b"].map(|name| done(&world, name).1);
        let wanted = if *step == "second" { [true, is_before] } else { [is_before, false] };
        assert_eq!(is_there, wanted, "{point}");
    }

    /// A kill in the middle of a sync leaves what the kill after it leaves: only the power makes a difference there.
    fn powers(death: &Death) -> &'static [Power] {
        match death {
            Death::Sync(when) if when.starts_with("during") => &[Power::Fails],
            Death::Sync(_) => &[Power::Stays],
            Death::Point(_) => &[Power::Stays, Power::Fails],
        }
    }

    fn ends(self, machine: &Machine, way: &str, when: &str) {
        let Some(row) = machine.open_run() else {
            // Not yet begun, or over.
            let goes_back = when.starts_with("rollback");
            for name in ["a", "b"] {
                let (times, there) = done(&machine.world(), name);
                assert!(times == 0 || machine.knows_a_run(), "{when}: nobody knows who did `{name}`");
                self.counts(times, false, &format!("{when}: `{name}` was done {times} times"));
                assert!(goes_back || there == (times > 0), "{when}: `{name}`");
            }
            return;
        };
        assert!(row.interrupted || row.ending.is_some(), "{when}: {row:?}");
        let mut asked = 0;
        // From its first undo on it goes back, and nowhere else.
        let goes_back = machine.has_begun_to_go_back();
        let ending = match machine.plays(way, None) {
            Err(HostError::Invalid(failure)) if failure.code == "being_taken_back" => {
                assert!(way == "resume" && goes_back, "{when}, {way}");
                return;
            }
            Ok(ending) if way == "resume" && goes_back => panic!("{when}: it went on: {ending:?}"),
            ending => ending.unwrap_or_else(|error| panic!("{when}, {way}: {:?}", error.failure())),
        };
        let ending = self.answered(machine, ending, &mut asked, when);
        let forwards = way == "resume";
        match (forwards, &ending) {
            (true, Ending::Done) | (false, Ending::RolledBack { .. }) => {}
            _ => panic!("{when}, {way}: {ending:?}"),
        }
        for name in ["a", "b"] {
            let (times, there) = done(&machine.world(), name);
            assert_eq!(there, forwards, "{when}, {way}: `{name}`");
            self.counts(times, forwards, &format!("{when}, {way}: `{name}` was done {times} times"));
        }
        assert!(asked == 0 || self.class == ASK, "{when}, {way}: a person was asked");
    }

    /// Once, where it is not the same to do it again.
    fn counts(self, times: usize, must: bool, what: &str) {
        assert!(times >= usize::from(must), "{what}");
        assert!(times <= 1 || self.class == REPEAT, "{what}");
    }

    /// A person looks, and says what is true.
    fn answered(self, machine: &Machine, mut ending: Ending, asked: &mut usize, when: &str) -> Ending {
        while let Some(question) = ending.question().cloned() {
            *asked += 1;
            assert!(*asked < 4, "{when}: it asks for ever: {question:?}");
            let name = if question.address.starts_with("first") { "a" } else { "b" };
            let (times, there) = done(&machine.world(), name);
            self.counts(
                times,
                false,
                &format!("{when}: `{name}` was done {times} times before anybody was asked"),
            );
            let word = if there { "applied" } else { "not-applied" };
            let told = machine.plays("resume", Some(word));
            ending = told.unwrap_or_else(|error| panic!("{when}, {word}: {:?}", error.failure()));
        }
        ending
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Stays,
    Fails,
}

#[test]
fn what_may_be_repeated_comes_to_its_end() {
    Table { class: REPEAT, test: "what_may_be_repeated_comes_to_its_end" }.try_all();
}

#[test]
fn what_can_be_looked_for_is_done_exactly_once() {
    Table { class: PROBE, test: "what_can_be_looked_for_is_done_exactly_once" }.try_all();
}

#[test]
fn what_nobody_can_see_is_done_once_or_asked_about() {
    Table { class: ASK, test: "what_nobody_can_see_is_done_once_or_asked_about" }.try_all();
}
