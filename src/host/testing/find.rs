//! Where tests lie: in the site's `uplift/tests/`, in a bundle's `tests/`, in uplift itself, and wherever somebody says.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    own::Own,
    suite::{Ground, Group, Suite, Whose},
};
use crate::{
    event::Failure,
    host::{
        door::HostBuilder,
        error::HostError,
        imports,
        layer::{Layer, TESTS},
        library,
        vendor::{Bundles, Offer, Pack, Packed},
    },
    ports::files::Files,
    primitives::contract::{Catalogue, suggest},
    script::{self, Bundle, Source},
};

/// What a folder has that is to become a bundle.
const MANIFEST: &str = "manifest.toml";
const END: &str = ".rhai";
/// What the names of tests in uplift and in a bundle begin with.
const ROOM: &str = "tests/";

/// A test file that was found.
struct Found {
    bundle: Bundle,
    /// The folder that it lies in.
    folder: PathBuf,
}

/// The files of one origin, with what their simulated sites get.
struct Origin {
    whose: Whose,
    found: Vec<Found>,
    ground: Ground,
}

impl HostBuilder {
    /// The tests that `names` mean: files, folders of a bundle or a site, names of runbooks. Without any those of the site and
    /// those that ship with uplift. No site is looked for.
    ///
    /// # Errors
    ///
    /// `tests_invalid` with all that is wrong with them; `no_tests` where there is none.
    pub async fn tests(&self, names: &[String]) -> Result<Suite, HostError> {
        let mut origins = Vec::new();
        if names.is_empty() {
            origins.push(self.of_site(None).await?);
            origins.push(self.of_stock(None)?);
        }
        for name in names {
            origins.extend(self.named(name).await?);
        }
        let suite = suite(origins)?;
        if suite.names().next().is_none() {
            let failure = Failure::new("no_tests", "there are no tests here").hint(WRITE);
            return Err(HostError::Invalid(failure));
        }
        Ok(suite)
    }

    /// The tests in a folder that has become a bundle, on the bundle's own runbooks. There may be none.
    pub fn tests_of(&self, packed: &Packed) -> Result<Suite, HostError> {
        suite(vec![of_bundle(packed.pack(), self.offered())])
    }

    /// A test file as it is looked through before it runs.
    pub(in crate::host) async fn test_file(&self, name: &str) -> Result<Bundle, HostError> {
        let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
        let origin = self.of_file(name, &path).await?;
        let found = origin.found.into_iter().next().map(|found| found.bundle);
        found.ok_or_else(|| HostError::Invalid(missing(name)))
    }

    fn of_stock(&self, name: Option<&str>) -> Result<Origin, HostError> {
        let all = library::stock_tests().iter();
        let meant = all.filter(|book| name.is_none_or(|name| book.name == format!("{ROOM}{name}")));
        let found = meant.map(|book| {
            let main = Source { name: book.name.to_owned(), text: book.text.to_owned() };
            Found { bundle: library::around(&main, None), folder: PathBuf::new() }
        });
        let (whose, found) = (Whose::Stock, found.collect());
        Ok(Origin { whose, found, ground: ground(self.own_files()?, self.offered()) })
    }

    /// Those of the site that is meant, all of them or the one of this name.
    async fn of_site(&self, name: Option<&str>) -> Result<Origin, HostError> {
        let (files, folder) = self.own_scripts()?;
        of_folder((files, &folder), self.offered(), self.shipped().await?, name).await
    }

