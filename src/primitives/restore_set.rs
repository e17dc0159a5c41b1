mod set_fits;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::set_fits::{bare, decide_jobs, jobs_found, jobs_to_decide, of_this_site, onlookers, tell_bare};
use super::{
    contract::Read,
    return_point::{Jobs, RestoreData},
    set_config::{differing, same_keys, variables},
    set_of::{as_named_here, server},
    way_back::{also, also_found, tag, written},
};
use crate::{
    backups::{self, ImageEntry, Manifest},
    event::{Choice, Failure, Question, moment_of},
    ports::{
        Observe,
        project::{of_service, repository},
    },
    site::{Moment, NameToGive, Storage, Written, fingerprints},
};

/// Find a backup set, prove it, and say what it would cost to restore it here.
///
/// Nothing is decided: what users wrote since the set was made is counted where the server is the same, and a person has
/// said beforehand that it may be put aside, or is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreSet {
    /// The set by its name, or by its folder.
    pub set: String,
    /// Whether what was written since may be put aside: `ask`, `always`.
    #[serde(default)]
    pub restore_data: RestoreData,
    /// Whether jobs of the restored queue have been decided on, where web runs them itself: `ask`, `run`, `hold`.
    #[serde(default)]
    pub jobs: Jobs,
    /// Whether the configuration of the set goes back too, and its keys with it.
    #[serde(default)]
    pub config: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The set's name.
    pub set: String,
    /// Its folder.
    pub path: PathBuf,
    /// The release that ran when it was made.
    pub version: String,
    /// The tag under which compose finds exactly what ran.
    pub tag: String,
    /// Names that images must get before, each to be handed to `image_name`: `image` (an id) and `reference` (the name).
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub names: Vec<NameToGive>,
    /// Uploaded files are in it, and this site keeps its own on this host.
    pub files: bool,
    /// Files of the configuration that are other than in the set.
    pub config: Vec<String>,
    /// The product's databases are there now.
    pub replaces: bool,
    /// The product has no container yet: a host that has lost it.
    pub empty: bool,
    /// Containers of others that have the uploaded files mounted: until they are started again they see those of before.
    pub onlookers: Vec<String>,
    /// Fingerprints of the keys that the site must have afterwards, by name.
    pub keys: BTreeMap<String, String>,
}

impl Read for RestoreSet {
    const NAME: &'static str = "restore_set";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            set: "20261120-031500-0001".to_owned(),
            restore_data: RestoreData::Always,
            jobs: Jobs::Hold,
            config: false,
        }
    }

    fn summary(&self) -> String {
        format!("read the set `{}` to its end", self.set)
    }

    fn result(outcome: &Outcome) -> String {
        let files = if outcome.files { " and uploaded files" } else { "" };
        format!("`{}` is whole: databases{files} of {}", outcome.path.display(), outcome.version)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let path = self.path(site);
        let manifest = backups::find(site.files, &path).await?.fit()?.clone();
        of_this_site(&manifest, site);
        same_keys(&manifest, &path, self.config, site)?;
        let then = if self.config { Some(variables(&manifest, &path, site).await?) } else { None };
        if let Some(then) = &then {
            then.keep_the_data(&path, site)?;
        }
        server(&manifest, site).await?;
        let entries = as_named_here(&manifest, site)?;
        let names: Vec<_> = entries.iter().map(|one| one.facts.name.clone()).collect();
        let live = site.postgres.databases(&site.site.databases.endpoint, &names).await?;
        let (tag, names) = tag_of(&manifest, site).await?;
        let proved = backups::prove(&manifest, &path, site.into()).await?;
        if let Some(why) = proved.why {
            site.tell.warn(why);
        }
        let values = then.as_ref().map(|both| &both.then);
        if !live.is_empty() && self.restore_data != RestoreData::Always {
            let jobs = jobs_to_decide(&manifest, values, site);
            let question = question(&manifest, (&jobs, self.jobs), site).await?;
            return Err(Failure::asks("choice_needed", question));
        }
        decide_jobs(&manifest, self.jobs, values, site)?;
        tell_bare(&manifest, site);
        if !live.is_empty() {
            site.tell.warn(put_aside(&manifest, site).await);
        }
        let config = match differing(&manifest, &path, site).await {
            // Nothing of it is used then.
            Err(failure) if failure.code == "config_ambiguous" && !self.config => {
                site.tell.warn(failure.message);
                Vec::new()
            }
            found => found?,
        };
        for file in &config {
            site.tell.warn(file.in_words());
        }
        let files = files(&manifest, site);
        let onlookers = if files { onlookers(site).await? } else { Vec::new() };
        for name in &onlookers {
            site.tell.warn(format!(
                "`{name}` has the uploaded files mounted: it sees those of before until it is started again"
            ));
        }
        Ok(Outcome {
            files,
            config: config.into_iter().map(|file| file.path.display().to_string()).collect(),
            replaces: !live.is_empty(),
            empty: empty(site).await?,
            onlookers,
            keys: self.keys(&manifest, site),
            set: manifest.set,
            version: manifest.version,
            path,
            tag,
            names,
        })
    }
}

impl RestoreSet {
    fn path(&self, site: Observe<'_>) -> PathBuf {
        if self.set.contains('/') {
            PathBuf::from(&self.set)
        } else {
            backups::folder(site.site).join(&self.set)
        }
    }

