//! Removing what retention lets go. Everything is judged again right before it goes.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    list::{DELETING, Listed, list},
    prove::{Eyes, hashes},
    retention::{Judged, judge, judge_databases, stand_ins},
    set::folder,
};
use crate::{
    event::{Failure, moment_of},
    ports::{
        Observe, Operate,
        files::{Remove, Rename},
        postgres::{DropDatabase, KeptDatabase, Mark},
    },
    site::Endpoint,
};

/// What is to go, decided by reading.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PrunePlan {
    pub folder: PathBuf,
    #[schemars(with = "serde_json::Value")]
    pub endpoint: Endpoint,
    /// Of which databases of the site copies are looked for.
    pub of: Vec<String>,
    pub keep: usize,
    /// A database that somebody wants gone before its time.
    pub named: Option<String>,
    pub sets: Vec<Goes>,
    pub databases: Vec<Goes>,
    /// Folders that an earlier removal has left.
    pub leftovers: Vec<String>,
    /// When the backups that take the places of those that go were read. Empty in what an older uplift decided.
    #[serde(default)]
    pub read_at: String,
}

/// For how long it counts that a backup was read to its end.
const READ: SignedDuration = SignedDuration::from_hours(1);

/// One thing that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Goes {
    pub name: String,
    pub bytes: u64,
    pub why: String,
    /// Of a database: a name may be another's by now.
    #[serde(default)]
    pub oid: u32,
}

/// What retention says of everything there is.
pub struct Judgement {
    pub sets: Vec<(Listed, Judged)>,
    pub databases: Vec<(KeptDatabase, Judged)>,
    /// Folders that an earlier removal has left.
    pub leftovers: Vec<String>,
}

/// Judges everything: sets of the site, and databases that uplift has made of the site's.
pub async fn judgement(keep: usize, named: Option<&str>, site: Observe<'_>) -> Result<Judgement, Failure> {
    let now = site.clock.now();
    let sets = list(site.files, &folder(site.site)).await?;
    let judged = judge(&sets, now, keep);
    let all = &site.site.databases;
    let of: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
    let kept = site.postgres.kept(&all.endpoint, &of).await?;
    let databases = judge_databases(&kept, now, named);
    if let Some(named) = named
        && !databases.iter().any(|one| one.name == named && one.goes)
    {
        let text = format!("`{named}` is no database that uplift has made of this site's");
        return Err(Failure::new("not_ours", text).hint("`uplift status` lists those that it has made"));
    }
    let there = site.files.list(&folder(site.site)).await?;
    // Where nothing can be relied on, the rest of a backup may be all that there is.
    let relied = !stand_ins(&sets, now, &[DELETING]).is_empty();
    Ok(Judgement {
        leftovers: there.into_iter().filter(|name| relied && name.starts_with(DELETING)).collect(),
        sets: sets.into_iter().zip(judged).collect(),
        databases: kept.into_iter().zip(databases).collect(),
    })
}

/// What stays and why, a sentence for each reason: sets by their reason, databases by the run that has made them.
#[must_use]
pub fn why_it_stays(judgement: &Judgement) -> Vec<String> {
    let mut lines = in_groups(judgement.sets.iter().map(|(_, judged)| judged));
    let mut runs: Vec<(&Mark, Vec<String>)> = Vec::new();
    for (one, judged) in judgement.databases.iter().filter(|(_, judged)| !judged.goes) {
        let Some(mark) = &one.mark else {
            lines.push(format!("`{}`: {}", one.name, judged.why));
            continue;
        };
        let like = |known: &&mut (&Mark, Vec<String>)| {
            (known.0.kind, &known.0.run, &known.0.expires) == (mark.kind, &mark.run, &mark.expires)
        };
        match runs.iter_mut().find(like) {
            Some((_, names)) => names.push(format!("`{}`", one.name)),
            None => runs.push((mark, vec![format!("`{}`", one.name)])),
        }
    }
    // With their names: whoever wants one of them gone sooner, or wants to look into it, names it.
    let of_run = |(mark, names): (&Mark, Vec<String>)| {
        let what = mark.kind.of_run(names.len(), &mark.run);
        format!("{what} until {}: {}", moment_of(&mark.expires), names.join(", "))
    };
    lines.extend(runs.into_iter().map(of_run));
    lines
}

