use serde::{Deserialize, Serialize};

use crate::sim::state::hex;

/// One table with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub rows: Vec<Rows>,
}

/// Rows with numbers that follow each other, written by one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    pub transaction: u64,
    pub first: u64,
    pub count: u64,
    /// Of their content: another after they were changed.
    pub edition: u64,
}

impl Table {
    /// A table whose rows were there from the beginning.
    pub(in crate::sim) fn new(name: &str, rows: u64) -> Self {
        let first = Rows { transaction: 0, first: 1, count: rows, edition: 0 };
        Self {
            schema: "public".to_owned(),
            name: name.to_owned(),
            rows: if rows == 0 { Vec::new() } else { vec![first] },
        }
    }

    /// How many rows it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|rows| rows.count).sum()
    }

    /// The name of what numbers its rows.
    pub(in crate::sim) fn sequence(&self) -> String {
        format!("{}.{}_id_seq", self.schema, self.name)
    }

    /// All rows are written anew, as an `UPDATE` of a whole table does.
    pub(in crate::sim) fn rewrite(&mut self, transaction: u64, edition: u64) {
        for rows in &mut self.rows {
            (rows.transaction, rows.edition) = (transaction, edition);
        }
    }

    /// Number, count and edition of its rows, as few runs as can be, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, u64, u64)> {
        let mut sorted: Vec<_> =
            self.rows.iter().map(|rows| (rows.first, rows.count, rows.edition)).collect();
        sorted.sort_unstable();
        let mut runs: Vec<(u64, u64, u64)> = Vec::new();
        for (first, count, edition) in sorted {
            match runs.last_mut() {
                Some(last) if last.0 + last.1 == first && last.2 == edition => last.1 += count,
                _ => runs.push((first, count, edition)),
            }
        }
        runs
    }

    /// Equal for tables with the same rows, whoever wrote them and when.
    pub(in crate::sim) fn hash(&self) -> String {
        hex(&format!("{:?}", self.runs()))
    }
}
