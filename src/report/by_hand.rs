use std::path::Path;

use super::calls::backup;
use crate::journal::{Entry, State};

/// How a person returns from a finished upgrade, a line each, from what the run has recorded.
#[must_use]
pub fn by_hand(folder: &Path, calls: &[Entry]) -> Vec<String> {
    let folder = folder.display();
    let mut lines = Vec::new();
    let set = calls.iter().find(|call| call.verb == "env_set" && call.state == State::Succeeded);
    let kept = set.and_then(|call| call.intent.as_ref()?.get("kept")?.as_str());
    let file = set.and_then(|call| call.intent.as_ref()?.get("file")?.as_str());
    lines.push("1. stop the site, so that no user writes while data moves".to_owned());
    lines.push(format!("   cd {folder} && docker compose stop"));
    lines.push("2. put the settings of before back".to_owned());
    match (kept, file) {
        (Some(kept), Some(file)) => lines.push(format!("   cp {kept} {file}")),
        _ => lines.push(format!("   set `STRATA_VERSION` in `{folder}/.env` to the release of before")),
    }
    match backup(calls) {
        Some(backup) => {
            lines.push(format!("3. {}: restore the dumps into NEW", changed(calls)));
            lines.push("   databases, check them, rename. Rows written since then are lost".to_owned());
            lines.push(format!("   dumps and manifest: {backup}"));
        }
        None => lines.push("3. the run made no backup: the database stays as it is now".to_owned()),
    }
    lines.push("4. start the site".to_owned());
    lines.push(format!("   cd {folder} && docker compose up -d"));
    lines
}

/// Whether data must go back too, as far as the record tells.
fn changed(calls: &[Entry]) -> &'static str {
    let pending = calls.iter().find(|call| call.verb == "pending_migrations");
    let any = pending.and_then(|call| call.attempts.last()?.value.as_ref()?.get("any")?.as_bool());
    match any {
        Some(true) => "this release has changed the database",
        Some(false) => "not needed, the database was not changed; else",
        None => "only if the release has changed the database",
    }
}
