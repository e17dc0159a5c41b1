use serde::{Deserialize, Serialize};

/// One script file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As the operator knows it: `compose/upgrade`, `lib/checks`, or a path.
    pub name: String,
    pub text: String,
}

/// A runbook with every file that it may import: what a run pins in its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    pub main: Source,
    pub libs: Vec<Source>,
    /// What the site changes in single steps of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Source>,
}

impl Bundle {
    /// The main file first, and the hooks last.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.main).chain(&self.libs).chain(&self.hooks)
    }

    /// The text of a file by its name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.sources().find(|source| source.name == name).map(|source| source.text.as_str())
    }

    /// BLAKE3 over names and texts, 64 hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for source in self.sources() {
            for part in [&source.name, &source.text] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
