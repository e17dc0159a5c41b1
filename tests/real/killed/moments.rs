//! Runs killed at random moments while a client writes all the time.
//!
//! `UPLIFT_TEST_SEED` gives the moments of an earlier test again, as far as two runs are alike.

use std::{fmt::Write as _, time::Duration};

use super::{
    super::{Field, every, told},
    end::Way,
    judge::Scene,
    phases,
    record::{last_run, reached},
    walk::{Flow, Walk, tried},
};
use crate::lab::Started;

/// How many moments the ordinary test takes, and the long one.
const FEW: usize = 2;
const MANY: usize = 50;

/// From when on, and within how many milliseconds.
#[derive(Debug, Clone, Copy)]
enum Aim {
    /// From the start of the command.
    Anywhere(u64),
    /// From the event that holds these two words: in the middle of what matters, which is short.
    After(&'static str, &'static str, u64),
}

const AIMS: [(Flow, Aim); 12] = [
    (Flow::Upgrade, Aim::After("call_started", "migrate in the dark/compose_trial#1", 4000)),
    (Flow::Returns, Aim::After("call_started", "let the data return/pg_return#1", 500)),
    (Flow::Upgrade, Aim::After("call_started", "migrate in the dark/pg_savepoint#1", 1500)),
    (Flow::Upgrade, Aim::Anywhere(12_000)),
    (Flow::Returns, Aim::Anywhere(9_000)),
    (Flow::Fails, Aim::After("undone", "migrate in the dark/compose_trial#1", 500)),
    (Flow::Fails, Aim::After("call_started", "migrate in the dark/compose_trial#1", 3000)),
    (Flow::Upgrade, Aim::Anywhere(12_000)),
    (Flow::Restores, Aim::After("call_started", "take the places/pg_swap#1", 500)),
    (Flow::Fails, Aim::Anywhere(12_000)),
    (Flow::Upgrade, Aim::After("call_started", "switch web/compose_up#1", 3000)),
    (Flow::Restores, Aim::Anywhere(14_000)),
];

#[test]
fn a_run_killed_at_any_moment_while_users_write_loses_nothing() {
    let count = if every() { MANY } else { FEW };
    let seed = std::env::var("UPLIFT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| phases::now().to_bits());
    eprintln!("seed {seed}");
    let mut dice = Dice(seed | 1);
    let mut walk = begin();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for number in 0..count {
        let (flow, aim) = AIMS[number % AIMS.len()];
        let way = if dice.below(2) == 0 { Way::Resume } else { Way::Rollback };
        let shot = Shot { flow, aim, way, after: dice.below(aim.within()), again: dice.below(5_000) };
        match tried(&mut walk, begin, |walk| shot.at(walk, number)) {
            Ok(line) => {
                eprintln!("{line}");
                writeln!(table, "{line}").unwrap();
            }
            Err(text) => wrong.push(format!("{number} {shot:?}: {text}")),
        }
    }
    eprintln!("seed {seed}\n{HEAD}\n{table}");
    assert!(wrong.is_empty(), "{} moments went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    if every() {
        for phase in ["copy", "migration", "swap"] {
            assert!(table.contains(phase), "none fell within a {phase}");
        }
    }
    walk.field.end();
}

const HEAD: &str =
    " no  command    killed after  server          at                                      then      twice";

/// A site with enough in its databases that copies and dumps take a while, and a server that tells all.
fn begin() -> Walk {
    let walk = Walk::begin();
    walk.heavy();
    phases::tell_all(&walk.field);
    walk
}

#[derive(Debug)]
struct Shot {
    flow: Flow,
    aim: Aim,
    way: Way,
    /// Milliseconds from the aim's beginning.
    after: u64,
    /// Milliseconds into the command that ends the run, which is killed as well if it is at work then. Now and then.
    again: u64,
}

impl Shot {
    /// Gives a line of the table.
    fn at(&self, walk: &mut Walk, number: usize) -> String {
        walk.reach(self.flow);
        eprintln!("{number} {self:?}");
        let scene = walk.scene(self.flow, true);
        let words = format!("{} -o json", walk.words(self.flow));
        let began = phases::now();
        let run = walk.field.start(&words);
        let moment = self.kill(&run);
        let ended = walk.field.ended(run, &words).exit();
        let run = scene.run(&walk.field);
        let at = run.as_ref().map_or_else(|| "nothing".to_owned(), |run| reached(walk.field.dir(), &run.id));
        let twice = number % 4 == 3 && self.again(&walk.field, &scene);
        walk.ended(scene, self.way);
        let phase = phases::at(&walk.field, began, moment);
        let (flow, way) = (format!("{:?}", self.flow), format!("{:?}", self.way));
        let killed = if ended.is_none() { format!("{:.1} s", moment - began) } else { "over".to_owned() };
        format!("{number:3}  {flow:10} {killed:>12}  {phase:14}  {at:38}  {way:8}  {twice}")
    }

    fn kill(&self, run: &Started) -> phases::Moment {
        if let Aim::After(event, address, _) = self.aim {
            told::until(run, event, address);
        }
        std::thread::sleep(Duration::from_millis(self.after));
        let moment = phases::now();
        // It may be over already.
        let _gone = run.signal("KILL");
        moment
    }

    /// Kills the command that ends the run too.
    fn again(&self, field: &Field, scene: &Scene) -> bool {
        let Some(run) = scene.run(field).filter(|run| run.state == "running") else { return false };
        let words = self.way.words(&run.id);
        let second = field.start(&words);
        std::thread::sleep(Duration::from_millis(self.again));
        let _gone = second.signal("KILL");
        let killed = field.ended(second, &words).exit().is_none();
        killed && last_run(field.dir()).is_some_and(|run| run.state == "running")
    }
}

impl Aim {
    fn within(self) -> u64 {
        match self {
            Self::Anywhere(within) | Self::After(_, _, within) => within,
        }
    }
}

/// Random enough, and the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}