    /// A file, a folder, or the name of a runbook.
    async fn named(&self, name: &str) -> Result<Vec<Origin>, HostError> {
        let (files, _) = self.own_scripts()?;
        let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
        if library::is_file(name) {
            return Ok(vec![self.of_file(name, &path).await?]);
        }
        if files.size(&path.join(MANIFEST)).await?.is_some() {
            return Ok(vec![of_bundle(self.packed(&path).await?.pack(), self.offered())]);
        }
        let plain = name.strip_prefix("uplift/").unwrap_or(name);
        let plain = plain.strip_prefix(ROOM).unwrap_or(plain);
        let mut origins = vec![self.of_site(Some(plain)).await?, self.of_stock(Some(plain))?];
        origins.retain(|origin| !origin.found.is_empty());
        if !origins.is_empty() {
            return Ok(origins);
        }
        if !files.list(&path).await?.is_empty() {
            let pack = self.shipped_in(&path).await?;
            let origin = of_folder((files, &path), self.offered(), pack, None).await?;
            if origin.found.is_empty() {
                let text = format!("`{name}` has no tests: it has neither `uplift/tests/` nor `{MANIFEST}`");
                return Err(HostError::Invalid(Failure::new("no_tests", text).hint(WRITE)));
            }
            return Ok(vec![origin]);
        }
        Err(HostError::Invalid(self.none_named(name, plain).await?))
    }

    async fn none_named(&self, name: &str, plain: &str) -> Result<Failure, HostError> {
        let (files, folder) = self.own_scripts()?;
        let mut known = Layer { files: &*files, site: &folder, bundles: None, given: None }.tests().await?;
        let stock = library::stock_tests().iter().map(|book| book.name.trim_start_matches(ROOM));
        known.extend(stock.map(str::to_owned));
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let hint = format!("{} (a file needs its path, e.g. `./{plain}.rhai`)", suggest(plain, &known));
        Ok(Failure::new("no_tests", format!("there are no tests `{name}`")).hint(hint))
    }

    /// A file that was named: of the site or the bundle in whose folder it lies, else of the site that is meant.
    async fn of_file(&self, name: &str, path: &Path) -> Result<Origin, HostError> {
        let (files, meant) = self.own_scripts()?;
        if let Some(dir) = bundle_of(path)
            && files.size(&dir.join(MANIFEST)).await?.is_some()
        {
            let mut origin = of_bundle(self.packed(&dir).await?.pack(), self.offered());
            let inside = path.strip_prefix(&dir).unwrap_or(path).with_extension("");
            origin.found.retain(|found| Path::new(&found.bundle.main.name) == inside);
            return Ok(origin);
        }
        let (site, pack) = match site_of(path) {
            Some(site) => (site.clone(), self.shipped_in(&site).await?),
            None => (meant, self.shipped().await?),
        };
        let layer = Layer { files: &*files, site: &site, bundles: None, given: pack.as_ref() };
        let found = vec![read(path, name, layer).await?];
        let own = Own::of(&site, &*files).await?;
        let ground = Ground { own, pack: pack.map(Arc::new), ..ground(Arc::clone(&files), self.offered()) };
        Ok(Origin { whose: Whose::File, found, ground })
    }
}

impl Bundles {
    /// The tests that tell whether an offered bundle does here what it should: the site's own, with the bundle on top, and the
    /// bundle's, by this uplift. There may be none.
    pub async fn tests(&self, offer: &Offer) -> Result<Suite, HostError> {
        let Some(pack) = offer.pack() else { return suite(Vec::new()) };
        let (files, folder) = self.own_scripts();
        let site = of_folder((Arc::clone(files), folder), self.offered(), Some(pack.clone()), None).await?;
        suite(vec![site, of_bundle((pack.clone(), Arc::clone(files)), self.offered())])
    }
}

fn ground(files: Arc<dyn Files>, catalogue: &Catalogue) -> Ground {
    Ground { files, own: Own::default(), pack: None, catalogue: Arc::new(catalogue.clone()) }
}

/// Those of a bundle, on its own runbooks.
fn of_bundle((pack, files): (Pack, Arc<dyn Files>), catalogue: &Catalogue) -> Origin {
    let found = pack.tests().map(|main| {
        let mut bundle = library::around(main, Some(&pack));
        bundle.libs.extend(pack.tests().filter(|other| other.name != main.name).cloned());
        Found { bundle, folder: PathBuf::new() }
    });
    // What tests share is a file without any.
    let found = found.filter(|found| script::holds_tests(&found.bundle.main.text)).collect();
    let ground = Ground { pack: Some(Arc::new(pack)), ..ground(files, catalogue) };
    Origin { whose: Whose::Bundle, found, ground }
}

