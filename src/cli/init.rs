use serde_json::json;

use super::{arguments, session::Session, trouble::Trouble};
use crate::{
    event::{ExitClass, Failure},
    report::{self, Introduced},
};

/// `uplift init`: shows what was found, and writes it into `uplift.toml`. It never replaces what somebody has written.
pub(super) async fn init(session: &mut Session, asked: arguments::Init) -> Result<ExitClass, Trouble> {
    let host = session.open().await?;
    let noted = session.unless_stopped(host.noted(&session.start())).await??;
    let noted = match &asked.trust {
        Some(key) => host.trusting(noted, key.trim()).await?,
        None => noted,
    };
    if !noted.differs.is_empty() {
        let text = format!("`{}` says other things than what is found", noted.path.display());
        let failure = Failure::new("init_differs", text)
            .evidence(noted.differs)
            .hint("correct the file, or the site: nothing that is written there is replaced");
        return Err(Trouble::new(failure, ExitClass::Refused));
    }
    let (status, restarters) = (host.status().await, host.restarters().await?);
    let write = noted.text.is_some() && !asked.dry_run;
    if write {
        host.note(&noted).await?;
    }
    if session.json() {
        session.lines().json(&json!({
            "site": status, "project": noted.project, "guessed": noted.guessed, "restarters": restarters,
            "path": noted.path, "text": noted.text, "written": write,
        }));
    } else {
        let typed = &session.typed;
        let found =
            Introduced { status: &status, noted: &noted, restarters: &restarters, written: write, typed };
        report::introduced(&mut session.sheet(), &found);
    }
    Ok(ExitClass::Done)
}
