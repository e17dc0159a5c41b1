use super::{session::Session, trouble::Trouble};
use crate::{event::ExitClass, report};

/// `uplift rollback --list`.
pub(super) async fn places(session: &mut Session) -> Result<ExitClass, Trouble> {
    let host = session.open().await?;
    session.banner(&host.runs()?);
    let places = host.places().await?;
    if session.json() {
        let mut lines = session.lines();
        for place in &places {
            lines.json(place);
        }
    } else {
        report::places(&mut session.sheet(), &places, &session.typed);
    }
    Ok(ExitClass::Done)
}
