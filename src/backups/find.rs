//! One set of a folder, for whoever wants to rely on it.

use std::path::Path;

use super::{
    list::{Listed, Standing, one},
    manifest::Manifest,
};
use crate::{
    event::{Failure, suggest},
    ports::files::FilesRead,
};

/// What lists all sets of the site.
const LIST: &str = "`uplift backup list`";

/// The set in `path` as a list would show it. Fails with `no_such_set` and the name that may have been meant.
pub async fn find(files: &dyn FilesRead, path: &Path) -> Result<Listed, Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if files.size(path).await?.is_none() && !files.list(path).await?.is_empty() {
        return one(files, name, path.to_owned()).await;
    }
    let mut known = Vec::new();
    for other in files.list(folder).await? {
        if !other.starts_with('.') && files.size(&folder.join(&other)).await?.is_none() {
            known.push(other);
        }
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    Err(no_such(&name, folder, &known))
}

/// There is no set of that name in the folder, which has these.
#[must_use]
pub fn no_such(name: &str, folder: &Path, known: &[&str]) -> Failure {
    let text = if folder.as_os_str().is_empty() {
        format!("there is no backup `{name}` here")
    } else {
        format!("there is no backup `{name}` in `{}`", folder.display())
    };
    let hint = if known.is_empty() {
        "there is none at all; on the site's own host it is made by `uplift backup create`".to_owned()
    } else {
        let near = suggest(name, known);
        let end = if near.ends_with('?') { "" } else { ";" };
        format!("{near}{end} those of the site: {LIST}")
    };
    Failure::new("no_such_set", text).hint(hint)
}

impl Listed {
    /// The manifest of a set that has one, whatever a look at the rest of it has found.
    pub fn sound(&self) -> Result<&Manifest, Failure> {
        self.manifest.as_ref().ok_or_else(|| self.wrong())
    }

    /// The manifest of a set that nothing is known to be wrong with. What is known costs no reading, so a plan knows it
    /// too; `prove` finds the rest.
    pub fn fit(&self) -> Result<&Manifest, Failure> {
        match self.standing {
            Standing::Verified { .. } | Standing::Unproved { .. } => self.sound(),
            Standing::Damaged { .. } | Standing::Incomplete | Standing::Unknown { .. } => Err(self.wrong()),
        }
    }

    fn wrong(&self) -> Failure {
        let another = format!("take another set: {LIST}");
        match &self.standing {
            Standing::Damaged { why } => {
                Failure::new("set_damaged", format!("the set `{}` is damaged: {why}", self.set)).hint(another)
            }
            Standing::Unknown { why } => Failure::new("set_unknown", why.clone()).hint(another),
            _ => {
                let text = format!("`{}` was never finished: it is no backup", self.path.display());
                Failure::new("set_incomplete", text).hint(another)
            }
        }
    }
}
