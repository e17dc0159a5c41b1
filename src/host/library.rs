//! The runbooks that ship inside the binary. They are plain files in the repository, so that reading one there is
//! reading what runs.

use std::path::Path;

use super::{
    error::HostError,
    imports,
    layer::{Layer, is_hooks, misnamed, own_at},
    vendor::Pack,
};
use crate::{
    event::Failure,
    ports::files::FilesRead,
    primitives::contract::suggest,
    script::{Bundle, Source},
};

/// A runbook that ships with uplift.
#[derive(Debug, Clone, Copy)]
pub struct StockRunbook {
    /// e.g. `compose/upgrade`.
    pub name: &'static str,
    pub text: &'static str,
}

const RUNBOOKS: &[StockRunbook] = &[
    StockRunbook { name: "compose/upgrade", text: include_str!("../../runbooks/compose/upgrade.rhai") },
    StockRunbook { name: "compose/rollback", text: include_str!("../../runbooks/compose/rollback.rhai") },
    StockRunbook { name: "compose/restore", text: include_str!("../../runbooks/compose/restore.rhai") },
    StockRunbook { name: "compose/backup", text: include_str!("../../runbooks/compose/backup.rhai") },
    StockRunbook { name: "compose/pull", text: include_str!("../../runbooks/compose/pull.rhai") },
    StockRunbook { name: "compose/prune", text: include_str!("../../runbooks/compose/prune.rhai") },
];

const LIBRARY: &[StockRunbook] =
    &[StockRunbook { name: "lib/checks", text: include_str!("../../runbooks/lib/checks.rhai") }];

/// Their tests, each named after what it is about.
const TESTS: &[StockRunbook] = &[
    StockRunbook {
        name: "tests/compose/upgrade",
        text: include_str!("../../runbooks/tests/compose/upgrade.rhai"),
    },
    StockRunbook {
        name: "tests/compose/rollback",
        text: include_str!("../../runbooks/tests/compose/rollback.rhai"),
    },
    StockRunbook {
        name: "tests/compose/restore",
        text: include_str!("../../runbooks/tests/compose/restore.rhai"),
    },
    StockRunbook {
        name: "tests/compose/backup",
        text: include_str!("../../runbooks/tests/compose/backup.rhai"),
    },
    StockRunbook { name: "tests/compose/pull", text: include_str!("../../runbooks/tests/compose/pull.rhai") },
    StockRunbook {
        name: "tests/compose/prune",
        text: include_str!("../../runbooks/tests/compose/prune.rhai"),
    },
];

/// The tests of the runbooks that ship with uplift.
#[must_use]
pub fn stock_tests() -> &'static [StockRunbook] {
    TESTS
}

/// All runbooks that ship with uplift.
#[must_use]
pub fn stock() -> &'static [StockRunbook] {
    RUNBOOKS
}

/// Whether `name` means a file of the operator's own.
pub(super) fn is_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("rhai"))
}

/// A runbook by its name: the site's own before that of its bundle, and that before the stock one; or a file by its path.
/// What the site changes in steps of a runbook goes with its name.
pub(super) async fn find(name: &str, layer: Layer<'_>) -> Result<Bundle, HostError> {
    find_with(name, layer, layer.shipped().await?.as_ref()).await
}

/// The same, as it would be with this bundle.
pub(super) async fn find_with(
    name: &str,
    layer: Layer<'_>,
    pack: Option<&Pack>,
) -> Result<Bundle, HostError> {
    // A runbook of the site's own is the same, whether it is called by its name or by its path.
    let own_name = is_file(name).then(|| own_at(Path::new(name), layer.site)).flatten();
    let name = own_name.as_deref().unwrap_or(name);
    if is_file(name) {
        let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
        let main = Source { name: name.to_owned(), text: text_of(name, &path, layer.files).await? };
        let own = imports::beside(&path, &main.text, layer.files).await?;
        let mut bundle = around(&main, pack);
        // What lies beside the runbook goes before what ships under the same name.
        bundle.libs.retain(|stock| own.iter().all(|own| own.name != stock.name));
        bundle.libs.extend(own);
        return Ok(layer.with_library(bundle).await?);
    }
    let own = own_names(layer, pack).await?;
    let shipped = pack.filter(|pack| pack.runbooks().any(|known| known == name));
    let bundle = match (layer.runbook(name).await?, shipped.and_then(|pack| pack.file(name))) {
        (Some(own), _) => around(&own, pack),
        (None, Some(shipped)) => around(shipped, pack),
        (None, None) => around(&named(name, &own)?.source(), pack),
    };
    hooks_are_of_something(layer, &own).await?;
    let bundle = Bundle { hooks: layer.hooks(name).await?, ..bundle };
    Ok(layer.with_library(bundle).await?)
}

