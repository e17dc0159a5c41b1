use super::{session::Session, trouble::Trouble};
use crate::{event::ExitClass, report};

/// `uplift history`.
pub(super) async fn history(session: &mut Session) -> Result<ExitClass, Trouble> {
    let runs = session.runs().await?;
    session.banner(&runs);
    let all = runs.all()?;
    if session.json() {
        let mut lines = session.lines();
        for run in &all {
            lines.json(run);
        }
    } else {
        report::history(&mut session.sheet(), &all);
    }
    Ok(ExitClass::Done)
}
