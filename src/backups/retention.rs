//! What is kept and what goes, as a pure function of what is there and the time. Nothing is removed here.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    list::{Listed, Standing},
    manifest::Part,
};
use crate::ports::postgres::KeptDatabase;

/// How many of the newest verified sets stay, whatever their age.
pub const KEEP: usize = 3;
/// Everything younger stays.
const YOUNG: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A set that is not finished after this is none that anybody still works on.
const UNFINISHED: SignedDuration = SignedDuration::from_hours(24);

/// What becomes of one thing, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    pub name: String,
    pub goes: bool,
    pub why: String,
}

/// Judges the sets of a folder ([`super::list`], newest first). Only a verified set counts as a backup: the newest `keep`
/// of them stay, and the newest one with each part; what is pinned stays, what is younger than a week stays, and nothing
/// goes at all while no verified set is there. What bears a date that has not come yet stays, and counts for nothing.
#[must_use]
pub fn judge(sets: &[Listed], now: Timestamp, keep: usize) -> Vec<Judged> {
    let retention = Retention::of(sets, now, keep.max(1));
    sets.iter()
        .map(|set| {
            let (goes, why) = match retention.stays(set) {
                Some(why) => (false, why),
                None => (true, retention.goes(set)),
            };
            Judged { name: set.set.clone(), goes, why }
        })
        .collect()
}

struct Retention<'a> {
    now: Timestamp,
    /// Verified ones, newest first.
    verified: Vec<(Timestamp, &'a Listed)>,
    keep: usize,
}

impl<'a> Retention<'a> {
    fn of(sets: &'a [Listed], now: Timestamp, keep: usize) -> Self {
        let good = sets.iter().filter(|set| set.standing.is_verified());
        let dated = good.filter_map(|set| Some((set.date()?, set)));
        let mut verified: Vec<_> = dated.filter(|(at, _)| *at <= now).collect();
        verified.sort_by(|left, right| (right.0, &right.1.set).cmp(&(left.0, &left.1.set)));
        Self { now, verified, keep }
    }

    /// Why it stays; `None` if it goes.
    fn stays(&self, set: &Listed) -> Option<String> {
        if set.pinned {
            return Some("it is pinned".to_owned());
        }
        if let Standing::Unknown { why } = &set.standing {
            return Some(format!("it cannot be judged: {why}"));
        }
        let Some(at) = set.date() else { return Some("its age is not known".to_owned()) };
        if at > self.now {
            return Some("its date has not come yet: was the clock wrong?".to_owned());
        }
        let age = self.now.duration_since(at);
        if self.verified.is_empty() {
            return Some("no verified backup is there that could take its place".to_owned());
        }
        if set.standing == Standing::Incomplete {
            return (age <= UNFINISHED)
                .then(|| "it may still be worked on: it is younger than a day".to_owned());
        }
        if age <= YOUNG {
            return Some("it is younger than 7 days".to_owned());
        }
        if let Some(place) = self.verified.iter().position(|(_, one)| one.set == set.set)
            && place < self.keep
        {
            return Some(match place {
                0 => "it is the newest verified one".to_owned(),
                _ => format!("it is one of the newest {} verified ones", self.keep),
            });
        }
        let only = |part: &Part| self.newer_with(*part, at, set).is_none();
        let only = set.parts.iter().copied().find(only);
        if let Some(part) = only {
            return Some(format!("no newer verified one has the {part}"));
        }
        let newer = self.verified.iter().any(|(when, one)| (*when, &one.set) > (at, &set.set));
        (!newer).then(|| "no newer verified one is there".to_owned())
    }

    fn newer_with(&self, part: Part, than: Timestamp, set: &Listed) -> Option<&'a Listed> {
        // Of two from one moment one must count as the newer, or both would go.
        let newer = self.verified.iter().filter(|(at, one)| (*at, &one.set) > (than, &set.set));
        newer.map(|(_, one)| *one).find(|one| one.parts.contains(&part))
    }

    fn goes(&self, set: &Listed) -> String {
        match &set.standing {
            Standing::Incomplete => "it was never finished".to_owned(),
            Standing::Damaged { why } => format!("it is damaged: {why}"),
            Standing::Unproved { why } => format!("it was never proved: {why}"),
            Standing::Verified { .. } | Standing::Unknown { .. } => {
                let newer = self.verified.iter().take_while(|(_, one)| one.set != set.set).count();
                format!("it is older than 7 days, and {newer} newer verified ones are there")
            }
        }
    }
}

/// Judges databases that uplift has made: what has expired goes, and the one that somebody has named. What bears no mark
/// of uplift's stays whatever its name.
#[must_use]
pub fn judge_databases(kept: &[KeptDatabase], now: Timestamp, named: Option<&str>) -> Vec<Judged> {
    kept.iter()
        .map(|one| {
            let (goes, why) = of_database(one, now, named);
            Judged { name: one.name.clone(), goes, why }
        })
        .collect()
}

fn of_database(one: &KeptDatabase, now: Timestamp, named: Option<&str>) -> (bool, String) {
    let Some(mark) = &one.mark else {
        return (false, "it bears no mark that says that uplift has made it".to_owned());
    };
    let what = mark.kind.in_words();
    if named == Some(one.name.as_str()) {
        return (true, format!("{what} of `{}`, named by you", mark.of));
    }
    let (Ok(made), Ok(expires)) = (mark.made.parse::<Timestamp>(), mark.expires.parse::<Timestamp>()) else {
        return (false, "its mark has no dates".to_owned());
    };
    if made > now {
        return (false, "its date has not come yet: was the clock wrong?".to_owned());
    }
    if expires > now {
        return (false, format!("{what} of `{}`, kept until {}", mark.of, mark.expires));
    }
    (true, format!("{what} of `{}`, kept until {}", mark.of, mark.expires))
}
