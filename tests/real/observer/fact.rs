//! What was seen or foretold, in sentences that can be held against each other.

use std::{collections::BTreeMap, fmt};

/// Sentences, each as often as it was seen or foretold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts(BTreeMap<String, usize>);

impl Facts {
    pub(super) fn add(&mut self, fact: impl Into<String>) {
        *self.0.entry(fact.into()).or_default() += 1;
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (fact, count) in other.0 {
            *self.0.entry(fact).or_default() += count;
        }
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.0.keys().any(|fact| fact.contains(part))
    }

    /// What these say oftener than `others` do, a line each.
    pub(super) fn beyond(&self, others: &Self) -> Vec<String> {
        let more = |(fact, count): (&String, &usize)| {
            let more = count.saturating_sub(others.0.get(fact).copied().unwrap_or(0));
            (more > 0).then(|| if more == 1 { fact.clone() } else { format!("{fact} ({more} times)") })
        };
        self.0.iter().filter_map(more).collect()
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(fact, count)| writeln!(f, "{count} x {fact}"))
    }
}
