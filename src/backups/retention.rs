//! What is kept and what goes, as a pure function of what is there and the time. Nothing is removed here.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    list::{Listed, Standing},
    manifest::{Part, StorageEntry},
};
use crate::ports::{files::quoted, points::PastRun, postgres::KeptDatabase};

/// How many of the newest verified sets stay, whatever their age.
pub const KEEP: usize = 3;
/// What so many of the newest runs have left stays, whatever its age: as many as `uplift history` lists of itself, so that
/// whatever is on that screen can be looked into to the end.
pub const RUNS: usize = 20;
/// Everything younger stays.
const YOUNG: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A set that is not finished after this is none that anybody still works on.
const UNFINISHED: SignedDuration = SignedDuration::from_hours(24);

/// What becomes of one thing, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// As it is called.
    pub name: String,
    /// It has to go.
    pub goes: bool,
    /// Why it goes, or stays: a sentence.
    pub why: String,
}

/// Judges the sets of a folder ([`super::list`], newest first). Only a verified set counts as a backup: the newest `keep`
/// of them stay, and the newest one with each part; what is pinned stays, what is younger than a week stays, and nothing
/// goes at all while no verified set is there. What bears a date that has not come yet stays, and counts for nothing.
///
/// A set takes the place of another for its uploaded files only if it does not lack them in number: while a disk was not
/// mounted, sets were made without them.
///
/// Sets of other databases, by the server or by their name, count for nothing either: a setting that was wrong for three
/// nights must not push out the backups of the databases that are in use.
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

/// The verified sets that take the places of those that go: of each the newest with the same part. For what nobody can
/// say what was in it, the newest with each part.
pub(super) fn stand_ins<'a>(sets: &'a [Listed], now: Timestamp, goes: &[&str]) -> Vec<&'a Listed> {
    let verified = Retention::of(sets, now, 1).verified;
    let mut found: Vec<&Listed> = Vec::new();
    for name in goes {
        let going = sets.iter().find(|set| set.set == *name && !set.parts.is_empty());
        let parts = going.map_or(&Part::ALL[..], |set| &set.parts[..]);
        for part in parts {
            let stands_in = |(_, one): &&(Timestamp, &Listed)| {
                !goes.contains(&one.set.as_str())
                    && going.map_or_else(
                        || one.parts.contains(part),
                        |set| like(set, one) && stands_for(one, set, *part),
                    )
            };
            let newest = verified.iter().find(stands_in).map(|(_, one)| *one);
            found.extend(newest.filter(|one| !found.iter().any(|known| known.set == one.set)));
        }
    }
    found
}

/// One may take the other's place: they are of the same databases, or one of them holds none.
fn like(left: &Listed, right: &Listed) -> bool {
    left.home().zip(right.home()).is_none_or(|(left, right)| left.is(&right))
}

/// One has what the other has of a part.
fn stands_for(one: &Listed, other: &Listed, part: Part) -> bool {
    one.parts.contains(&part) && (part != Part::UploadedFiles || lacking(one, other).is_none())
}

/// How many of the other's uploaded files one lacks, by their number alone; `None` if it is less than one in a hundred:
/// users who give up an upload leave a row without a file, and such rows would keep every set for ever.
fn lacking(one: &Listed, other: &Listed) -> Option<u64> {
    let (one, other) = (storage(one)?, storage(other)?);
    let lacks = if one.blobs.is_some() && other.blobs.is_some() {
        // Fewer files than before are none that are missing if their rows are gone too.
        one.checked.wrong_blobs_count.saturating_sub(other.checked.wrong_blobs_count)
    } else {
        other.packed.files.saturating_sub(one.packed.files)
    };
    (lacks.saturating_mul(100) > other.packed.files && other.packed.files > 0).then_some(lacks)
}

fn storage(set: &Listed) -> Option<&StorageEntry> {
    set.manifest.as_ref()?.storage.as_ref()
}

