//! What a site adds and changes, in the folder `uplift/` beside its compose file: runbooks of its own (`NAME.rhai`), a
//! library (`lib/`), and what it changes in single steps (`hooks/NAME.rhai`).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    event::Failure,
    ports::files::FilesRead,
    script::{Bundle, Hook, Part, Runbook, Source},
};

use super::{
    library::stock_text,
    vendor::{Pack, Shelf},
};

/// The folder, and what names of files in it begin with.
const FOLDER: &str = "uplift";
const HOOKS: &str = "uplift/hooks/";
pub(super) const TESTS: &str = "uplift/tests/";
const LIBRARY: &str = "uplift/lib/";

/// One site's own scripts.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    pub(super) files: &'a dyn FilesRead,
    /// The folder that has `uplift/`.
    pub(super) site: &'a Path,
    /// Where the vendor's bundle is installed, if the site's own folder is known.
    pub(super) bundles: Option<Shelf<'a>>,
    /// A bundle that is taken for the installed one.
    pub(super) given: Option<&'a Pack>,
}

impl Layer<'_> {
    /// The bundle that the vendor ships, if one is installed.
    pub(super) async fn shipped(&self) -> Result<Option<Pack>, Failure> {
        if let Some(given) = self.given {
            return Ok(Some(given.clone()));
        }
        match &self.bundles {
            Some(bundles) => bundles.installed().await,
            None => Ok(None),
        }
    }

    /// The site's own runbook of this name, which may be that of a stock one.
    pub(super) async fn runbook(&self, name: &str) -> Result<Option<Source>, Failure> {
        if !is_name(name) || is_room(name) {
            return Ok(None);
        }
        let text = self.text(&format!("{FOLDER}/{name}")).await?;
        Ok(text.map(|text| Source { name: name.to_owned(), text }))
    }

    /// What the site changes in steps of the runbook `name`.
    pub(super) async fn hooks(&self, name: &str) -> Result<Option<Source>, Failure> {
        let file = format!("{HOOKS}{name}");
        let text = if is_name(name) { self.text(&file).await? } else { None };
        Ok(text.map(|text| Source { name: file, text }))
    }

    /// Adds what the bundle imports of the site's library. A file that is missing is found by the checks, where it is
    /// imported.
    pub(super) async fn with_library(&self, mut bundle: Bundle) -> Result<Bundle, Failure> {
        let mut known: BTreeSet<String> = bundle.sources().map(|source| source.name.clone()).collect();
        let mut open: Vec<String> = bundle.sources().flat_map(imported).collect();
        while let Some(name) = open.pop() {
            if known.insert(name.clone())
                && let Some(text) = self.text(&name).await?
            {
                let source = Source { name, text };
                open.extend(imported(&source));
                bundle.libs.push(source);
            }
        }
        Ok(bundle)
    }

    /// Names of the site's own runbooks, sorted.
    pub(super) async fn names(&self) -> Result<Vec<String>, Failure> {
        self.below(FOLDER, |name| !is_room(name)).await
    }

    /// Names of the files in the site's library, sorted: `uplift/lib/proof`.
    pub(super) async fn library(&self) -> Result<Vec<String>, Failure> {
        let names = self.below(LIBRARY, |_| true).await?;
        Ok(names.into_iter().map(|name| format!("{LIBRARY}{name}")).collect())
    }

    /// Names of the site's files of tests, sorted: `compose/upgrade`, by what they are about.
    pub(super) async fn tests(&self) -> Result<Vec<String>, Failure> {
        self.below(TESTS, |_| true).await
    }

    /// Names of the runbooks that the site changes steps of, sorted.
    pub(super) async fn hung(&self) -> Result<Vec<String>, Failure> {
        self.below(HOOKS, |_| true).await
    }

    /// Scripts in a folder and in the folders in it, without their ends.
    async fn below(&self, folder: &str, counts: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
        let (root, mut found, mut open) = (self.site.join(folder), Vec::new(), vec![String::new()]);
        while let Some(at) = open.pop() {
            for entry in self.files.list(&root.join(&at)).await? {
                let name = if at.is_empty() { entry } else { format!("{at}/{entry}") };
                match name.strip_suffix(END) {
                    Some(name) if is_name(name) && counts(name) => found.push(name.to_owned()),
                    // A file has no names in it.
                    None if is_name(&name) && counts(&name) => open.push(name),
                    _ => {}
                }
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn hooks_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{HOOKS}{name}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.join(format!("{name}{END}"))
    }

    pub(super) async fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.path(name);
        let Some(file) = self.files.read(&path).await? else { return Ok(None) };
        String::from_utf8(file.bytes).map(Some).map_err(|_| {
            Failure::new("runbook_not_text", format!("`{}` is not UTF-8 text", path.display()))
                .hint("save it as UTF-8")
        })
    }
}

