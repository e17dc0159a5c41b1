use serde_json::json;

use super::{arguments::Books, session::Session, trouble::Trouble};
use crate::{
    event::ExitClass,
    host::{stock, stock_named},
};

/// `uplift runbook`.
pub(super) async fn runbook(session: &mut Session, what: Books) -> Result<ExitClass, Trouble> {
    match what {
        Books::List => list(session).await,
        Books::Show { name } => {
            let found = stock_named(&name)?;
            if session.json() {
                session.lines().json(&json!({ "name": found.name, "text": found.text }));
            } else {
                session.lines().text(found.text);
            }
            Ok(ExitClass::Done)
        }
    }
}

/// The stock runbooks, and the site's own.
async fn list(session: &Session) -> Result<ExitClass, Trouble> {
    let host = || (session.stage.host)(session.start());
    let own = host().own_runbooks().await?;
    let mut names: Vec<_> = stock().iter().map(|book| book.name.to_owned()).collect();
    names.extend(own.iter().filter(|name| stock_named(name).is_err()).cloned());
    for name in names {
        let header = host().header(&name).await?;
        let is_own = own.contains(&name);
        if session.json() {
            session.lines().json(&json!({ "name": name, "header": header, "own": is_own }));
        } else {
            let note = if is_own { " (the site's own)" } else { "" };
            session.sheet().line(&format!("{name:<20}{}{note}", header.summary));
        }
    }
    Ok(ExitClass::Done)
}
