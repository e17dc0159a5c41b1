//! Whether all that would run on a site passes the checks.

use std::collections::{BTreeMap, BTreeSet};

use super::Pack;
use crate::{
    event::Failure,
    host::{
        door::SITE,
        error::HostError,
        given,
        layer::Layer,
        library::{self, stock},
    },
    primitives::contract::Catalogue,
    script::{Bundle, Runbook, Source, examine_tests, holds_tests},
    survey,
};

/// Names of all runbooks that a site has with this bundle: those that ship with uplift, the bundle's and its own.
pub(super) async fn names(layer: Layer<'_>, pack: Option<&Pack>) -> Result<Vec<String>, Failure> {
    let mut names: BTreeSet<String> = stock().iter().map(|book| book.name.to_owned()).collect();
    names.extend(pack.into_iter().flat_map(Pack::runbooks).map(str::to_owned));
    names.extend(layer.names().await?);
    Ok(names.into_iter().collect())
}

/// A runbook of the site as it would be with this bundle; else what is wrong with it.
pub(super) async fn load(
    name: &str,
    layer: Layer<'_>,
    pack: Option<&Pack>,
    catalogue: &Catalogue,
) -> Result<Runbook, Vec<String>> {
    let found = library::find_with(name, layer, pack).await;
    checked(&found.map_err(|error| in_words(&error))?, catalogue)
}

fn in_words(error: &HostError) -> Vec<String> {
    let failure = error.failure();
    let hint = failure.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    vec![format!("{}{hint}", failure.message)]
}

fn checked(bundle: &Bundle, catalogue: &Catalogue) -> Result<Runbook, Vec<String>> {
    Runbook::load(bundle.clone(), catalogue, &SITE)
        .map_err(|errors| errors.iter().map(|error| error.render(bundle)).collect())
}

/// Checks all of a bundle as runbooks are checked before they run, and what ships with uplift on the bundle's library.
pub(super) fn whole(pack: &Pack, catalogue: &Catalogue) -> Result<(), Failure> {
    let mut problems: Vec<String> = Vec::new();
    let mut check = |bundle: &Bundle| {
        problems.extend(checked(bundle, catalogue).err().into_iter().flatten());
    };
    for name in pack.runbooks() {
        pack.file(name).into_iter().for_each(|main| check(&library::around(main, Some(pack))));
    }
    for book in stock().iter().filter(|book| pack.file(book.name).is_none()) {
        check(&library::around(
            &Source { name: book.name.to_owned(), text: book.text.to_owned() },
            Some(pack),
        ));
    }
    for main in pack.tests().filter(|main| holds_tests(&main.text)) {
        let mut bundle = library::around(main, Some(pack));
        bundle.libs.extend(pack.tests().filter(|other| other.name != main.name).cloned());
        let found = examine_tests(bundle.clone(), catalogue).findings;
        problems.extend(found.iter().filter(|one| one.is_error()).map(|one| one.render(&bundle)));
    }
    let mut check = |bundle: &Bundle| {
        problems.extend(checked(bundle, catalogue).err().into_iter().flatten());
    };
    // A file of the library that nothing imports, and what tests share, are looked at by what would import them.
    let used: Vec<String> = pack.content.files.iter().flat_map(mentioned).collect();
    let alone = |file: &&Source| super::is_room(&file.name) && !used.contains(&file.name);
    for file in pack.content.files.iter().filter(alone).filter(|file| !holds_tests(&file.text)) {
        let text =
            format!("import \"{}\" as it;\nconst RUNBOOK = #{{ api: 1, summary: \"a look\" }};\n", file.name);
        let mut bundle = library::around(&Source { name: "a look".to_owned(), text }, Some(pack));
        if pack.library().all(|known| known.name != file.name) {
            bundle.libs.push(file.clone());
        }
        check(&bundle);
    }
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    if problems.is_empty() {
        return Ok(());
    }
    let text = format!("the bundle {} does not pass the checks", pack.shipped);
    Err(Failure::new("bundle_invalid", text).evidence(problems).hint("mend these lines; nothing was written"))
}

/// What `uplift.toml` says of parameters of a runbook that it does not have, or not so.
fn unfit(name: &str, said: &BTreeMap<String, String>, runbook: &Runbook) -> Vec<String> {
    let wrong = |(param, value): (&String, &String)| {
        let (why, hint) = given::fits(runbook.header(), param, value).err()?;
        Some(format!("`{param}` under `[params.\"{name}\"]` in `uplift.toml`: {why} ({hint})"))
    };
    said.iter().filter_map(wrong).collect()
}

/// Names of library files that a script imports, or mentions.
pub(super) fn mentioned(source: &Source) -> Vec<String> {
    source.text.split('"').filter(|text| text.starts_with("lib/")).map(str::to_owned).collect()
}

/// Refuses a bundle with which something would no longer pass that passes now. What does not pass now either is told.
pub(super) async fn stays_whole(
    layer: Layer<'_>,
    (from, to): (Option<&Pack>, Option<&Pack>),
    catalogue: &Catalogue,
) -> Result<Vec<String>, Failure> {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    let said = survey::params(layer.site, layer.files).await?;
    for name in names(layer, to).await? {
        let wrong = match load(&name, layer, to, catalogue).await {
            Ok(runbook) => said.get(&name).map(|said| unfit(&name, said, &runbook)).unwrap_or_default(),
            Err(wrong) => wrong,
        };
        if wrong.is_empty() {
            continue;
        }
        if load(&name, layer, from, catalogue).await.is_err() {
            notes.push(format!("`{name}` does not pass the checks, neither now nor with this change"));
            continue;
        }
        problems.extend(wrong.into_iter().filter(|one| !problems.contains(one)).collect::<Vec<_>>());
    }
    if problems.is_empty() {
        return Ok(notes);
    }
    let what =
        to.map_or_else(|| "what ships with uplift".to_owned(), |pack| format!("the bundle {}", pack.shipped));
    let failure = Failure::new("bundle_unfit", format!("what this site changes does not fit {what}"));
    Err(failure.evidence(problems).hint(
        "change the site's own files as these lines say, then type this again; until then what is installed stays",
    ))
}