/// What a site has otherwise than it ships with uplift, of a runbook, a sentence each: what its bundle brings, what is its own.
pub(super) fn changes(runbook: &Runbook, pack: Option<&Pack>) -> Vec<String> {
    let name = runbook.name();
    let shipped = |name: &str| pack.and_then(|pack| Some((pack, pack.file(name)?)));
    let (text, known) = (&runbook.bundle().main.text, stock_text(name));
    let instead = if known.is_some() { " in the place of the stock runbook" } else { "" };
    let main = match shipped(name) {
        Some((pack, file)) if file.text == *text => {
            Some(format!("`{name}` of the bundle {}{instead}", pack.shipped))
        }
        Some((pack, _)) => {
            let place = format!("in the place of that of the bundle {}", pack.shipped);
            Some(format!("the site's own `{FOLDER}/{name}{END}` {place}"))
        }
        None => known
            .filter(|known| known != text)
            .map(|_| format!("the site's own `{FOLDER}/{name}{END}` in the place of the stock runbook")),
    };
    let libs =
        runbook.bundle().libs.iter().filter(|source| stock_text(&source.name) != Some(source.text.as_str()));
    let libs = libs.filter_map(|source| {
        let (pack, file) = shipped(&source.name)?;
        (file.text == source.text).then(|| format!("`{}` of the bundle {}", source.name, pack.shipped))
    });
    let (file, hooks) = runbook.hooks();
    let hook = |hook: &Hook| {
        let Hook { part, step, function, line } = hook;
        let place = match part {
            Part::Before => "before",
            Part::Replace => "in the place of",
            Part::After => "after",
        };
        format!("{place} `{step}`: `{function}`, `{file}{END}:{line}`")
    };
    main.into_iter().chain(libs).chain(hooks.iter().map(hook)).collect()
}

const END: &str = ".rhai";

/// A script's file as it is found from the site folder.
pub(super) fn in_site(name: &str) -> String {
    format!("{name}{END}")
}

/// The file of a runbook of the site's own.
pub(super) fn own_file(name: &str) -> String {
    format!("{FOLDER}/{name}{END}")
}

/// The site's folder and the runbook that a file of hooks is about, by its path.
pub(super) fn hooks_at(file: &Path) -> Option<(PathBuf, String)> {
    let text = file.to_str()?.strip_suffix(END)?;
    let at = text.rfind(HOOKS).filter(|at| *at == 0 || text[..*at].ends_with('/'))?;
    let runbook = &text[at + HOOKS.len()..];
    let site = if at == 0 { "." } else { &text[..at] };
    is_name(runbook).then(|| (std::path::absolute(site).unwrap_or_default(), runbook.to_owned()))
}

/// Whether a stored script is a file of hooks.
pub(super) fn is_hooks(source: &Source) -> bool {
    source.name.starts_with(HOOKS)
}

/// Plain parts only: no name leads out of the folder.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    name.split('/').all(|part| !part.is_empty() && part.chars().all(plain))
}

/// One of the names that lies in a folder whose name is nearly that of a room: what it changes, nobody would see.
pub(super) fn misnamed(names: &[String]) -> Option<(String, &'static str)> {
    names.iter().find_map(|name| {
        let folder = name.split_once('/')?.0.to_ascii_lowercase();
        let near = |room: &&&str| strsim::damerau_levenshtein(&folder, room) == 1 || folder == **room;
        let room = ROOMS.iter().find(near)?;
        Some((own_file(name), *room))
    })
}

/// Folders that have no runbooks.
const ROOMS: [&str; 3] = ["hooks", "lib", "tests"];

/// Whether it lies in a folder that has no runbooks. A copy of a runbook may have brought its library along.
fn is_room(name: &str) -> bool {
    let mut parts = name.split('/');
    parts.next().is_some_and(|first| ROOMS.contains(&first)) || parts.any(|part| part == "lib")
}

/// The name of a runbook of the site's own, by the path of its file: so that it is the same, whoever names it how.
pub(super) fn own_at(file: &Path, site: &Path) -> Option<String> {
    let site = std::path::absolute(site).ok()?;
    let inside = std::path::absolute(file).ok()?.strip_prefix(site.join(FOLDER)).ok()?.to_owned();
    let name = inside.to_str()?.strip_suffix(END)?;
    (is_name(name) && !is_room(name)).then(|| name.to_owned())
}

/// Names of library files that a script imports, or mentions: one too many does no harm.
fn imported(source: &Source) -> Vec<String> {
    let texts = source.text.split('"').filter(|text| text.starts_with(LIBRARY) && is_name(text));
    texts.map(str::to_owned).collect()
}
