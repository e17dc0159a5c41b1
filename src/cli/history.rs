use super::{arguments, session::Session, trouble::Trouble};
use crate::{event::ExitClass, host::RUNS, report};

/// `uplift history`: a page of it for people, all of it for programs, unless they say how much.
pub(super) async fn history(session: &mut Session, asked: arguments::History) -> Result<ExitClass, Trouble> {
    let runs = session.runs().await?;
    session.banner(&runs);
    let page = if session.json() { None } else { u32::try_from(RUNS).ok() };
    let shown = match asked.count.or(page).filter(|_| !asked.all) {
        Some(count) => runs.newest(count)?,
        None => runs.all()?,
    };
    if session.json() {
        let mut lines = session.lines();
        for run in &shown {
            lines.json(run);
        }
    } else {
        let older = runs.count()?.saturating_sub(shown.len());
        report::history(&mut session.sheet(), &shown, older, &session.typed);
    }
    Ok(ExitClass::Done)
}
