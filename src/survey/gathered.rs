//! What uplift keeps, by the run that has made it: people think of runs, and nobody reads a line for each database.

use super::status::KeptStatus;

/// Kept databases that one run has made of one kind and for one time, or a single thing that belongs to no such group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    pub what: String,
    pub owners: Vec<String>,
    pub bytes: u64,
    /// When they were made and until when they are kept, RFC 3339 in UTC; `None` if that cannot be read.
    pub made: Option<String>,
    pub expires: Option<String>,
    /// They are databases of uplift's, which it removes itself.
    pub pruned: bool,
}

/// In the order in which the first of each is found.
#[must_use]
pub fn gathered(all: &[KeptStatus]) -> Vec<Gathered> {
    let mut groups: Vec<Vec<&KeptStatus>> = Vec::new();
    for one in all {
        let like = |other: &&KeptStatus| {
            one.kind.is_some()
                && (one.kind, &one.run, &one.expires) == (other.kind, &other.run, &other.expires)
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(like)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.iter().filter_map(|group| together(group)).collect()
}

fn together(group: &[&KeptStatus]) -> Option<Gathered> {
    let first = *group.first()?;
    let what = match (first.kind, &first.run) {
        (Some(kind), Some(run)) => kind.of_run(group.len(), run),
        _ => format!("`{}`: {}", first.name, first.what),
    };
    let mut owners: Vec<_> =
        group.iter().map(|one| one.owner.clone()).filter(|one| !one.is_empty()).collect();
    owners.sort();
    owners.dedup();
    Some(Gathered {
        what,
        owners,
        bytes: group.iter().map(|one| one.bytes).sum(),
        made: group.iter().filter_map(|one| one.made.clone()).min(),
        expires: first.expires.clone(),
        pruned: first.kind.is_some(),
    })
}
