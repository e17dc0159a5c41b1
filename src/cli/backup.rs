//! `uplift backup`: made and removed by runbooks, listed and proved from what lies in the folder.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;

use super::{
    arguments::{Backups, VerifySet},
    begin, flags,
    session::Session,
    trouble::Trouble,
};
use crate::{
    event::ExitClass,
    host::{Listed, Proved, Sets},
    report,
};

pub(super) async fn backup(
    session: &mut Session,
    what: Backups,
    given: BTreeMap<String, String>,
) -> Result<ExitClass, Trouble> {
    match what {
        Backups::Create(begun) => begin::begin(session, flags::BACKUP, given, &begun).await,
        Backups::Prune(begun) => begin::begin(session, flags::PRUNE, given, &begun).await,
        Backups::List => list(session).await,
        Backups::Show { set } => show(session, &set).await,
        Backups::Verify(asked) => verify(session, asked).await,
    }
}

async fn list(session: &mut Session) -> Result<ExitClass, Trouble> {
    let sets = session.sets().await?;
    let all = sets.all().await?;
    if session.json() {
        let mut lines = session.lines();
        for set in &all {
            lines.json(set);
        }
    } else {
        let folder = sets.folder().display().to_string();
        report::sets(&mut session.sheet(), &all, sets.now(), &folder, &session.typed);
    }
    Ok(ExitClass::Done)
}

async fn show(session: &mut Session, name: &str) -> Result<ExitClass, Trouble> {
    let (sets, set) = meant(session, name).await?;
    if session.json() {
        session.lines().json(&json!({ "set": set, "manifest": set.manifest }));
    } else {
        report::set(&mut session.sheet(), &set, sets.now(), &session.typed);
    }
    Ok(ExitClass::Done)
}

/// A set of the site by its name, or one that lies anywhere by its path.
async fn meant(session: &mut Session, name: &str) -> Result<(Sets, Listed), Trouble> {
    let path = Path::new(name);
    let is_path = path.components().count() > 1 || path.is_absolute();
    let sets = match (path.file_name(), is_path) {
        (Some(last), true) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let sets = session.sets_in(path.parent().unwrap_or(Path::new("/")))?;
            let set = sets.one(&last.to_string_lossy()).await?;
            return Ok((sets, set));
        }
        _ => session.sets().await?,
    };
    let set = sets.one(name).await?;
    Ok((sets, set))
}

async fn verify(session: &mut Session, asked: VerifySet) -> Result<ExitClass, Trouble> {
    let (sets, set) = if let Some(name) = &asked.set {
        meant(session, name).await?
    } else {
        let sets = session.sets().await?;
        let newest = sets.newest().await?;
        (sets, newest)
    };
    if !session.json() && !session.common.quiet {
        report::verifying(&mut session.paper(), &set);
    }
    let proved = session.unless_stopped(sets.verify(&set)).await??;
    let restored = if asked.restore { Some(restore(session, &sets, &set).await?) } else { None };
    tell(session, &set, &proved, restored);
    Ok(ExitClass::Done)
}

/// Into databases of its own on the site's server; what a signal stops leaves nothing there.
async fn restore(session: &mut Session, sets: &Sets, set: &Listed) -> Result<u64, Trouble> {
    let host = session.open().await?;
    let trial = host.new_trial();
    let rows = match session.unless_stopped(host.try_restore(set, &trial)).await {
        Ok(rows) => rows?,
        Err(stopped) => {
            host.drop_trial(set, &trial).await?;
            return Err(stopped);
        }
    };
    // That it was proved is true also where that cannot be written down.
    let _not_noted = sets.note_restored(set).await;
    Ok(rows)
}

fn tell(session: &Session, set: &Listed, proved: &Proved, restored: Option<u64>) {
    if session.json() {
        session.lines().json(&json!({
            "set": proved.set,
            "path": proved.path,
            "verified": proved.verified,
            "restored_rows": restored,
            "not_noted": proved.not_noted,
        }));
        return;
    }
    let not_noted = proved.not_noted.as_ref();
    report::verified(&mut session.sheet(), set, &proved.verified, restored, not_noted);
}
