//! What all primitives have in common that make a backup set, or a part of one.

use std::path::PathBuf;

use super::contract::{Found, Size, Undone};
use crate::{
    backups::{self, Level, Made, Part, SetPlan},
    event::Failure,
    ports::{Observe, Operate, files::Remove},
};

pub(super) fn summary(plan: &SetPlan) -> String {
    let mut parts = Vec::new();
    if let Some(dumps) = &plan.dumps {
        let bare = dumps.without_rows.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let bare = if bare.is_empty() { String::new() } else { format!(" (no rows of {})", bare.join(", ")) };
        parts.push(format!("{} databases{bare}", dumps.databases.len()));
    }
    if let Some(tree) = &plan.tree {
        parts.push(format!("{} uploaded files ({})", tree.facts.files, Size(tree.facts.bytes)));
    }
    if parts.is_empty() {
        parts.push(Part::Configuration.to_string());
    }
    format!("back up {} to `{}`", parts.join(" and "), plan.folder.join(&plan.set).display())
}

pub(super) fn result(made: &Made) -> String {
    let Made { path, bytes, verified, .. } = made;
    let proved = match (verified.level, &verified.why) {
        (Level::Hashes, Some(why)) => format!("proved by its hashes only: {why}"),
        (Level::Hashes, None) => "proved by its hashes".to_owned(),
        (_, _) if verified.rows > 0 => {
            format!("read to its end: {} rows, as in the databases", verified.rows)
        }
        (_, _) => "read to its end".to_owned(),
    };
    format!("`{path}`, {}, {proved}", Size(*bytes))
}

pub(super) fn undo_summary() -> String {
    "the backup stays".to_owned()
}

pub(super) async fn probe(plan: &SetPlan, site: Observe<'_>) -> Result<Found<Made>, Failure> {
    if plan.is_made(site).await? {
        return Ok(Found::Applied(backups::made(plan, site).await?));
    }
    if half(plan, site).await?.is_none() {
        return Ok(Found::NotApplied);
    }
    Ok(Found::Partial("a part of the backup is there; it is made anew".to_owned()))
}

pub(super) async fn execute(plan: &SetPlan, site: Operate<'_>) -> Result<Made, Failure> {
    if !plan.is_made(site.observe()).await? {
        backups::make(plan, site).await?;
    }
    backups::made(plan, site.observe()).await
}

pub(super) async fn undo(plan: &SetPlan, site: Operate<'_>) -> Result<Undone, Failure> {
    let Some(half) = half(plan, site.observe()).await? else {
        let made = plan.is_made(site.observe()).await?;
        return Ok(Undone::nothing(if made {
            "the backup stays: it may be needed yet"
        } else {
            "no backup was made"
        }));
    };
    let what = "backup that was never finished".to_owned();
    site.files.remove(&Remove { path: half, what }).await?;
    Ok(Undone::restored("removed a backup that was never finished"))
}

/// The unfinished set, if it is there. Looked for by its name: it may have been made and be empty yet.
async fn half(plan: &SetPlan, site: Observe<'_>) -> Result<Option<PathBuf>, Failure> {
    let half = backups::partial(&plan.folder, &plan.set);
    let begun = site.files.list(&plan.folder).await?;
    Ok(begun.iter().any(|name| half.ends_with(name)).then_some(half))
}