/// The runbooks of the site's own and of its bundle, by their names.
pub(super) async fn own_names(layer: Layer<'_>, pack: Option<&Pack>) -> Result<Vec<String>, HostError> {
    let mut own = layer.names().await?;
    own.extend(pack.into_iter().flat_map(Pack::runbooks).map(str::to_owned));
    Ok(own)
}

/// All runbooks that there are.
pub(super) fn known(own: &[String]) -> Vec<&str> {
    RUNBOOKS.iter().map(|book| book.name).chain(own.iter().map(String::as_str)).collect()
}

/// A file of hooks at a misspelt name would change nothing, and say nothing.
async fn hooks_are_of_something(layer: Layer<'_>, own: &[String]) -> Result<(), HostError> {
    if let Some((name, room)) = misnamed(own) {
        let text = format!("`{name}` lies in a folder that nothing is taken from as hooks or library");
        let hint = format!("did you mean `uplift/{room}/`?");
        return Err(HostError::Invalid(Failure::new("hooks_of_nothing", text).hint(hint)));
    }
    let known = known(own);
    let Some(lost) = layer.hung().await?.into_iter().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let file = layer.hooks_path(&lost);
    let text = format!("`{}` is about a runbook that is not there: there is no `{lost}`", file.display());
    // As a rule the folder is forgotten.
    let below = known.iter().find(|name| name.rsplit('/').next() == Some(lost.as_str()));
    let meant = below.map_or_else(|| suggest(&lost, &known), |name| format!("did you mean `{name}`?"));
    let hint = format!("{meant} The hooks of `compose/upgrade` are `uplift/hooks/compose/upgrade.rhai`");
    Err(HostError::Invalid(Failure::new("hooks_of_nothing", text).hint(hint)))
}

async fn text_of(name: &str, path: &Path, files: &dyn FilesRead) -> Result<String, HostError> {
    let file = files.read(path).await?.ok_or_else(|| {
        let text = format!("there is no file `{name}`");
        HostError::Invalid(Failure::new("runbook_not_found", text).hint("list them: `uplift runbook list`"))
    })?;
    String::from_utf8(file.bytes).map_err(|_| {
        HostError::Invalid(
            Failure::new("runbook_not_text", format!("`{name}` is not UTF-8 text")).hint("save it as UTF-8"),
        )
    })
}

/// The scripts that a run has pinned.
pub(super) fn pinned(main: Source, others: Vec<Source>) -> Bundle {
    let (hooks, libs): (Vec<_>, Vec<_>) = others.into_iter().partition(is_hooks);
    Bundle { main, libs, hooks: hooks.into_iter().next() }
}

/// The runbook that ships under this name; else the nearest name as a hint.
pub fn stock_named(name: &str) -> Result<&'static StockRunbook, HostError> {
    named(name, &[])
}

fn named(name: &str, own: &[String]) -> Result<&'static StockRunbook, HostError> {
    RUNBOOKS.iter().find(|runbook| runbook.name == name).ok_or_else(|| {
        let known: Vec<_> =
            RUNBOOKS.iter().map(|runbook| runbook.name).chain(own.iter().map(String::as_str)).collect();
        let text = format!("there is no runbook `{name}`");
        HostError::Invalid(Failure::new("runbook_not_found", text).hint(format!(
            "{} (a file of your own needs its path, e.g. `./{name}.rhai`)",
            suggest(name, &known)
        )))
    })
}

/// A runbook with the library that it may import: the stock one, but for what the bundle brings.
pub(super) fn around(main: &Source, pack: Option<&Pack>) -> Bundle {
    let mut libs: Vec<Source> = pack.into_iter().flat_map(Pack::library).cloned().collect();
    let stock = LIBRARY.iter().filter(|file| pack.is_none_or(|pack| pack.file(file.name).is_none()));
    libs.extend(stock.map(StockRunbook::source));
    Bundle { main: main.clone(), libs, hooks: None }
}

/// A runbook with its library, as both ship with uplift.
pub(super) fn stock_bundle(name: &str) -> Result<Bundle, HostError> {
    Ok(around(&stock_named(name)?.source(), None))
}

/// The text of a file that ships with uplift, a runbook or one of the library.
pub(super) fn stock_text(name: &str) -> Option<&'static str> {
    RUNBOOKS.iter().chain(LIBRARY).find(|file| file.name == name).map(|file| file.text)
}

impl StockRunbook {
    fn source(&self) -> Source {
        Source { name: self.name.to_owned(), text: self.text.to_owned() }
    }
}