    fn keys(&self, manifest: &Manifest, site: Observe<'_>) -> BTreeMap<String, String> {
        if self.config && !manifest.config.is_empty() {
            manifest.key_fingerprints.clone()
        } else {
            fingerprints(&site.site.secrets)
        }
    }
}

/// Whether the product has no container. A database of the project's own may be there: it has to run for a restore.
async fn empty(site: Observe<'_>) -> Result<bool, Failure> {
    for service in site.site.product() {
        if !of_service(site.docker, &site.site.project, &service.name).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether uploaded files go back from the set; if not, why, for whoever watches.
fn files(manifest: &Manifest, site: Observe<'_>) -> bool {
    match (&manifest.storage, &site.site.storage) {
        (Some(_), Storage::Local { .. }) => true,
        (Some(_), Storage::Object { kind }) => {
            site.tell.warn(format!("uploaded files are in `{kind}` here: those of the set are not used"));
            false
        }
        (None, _) => {
            site.tell.warn("no uploaded files are in the set: those of now stay".to_owned());
            false
        }
    }
}

/// The tag under which compose finds exactly what ran when the set was made, and the names that images need for that.
async fn tag_of(manifest: &Manifest, site: Observe<'_>) -> Result<(String, Vec<NameToGive>), Failure> {
    let mut ran = Vec::new();
    for image in manifest.images.values() {
        ran.push((repository(&image.reference).to_owned(), here(image, site).await?));
    }
    tag(&manifest.version, &manifest.set, &ran, site).await
}

/// The id of an image of the set on this host.
async fn here(image: &ImageEntry, site: Observe<'_>) -> Result<String, Failure> {
    if let Some(found) = site.docker.image(&image.id).await? {
        return Ok(found.id);
    }
    let by_digest = image.digest.as_ref().map(|digest| {
        let digest = digest.rsplit_once('@').map_or(digest.as_str(), |(_, digest)| digest);
        format!("{}@{digest}", repository(&image.reference))
    });
    if let Some(reference) = &by_digest
        && let Some(found) = site.docker.image(reference).await?
    {
        return Ok(found.id);
    }
    let text = format!("the release of the set is not on this host (`{}`)", image.reference);
    let failure = Failure::new("image_missing", text);
    Err(match by_digest {
        Some(reference) => failure.hint(format!("bring it by its digest: `docker pull {reference}`")),
        None => failure.hint("no registry knew it: load it from a copy with `docker load`"),
    })
}

/// Whether what was written since may be put aside, with what that is.
///
/// `jobs`: what may be said of the jobs of the restored queue, and what was.
async fn question(
    manifest: &Manifest,
    (jobs, said): (&[String], Jobs),
    site: Observe<'_>,
) -> Result<Question, Failure> {
    let mut found = Vec::new();
    let cost = match since(manifest, site).await {
        Ok(written) => {
            if written.rows == 0 {
                found.push("no rows were written since the set was made".to_owned());
            }
            found.extend(written.in_words());
            found.push(Written::UNCOUNTED.to_owned());
            written.cost()
        }
        Err(failure) => {
            let made = moment_of(&manifest.created_at);
            found.push(format!("what was written since {made} cannot be counted: {failure}"));
            "rows that nobody can count".to_owned()
        }
    };
    found.extend(bare(manifest));
    if !jobs.is_empty() {
        found.push(jobs_found(manifest));
        found.extend(also_found(jobs, said));
    }
    let choices = vec![Choice {
        key: "always".to_owned(),
        does: format!(
            "load the set beside, stop the site, let it take the databases' places, run `{}`",
            manifest.version
        ),
        costs: format!("{cost} are put aside with the databases of now, which stay under another name"),
        also: also(jobs, said),
    }];
    let text = format!(
        "databases are there: may what was written since the set of {} be put aside?",
        moment_of(&manifest.created_at)
    );
    Ok(Question { address: String::new(), text, found, choices, flag: Some("restore-data".to_owned()) })
}

/// What a restore costs that somebody has decided on before.
async fn put_aside(manifest: &Manifest, site: Observe<'_>) -> String {
    let made = moment_of(&manifest.created_at);
    match since(manifest, site).await {
        Ok(written) => format!("since {made}: {}", written.put_aside(None)),
        Err(failure) => {
            format!("what was written since {made} is put aside, and cannot be counted: {failure}")
        }
    }
}

/// What users wrote since the set was made, counted where the server is the very same.
async fn since(manifest: &Manifest, site: Observe<'_>) -> Result<Written, Failure> {
    let unknown = |why: &str| Failure::new("cannot_count", why);
    let (Some(then), Some(snapshot)) = (&manifest.server, &manifest.snapshot) else {
        return Err(unknown("the set does not say its moment"));
    };
    let all = &site.site.databases;
    let now = site.postgres.server(&all.endpoint, all.primary()).await?;
    let same = if then.system.is_empty() || now.system.is_empty() {
        (then.host.as_str(), then.port) == (all.endpoint.host.as_str(), all.endpoint.port)
    } else {
        then.system == now.system
    };
    if !same {
        return Err(unknown("the set is of another server"));
    }
    let at = manifest.created_at.parse().map_err(|_| unknown("the set does not say when it was made"))?;
    let entries = as_named_here(manifest, site)?.into_iter();
    let sequences = entries.map(|one| (one.facts.name.clone(), one.sequences.clone())).collect();
    written(&Moment { snapshot: snapshot.text.clone(), at, sequences }, site).await
}
