use serde_json::json;

use super::{arguments::Books, session::Session, trouble::Trouble};
use crate::{
    event::ExitClass,
    host::{Start, stock, stock_named},
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

async fn list(session: &Session) -> Result<ExitClass, Trouble> {
    for book in stock() {
        let header = (session.stage.host)(Start::default()).header(book.name).await?;
        if session.json() {
            session.lines().json(&json!({ "name": book.name, "header": header }));
        } else {
            session.sheet().line(&format!("{:<20}{}", book.name, header.summary));
        }
    }
    Ok(ExitClass::Done)
}