/// Those in a site's folder, with this bundle on top.
async fn of_folder(
    (files, site): (Arc<dyn Files>, &Path),
    catalogue: &Catalogue,
    pack: Option<Pack>,
    name: Option<&str>,
) -> Result<Origin, HostError> {
    let mut found = Vec::new();
    let layer = Layer { files: &*files, site, bundles: None, given: pack.as_ref() };
    for known in layer.tests().await? {
        if name.is_none_or(|name| name == known) {
            let name = format!("{TESTS}{known}");
            let one = read(&site.join(format!("{name}{END}")), &name, layer).await?;
            // What tests share is a file without any.
            found.extend(Some(one).filter(|one| script::holds_tests(&one.bundle.main.text)));
        }
    }
    let own = if found.is_empty() { Own::default() } else { Own::of(site, &*files).await? };
    let ground = Ground { own, pack: pack.map(Arc::new), ..ground(Arc::clone(&files), catalogue) };
    Ok(Origin { whose: Whose::Site, found, ground })
}

const WRITE: &str =
    "a site's own lie in `uplift/tests/NAME.rhai`; `docs/testing.md` tells how they are written";

fn missing(name: &str) -> Failure {
    Failure::new("no_tests", format!("there is no test file `{name}`"))
        .hint("`uplift runbook test --list` names the tests that there are")
}

/// A test file with all that it imports.
async fn read(path: &Path, name: &str, layer: Layer<'_>) -> Result<Found, HostError> {
    let file = layer.files.read(path).await?.ok_or_else(|| HostError::Invalid(missing(name)))?;
    let text = String::from_utf8(file.bytes).map_err(|_| {
        let failure = Failure::new("runbook_not_text", format!("`{name}` is not UTF-8 text"));
        HostError::Invalid(failure.hint("save it as UTF-8"))
    })?;
    let own = imports::beside(path, &text, layer.files).await?;
    let mut bundle = library::around(&Source { name: name.to_owned(), text }, layer.given);
    bundle.libs.retain(|stock| own.iter().all(|own| own.name != stock.name));
    bundle.libs.extend(own);
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Found { bundle: layer.with_library(bundle).await?, folder })
}

/// The site in whose `uplift/tests/` a file lies.
fn site_of(path: &Path) -> Option<PathBuf> {
    let tests = path.ancestors().find(|folder| folder.ends_with(TESTS))?;
    Some(tests.parent()?.parent()?.to_owned())
}

/// The folder in whose `tests/` a file lies.
fn bundle_of(path: &Path) -> Option<PathBuf> {
    let tests = path.ancestors().skip(1).find(|folder| folder.ends_with(ROOM))?;
    Some(tests.parent()?.to_owned())
}

fn suite(origins: Vec<Origin>) -> Result<Suite, HostError> {
    let (mut groups, mut problems) = (Vec::new(), Vec::new());
    for Origin { whose, found, ground } in origins {
        let ground = Arc::new(ground);
        for Found { bundle, folder } in found {
            let examined = script::examine_tests(bundle.clone(), &ground.catalogue);
            let errors = examined.findings.iter().filter(|finding| finding.is_error());
            problems.extend(errors.map(|finding| finding.render(&bundle)));
            let group = |tests| Group { whose, tests, ground: Arc::clone(&ground), folder };
            groups.extend(examined.tests.map(group));
        }
    }
    if problems.is_empty() {
        return Ok(Suite { groups });
    }
    let failure = Failure::new("tests_invalid", "these tests do not pass the checks").evidence(problems);
    Err(HostError::Invalid(failure.hint("mend these lines: none of the tests was run")))
}
