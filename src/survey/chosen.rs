//! The site's settings file, `uplift.toml`: optional, and read once.

use std::path::Path;

use serde::Deserialize;

use crate::{event::Failure, ports::files::FilesRead};

/// What the file says. Tables that are not known here are somebody else's.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    pub(super) rollback: Rollback,
}

/// `[rollback]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// Releases whose databases the release before them runs on.
    #[serde(default)]
    pub(super) compatible: Vec<String>,
}

pub(super) async fn chosen(dir: &Path, files: &dyn FilesRead) -> Result<Chosen, Failure> {
    let path = dir.join("uplift.toml");
    let Some(file) = files.read(&path).await? else { return Ok(Chosen::default()) };
    let wrong = |what: String| {
        Failure::new("bad_settings", format!("`{}` cannot be read: {what}", path.display()))
            .hint("correct the file; without it everything is detected")
    };
    let text = String::from_utf8(file.bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))
}