fn lacks_files(newest: &Listed, set: &Listed) -> String {
    format!(
        "every newer verified one lacks uploaded files that it has, the newest {} of them (`{}`); once nobody needs \
         it: `rm -r {}`",
        lacking(newest, set).unwrap_or_default(),
        newest.set,
        quoted(&set.path)
    )
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
        if set.pinned == Some(true) {
            return Some("it is pinned".to_owned());
        }
        if set.pinned.is_none() && !matches!(set.standing, Standing::Unknown { .. }) {
            return Some(format!(
                "its manifest cannot be read, so nobody knows whether it is pinned; to remove it: `rm -r {}`",
                quoted(&set.path)
            ));
        }
        if let Standing::Unknown { why } = &set.standing {
            return Some(format!("it cannot be judged: {why}"));
        }
        let Some(at) = set.date() else { return Some("its age is not known".to_owned()) };
        if at > self.now {
            return Some("its date has not come yet: was the clock wrong?".to_owned());
        }
        let age = self.now.duration_since(at);
        let verified = self.like(set);
        let of = self.of_home(set);
        if verified.is_empty() {
            return Some(format!("no verified backup{of} is there that could take its place"));
        }
        if set.standing == Standing::Incomplete {
            return (age <= UNFINISHED)
                .then(|| "it may still be worked on: it is younger than a day".to_owned());
        }
        if age <= YOUNG {
            return Some("it is younger than 7 days".to_owned());
        }
        if let Some(place) = verified.iter().position(|(_, one)| one.set == set.set)
            && place < self.keep
        {
            let by_hand = self.by_hand(set);
            return Some(match place {
                0 => format!("it is the newest verified one{of}{by_hand}"),
                _ => format!("it is one of the newest {} verified ones{of}{by_hand}", self.keep),
            });
        }
        // Of two from one moment one must count as the newer, or both would go.
        let mut newer = verified.iter().filter(|(when, one)| (*when, &one.set) > (at, &set.set));
        let lacks = |part: &&Part| !newer.clone().any(|(_, one)| stands_for(one, set, **part));
        if let Some(part) = set.parts.iter().find(lacks) {
            let mut having = newer.filter(|(_, one)| one.parts.contains(part));
            return Some(match having.next() {
                Some((_, newest)) => lacks_files(newest, set),
                None => format!("no newer verified one{of} has the {part}{}", self.by_hand(set)),
            });
        }
        newer.next().is_none().then(|| format!("no newer verified one{of} is there"))
    }

    /// Verified ones that could take the place of this one, newest first.
    fn like(&self, set: &Listed) -> Vec<(Timestamp, &'a Listed)> {
        self.verified.iter().filter(|(_, one)| like(one, set)).copied().collect()
    }

    /// Of which databases, where there are backups of others too.
    fn of_home(&self, set: &Listed) -> String {
        let Some(home) = set.home() else { return String::new() };
        let others = self.verified.iter().any(|(_, one)| !like(one, set));
        if others { format!(" of {home}") } else { String::new() }
    }

    /// What was backed up last are other databases: only a person knows whether these are of use yet.
    fn by_hand(&self, set: &Listed) -> String {
        match self.verified.first() {
            Some((_, newest)) if !like(newest, set) => {
                format!("; once nobody needs it: `rm -r {}`", quoted(&set.path))
            }
            _ => String::new(),
        }
    }

    fn goes(&self, set: &Listed) -> String {
        match &set.standing {
            Standing::Incomplete => "it was never finished".to_owned(),
            Standing::Damaged { why } => format!("it is damaged: {why}"),
            Standing::Unproved { why } => format!("it was never proved: {why}"),
            Standing::Verified { .. } | Standing::Unknown { .. } => {
                let like = self.like(set);
                let newer = like.iter().take_while(|(_, one)| one.set != set.set).count();
                format!("it is older than 7 days, and {newer} newer verified ones are there")
            }
        }
    }
}

/// Judges what one run has left beside the record: kept copies, and its log. `newer` runs came after it; `returns` says
/// what still leads back to it, if anything does.
#[must_use]
pub fn judge_run(run: &PastRun, newer: usize, now: Timestamp, returns: Option<&str>) -> Judged {
    let (goes, why) = of_run(run, newer, now, returns);
    Judged { name: run.run.clone(), goes, why }
}

fn of_run(run: &PastRun, newer: usize, now: Timestamp, returns: Option<&str>) -> (bool, String) {
    if !run.over {
        return (false, "it is not over".to_owned());
    }
    if newer < RUNS {
        return (false, format!("it is one of the newest {RUNS} runs"));
    }
    let Some(ended) = run.ended else { return (false, "nobody knows when it ended".to_owned()) };
    if ended > now {
        return (false, "its date has not come yet: was the clock wrong?".to_owned());
    }
    if now.duration_since(ended) <= YOUNG {
        return (false, "it is younger than 7 days".to_owned());
    }
    match returns {
        Some(why) => (false, why.to_owned()),
        None => (true, "it is older than 7 days, and nothing leads back to it".to_owned()),
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