/// What stays, a sentence for each reason.
#[must_use]
pub fn in_groups<'a>(judged: impl Iterator<Item = &'a Judged>) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for Judged { name, why, .. } in judged.filter(|judged| !judged.goes) {
        match groups.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => groups.push((why, vec![name])),
        }
    }
    groups.into_iter().map(|(why, names)| format!("{}: {why}", some(&names))).collect()
}

/// All of them while they can be read at a glance.
fn some(names: &[&str]) -> String {
    match names {
        [first, _, _, rest @ ..] if !rest.is_empty() => format!("`{first}` and {} more", names.len() - 1),
        _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

/// Decides what goes. The verified sets that take the places of what goes are read first: old ones must not go while those
/// are rotten.
pub async fn plan_prune(keep: usize, named: Option<String>, site: Observe<'_>) -> Result<PrunePlan, Failure> {
    let Judgement { sets, databases, leftovers } = judgement(keep, named.as_deref(), site).await?;
    let goes = |name: String, bytes, oid, judged: Judged| Goes { name, bytes, why: judged.why, oid };
    let sets = sets.into_iter().filter(|(_, judged)| judged.goes);
    let databases = databases.into_iter().filter(|(_, judged)| judged.goes);
    let mut plan = PrunePlan {
        endpoint: site.site.databases.endpoint.clone(),
        of: site.site.databases.all.iter().map(|one| one.name.clone()).collect(),
        keep,
        named,
        sets: sets.map(|(set, judged)| goes(set.set, set.bytes, 0, judged)).collect(),
        databases: databases.map(|(one, judged)| goes(one.name, one.size, one.oid, judged)).collect(),
        leftovers,
        folder: folder(site.site),
        read_at: String::new(),
    };
    others_are_whole(&plan, site).await?;
    plan.read_at = site.clock.now().to_string();
    Ok(plan)
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    /// Backups that were removed, by their names.
    pub sets: Vec<String>,
    /// Kept databases that were dropped.
    pub databases: Vec<String>,
    /// Bytes that are free again.
    pub bytes: u64,
    /// What was to go and stays after all, and why.
    pub stays: Vec<String>,
}

/// Removes what was planned, as far as it still may go.
pub async fn prune(plan: &PrunePlan, site: Operate<'_>) -> Result<Pruned, Failure> {
    let mut pruned = Pruned::default();
    // It was just read, unless this goes on with what was stopped.
    let age = plan.read_at.parse().map(|at: Timestamp| site.clock.now().duration_since(at));
    if !age.is_ok_and(|age| !age.is_negative() && age < READ) {
        others_are_whole(plan, site.observe()).await?;
    }
    for name in &plan.leftovers {
        remove(&plan.folder.join(name), "rest of a removed backup", site).await?;
    }
    for goes in &plan.sets {
        match still_goes(plan, goes, site.observe()).await? {
            Still::Goes => remove_set(plan, goes, site).await.map_err(|failure| so_far(failure, &pruned))?,
            Still::Gone => finish_set(plan, goes, site).await.map_err(|failure| so_far(failure, &pruned))?,
            Still::Stays(why) => {
                pruned.stays.push(format!("`{}`: {why}", goes.name));
                continue;
            }
        }
        pruned.sets.push(goes.name.clone());
        pruned.bytes += goes.bytes;
    }
    for goes in &plan.databases {
        let kept = site.postgres.kept(&plan.endpoint, &plan.of).await?;
        let now = site.clock.now();
        let there = kept.iter().filter(|one| one.name == goes.name && one.oid == goes.oid);
        let there: Vec<_> = there.cloned().collect();
        let judged = judge_databases(&there, now, plan.named.as_deref());
        match judged.first() {
            Some(judged) if !judged.goes => {
                pruned.stays.push(format!("`{}`: {}", goes.name, judged.why));
                continue;
            }
            Some(_) => {
                let (endpoint, name) = (plan.endpoint.clone(), goes.name.clone());
                let drop = DropDatabase { endpoint, name, oid: goes.oid };
                site.postgres.drop_database(&drop).await.map_err(|failure| so_far(failure, &pruned))?;
            }
            None => {}
        }
        pruned.databases.push(goes.name.clone());
        pruned.bytes += goes.bytes;
    }
    gone(plan, &pruned, site.observe()).await?;
    Ok(pruned)
}

/// What of the planned things is there yet, by name.
pub async fn left(plan: &PrunePlan, site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let names = site.files.list(&plan.folder).await?;
    let set = |name: &&String| names.contains(name) || names.contains(&deleting(name));
    let sets = plan.sets.iter().map(|goes| &goes.name).filter(set);
    let leftovers = plan.leftovers.iter().filter(|name| names.contains(name));
    let mut there: Vec<_> = sets.chain(leftovers).cloned().collect();
    if !plan.databases.is_empty() {
        let kept = site.postgres.kept(&plan.endpoint, &plan.of).await?;
        let known = plan.databases.iter().filter(|goes| kept.iter().any(|one| one.oid == goes.oid));
        there.extend(known.map(|goes| goes.name.clone()));
    }
    Ok(there)
}

/// What of the planned things is there no more, by name. A set without its own name is none, whatever is left of it.
pub async fn removed(plan: &PrunePlan, site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let mut there = left(plan, site).await?;
    let names = site.files.list(&plan.folder).await?;
    there.retain(|name| names.contains(name) || !plan.sets.iter().any(|goes| goes.name == *name));
    let all = plan.sets.iter().chain(&plan.databases).map(|goes| &goes.name).chain(&plan.leftovers);
    Ok(all.filter(|name| !there.contains(name)).cloned().collect())
}

fn deleting(name: &str) -> String {
    format!("{DELETING}{name}")
}

enum Still {
    Goes,
    Gone,
    Stays(String),
}

async fn still_goes(plan: &PrunePlan, goes: &Goes, site: Observe<'_>) -> Result<Still, Failure> {
    let sets = list(site.files, &plan.folder).await?;
    let judged = judge(&sets, site.clock.now(), plan.keep);
    Ok(match judged.into_iter().find(|judged| judged.name == goes.name) {
        None => Still::Gone,
        Some(judged) if judged.goes => Still::Goes,
        Some(judged) => Still::Stays(judged.why),
    })
}

/// Under another name first: half a set must never stand under a good name.
async fn remove_set(plan: &PrunePlan, goes: &Goes, site: Operate<'_>) -> Result<(), Failure> {
    let (from, to) = (plan.folder.join(&goes.name), plan.folder.join(deleting(&goes.name)));
    let what = "on its way out".to_owned();
    site.files.rename(&Rename { from, to: to.clone(), what }).await?;
    remove(&to, &format!("backup `{}`: {}", goes.name, goes.why), site).await
}

/// What an earlier attempt had renamed and not yet removed.
async fn finish_set(plan: &PrunePlan, goes: &Goes, site: Operate<'_>) -> Result<(), Failure> {
    let name = deleting(&goes.name);
    if site.files.list(&plan.folder).await?.contains(&name) {
        remove(&plan.folder.join(name), "rest of a removed backup", site).await?;
    }
    Ok(())
}

async fn remove(path: &Path, what: &str, site: Operate<'_>) -> Result<(), Failure> {
    site.files.remove(&Remove { path: path.to_owned(), what: what.to_owned() }).await
}

/// Whether the backups that take the places of what goes are what was written, every byte of them.
async fn others_are_whole(plan: &PrunePlan, site: Observe<'_>) -> Result<(), Failure> {
    let goes: Vec<_> =
        plan.sets.iter().map(|goes| &goes.name).chain(&plan.leftovers).map(String::as_str).collect();
    let sets = list(site.files, &plan.folder).await?;
    for set in stand_ins(&sets, site.clock.now(), &goes) {
        let Some(manifest) = &set.manifest else { continue };
        hashes(manifest, &set.path, Eyes::from(site)).await.map_err(|failure| {
            if failure.code != "set_damaged" {
                return failure;
            }
            let hint =
                format!("nothing was removed; make a new backup, and see `uplift backup verify {}`", set.set);
            failure.hint(hint)
        })?;
    }
    Ok(())
}

/// An answer is no proof: what was said to be removed is looked for.
async fn gone(plan: &PrunePlan, pruned: &Pruned, site: Observe<'_>) -> Result<(), Failure> {
    let there = left(plan, site).await?.len();
    if there <= pruned.stays.len() {
        return Ok(());
    }
    let failure =
        Failure::new("not_removed", format!("{there} of the things that were to go are still there"))
            .hint("see which with `uplift backup prune --dry-run`, then type the command again");
    Err(so_far(failure, pruned))
}

/// What is already gone belongs to the truth about a failure.
fn so_far(failure: Failure, pruned: &Pruned) -> Failure {
    let gone = pruned.sets.iter().chain(&pruned.databases);
    let gone: Vec<_> = gone.map(|name| format!("removed before that: `{name}`")).collect();
    failure.evidence(gone)
}
