//! A copy of a stock runbook that is the site's own: with the files that it imports, and with where it comes from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::{getegid, geteuid};

use super::{door::HostBuilder, error::HostError, library};
use crate::{
    clients,
    event::Failure,
    ports::files::{File, Files, MakeFolder, WriteFile, quoted},
    script::Source,
};

/// Everybody may read procedures; no secret stands in them.
const MODE: u32 = 0o644;

/// What was written.
#[derive(Debug, Clone)]
pub struct Ejected {
    /// The copy of the runbook.
    pub runbook: PathBuf,
    /// The files that it imports, copied too.
    pub imported: Vec<PathBuf>,
    /// Its tests, copied so that they run the copy.
    pub tests: Option<PathBuf>,
}

impl HostBuilder {
    /// Copies the stock runbook `name` to `to` (`./NAME.rhai` if that is left out), and what it imports below the same
    /// folder. Nothing is replaced: a file that is there already is refused before anything is written.
    pub async fn eject(&self, name: &str, to: Option<&Path>) -> Result<Ejected, HostError> {
        library::stock_named(name)?;
        let bundle = self.bundle(name).await?;
        let last = name.rsplit('/').next().unwrap_or(name);
        let to = to.map_or_else(|| PathBuf::from(format!("{last}.rhai")), Path::to_owned);
        if !library::is_file(&to.to_string_lossy()) {
            let text = format!("`{}` would not be found as a runbook", to.display());
            let hint = format!("let its name end in `.rhai`: `{}.rhai`", to.display());
            return Err(HostError::Invalid(Failure::new("not_a_runbook_name", text).hint(hint)));
        }
        let runbook = std::path::absolute(&to).unwrap_or(to);
        let folder = runbook.parent().unwrap_or(Path::new("/")).to_owned();
        let mut files = vec![(runbook.clone(), copied(&bundle.main))];
        for library in bundle.libs.iter().filter(|library| imports(&bundle.main.text, &library.name)) {
            files.push((folder.join(format!("{}.rhai", library.name)), copied(library)));
        }
        let tests = tests_of(name, &runbook);
        let tests_path = tests.as_ref().map(|(path, _)| path.clone());
        files.extend(tests);
        let port = self.own_disk()?;
        for (path, _) in &files {
            if port.read(path).await?.is_some() {
                let failure = Failure::new("file_exists", format!("`{}` is there already", path.display()));
                let hint = format!(
                    "look at it, and move it away or name another folder: `uplift runbook eject {name} DIR/{last}.rhai`"
                );
                return Err(HostError::Invalid(failure.hint(hint)));
            }
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        for (path, text) in &files {
            // The folder of the runbook has to be there; one for what it imports is made.
            if let Some(below) = path.parent().filter(|parent| *parent != folder) {
                let what = "folder of runbooks".to_owned();
                port.make_folder(&MakeFolder { path: below.to_owned(), what }).await?;
            }
            let file = File { bytes: text.clone().into_bytes(), mode: MODE, uid, gid };
            let write = WriteFile { path: path.clone(), file, what: "runbook".to_owned() };
            port.write(&write).await.map_err(|failure| match failure.code.as_str() {
                "folder_missing" => failure.hint(format!("make it first: `mkdir -p {}`", quoted(&folder))),
                _ => failure,
            })?;
        }
        let others = files.into_iter().skip(1).map(|(path, _)| path);
        let imported = others.filter(|path| Some(path) != tests_path.as_ref()).collect();
        Ok(Ejected { runbook, imported, tests: tests_path })
    }
}

impl HostBuilder {
    /// Where runbooks of the operator's own lie: also beside a simulated site that is the real disk.
    fn own_disk(&self) -> Result<Arc<dyn Files>, HostError> {
        match self.given_ports() {
            Some(ports) if !self.reads_elsewhere() => Ok(Arc::clone(&ports.files)),
            _ => Ok(clients::real()?.0.files),
        }
    }
}

/// The tests of a stock runbook, with where they go so that they run the copy: where it takes the place of the stock one at a
/// site, by its name, else by its path. `None` where they do not say what they run.
fn tests_of(name: &str, copy: &Path) -> Option<(PathBuf, String)> {
    let tests = library::stock_tests().iter().find(|tests| tests.name == format!("tests/{name}"))?;
    let says = format!("const BOOK = \"{name}\";");
    let file = copy.file_name()?.to_string_lossy();
    let of_site = copy.ancestors().skip(1).find(|above| above.ends_with("uplift"));
    let (path, book) = match of_site {
        Some(folder) => {
            let inside = copy.strip_prefix(folder).ok()?;
            (folder.join("tests").join(inside), inside.with_extension("").display().to_string())
        }
        None => (copy.parent()?.join("tests").join(&*file), format!("../{file}")),
    };
    let text = tests.text.replacen(&says, &format!("const BOOK = \"{book}\";"), 1);
    let source = Source { name: tests.name.to_owned(), text };
    tests.text.contains(&says).then(|| (path, copied(&source)))
}

fn imports(text: &str, name: &str) -> bool {
    text.contains(&format!("import \"{name}\""))
}

/// A file's text, with where it comes from in its first lines: so a later uplift can tell what was changed here, and what
/// has changed there.
fn copied(source: &Source) -> String {
    let hash = blake3::hash(source.text.as_bytes()).to_hex();
    format!(
        "// ejected: {} of uplift {}, blake3 {hash}\n// This copy is the site's own: what later uplifts mend in theirs does not come here by itself.\n\n{}",
        source.name,
        env!("CARGO_PKG_VERSION"),
        source.text,
    )
}
