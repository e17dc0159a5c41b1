//! Sessions of others that no right of ours could end.

use crate::{
    event::Failure,
    ports::{Observe, postgres::NAME_AN_ADMINISTRATOR},
};

/// The kind of obstacle that such a session is.
pub(super) const SESSION: &str = "session";

/// Refuses, naming each, where somebody is in one of these databases who would not go: found before anything stops, that
/// costs nobody anything.
pub(super) async fn all_may_be_ended(names: &[String], site: Observe<'_>) -> Result<(), Failure> {
    let endpoint = &site.site.databases.endpoint;
    let obstacles = site.postgres.obstacles(endpoint, names).await?;
    let stay: Vec<_> = obstacles.into_iter().filter(|one| one.kind == SESSION).collect();
    let Some(first) = stay.first() else { return Ok(()) };
    let text = format!(
        "the databases cannot be moved: somebody is in `{}` whose session `{}` may not end",
        first.database, endpoint.user
    );
    let failure = Failure::new("sessions_remain", text)
        .hint(format!("stop the program behind it, or {NAME_AN_ADMINISTRATOR}"))
        .evidence(stay.iter().map(|one| format!("in `{}`: {}", one.database, one.name)));
    Err(failure)
}
