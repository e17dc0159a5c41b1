//! A folder that becomes a bundle.

use std::path::Path;

use semver::Version;

use super::{
    Manifest,
    pack::{Content, LARGEST_FILE, too_large},
    place_of,
    signature::KeyFile,
};
use crate::{event::Failure, ports::files::FilesRead, script::Source};

const MANIFEST: &str = "manifest.toml";
const END: &str = ".rhai";

/// What lies in `dir`, refused where it has no place in a bundle. Names that begin with a dot are left out.
pub(super) async fn content(dir: &Path, files: &dyn FilesRead) -> Result<Content, Failure> {
    let text = text(&dir.join(MANIFEST), files).await?.ok_or_else(|| {
        Failure::new("manifest_missing", format!("`{}` has no `{MANIFEST}`", dir.display())).hint(
            "it says `name`, `version`, `api`, `product`, `serves`, `stops` and `summary` of the bundle",
        )
    })?;
    let manifest = Manifest::read(&text)?;
    let uplift = Version::parse(env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::inside("manifest_invalid", error.to_string()))?;
    if let Some(strange) = files.lies(dir).await?.and_then(|lies| lies.strange.into_iter().next()) {
        let text = format!("`{}` is a link, or no plain file", strange.display());
        return Err(Failure::new("pack_strange", text).hint("put the file itself there"));
    }
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        for entry in files.list(&dir.join(&at)).await?.into_iter().filter(|entry| !entry.starts_with('.')) {
            let name = if at.is_empty() { entry } else { format!("{at}/{entry}") };
            let path = dir.join(&name);
            if name == MANIFEST {
                continue;
            }
            if files.size(&path).await?.is_none() {
                open.push(name);
                continue;
            }
            let Some(plain) = name.strip_suffix(END) else {
                let text = format!("`{}` has no place in a bundle", path.display());
                return Err(Failure::new("pack_strange", text).hint(
                    "it has `manifest.toml` and files that end in `.rhai`: move this one out of the folder",
                ));
            };
            place_of(plain)?;
            let text = self::text(&path, files).await?.unwrap_or_default();
            found.push(Source { name: plain.to_owned(), text });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if found.is_empty() {
        let text = format!("`{}` has no runbook in it", dir.display());
        return Err(
            Failure::new("pack_empty", text).hint("e.g. `compose/upgrade.rhai`, or `lib/checks.rhai`")
        );
    }
    let content = Content { manifest, uplift, files: found };
    content.sound()?;
    Ok(content)
}

/// The file of a secret key.
pub(super) async fn key(path: &Path, files: &dyn FilesRead) -> Result<KeyFile, Failure> {
    let text = text(path, files).await?.ok_or_else(|| {
        Failure::new("key_missing", format!("there is no key `{}`", path.display()))
            .hint("make one with `minisign -G`, or leave `--key` out and sign with `minisign` itself")
    })?;
    Ok(KeyFile::of(text))
}

async fn text(path: &Path, files: &dyn FilesRead) -> Result<Option<String>, Failure> {
    if files.size(path).await?.is_some_and(|size| size > LARGEST_FILE as u64) {
        return Err(too_large(&format!("`{}`", path.display()), "1 MiB"));
    }
    let Some(file) = files.read(path).await? else { return Ok(None) };
    String::from_utf8(file.bytes).map(Some).map_err(|_| {
        Failure::new("runbook_not_text", format!("`{}` is not UTF-8 text", path.display()))
            .hint("save it as UTF-8")
    })
}
