//! Who else is in the product's databases: whoever only looks is told of, another host that works there is a refusal.

use std::time::Duration;

use crate::{
    event::Failure,
    ports::{Observe, postgres::Session},
};

/// How long somebody is watched who may be at work. Nobody is in the usual case, and then it costs nothing.
const WATCHED: Duration = Duration::from_secs(3);

/// What the product's programs call themselves on the server, whatever the language around them.
const PROGRAMS: [&str; 6] = ["puma", "rails", "rake", "jobs", "solid", "strata"];

/// Tells of sessions of other users: exporters, reports, consoles. They are ended when databases are moved.
pub(super) async fn announce(databases: &[String], site: Observe<'_>) -> Result<(), Failure> {
    let endpoint = &site.site.databases.endpoint;
    let mut sessions = site.postgres.sessions(endpoint, databases).await?;
    sessions.retain(|one| !one.user.is_empty() && one.user != endpoint.user);
    for one in sessions {
        site.tell.warn(format!("{} will be ended while the databases are moved", in_words(&one)));
    }
    Ok(())
}

/// Fails if a program of the product goes on working once its containers here stand still: that of another host, which
/// would write into what is copied or put aside. Sessions that a pooler keeps, and statements whose client is gone, do
/// not move.
pub(super) async fn none_at_work(databases: &[String], site: Observe<'_>) -> Result<(), Failure> {
    if of_the_product(databases, site).await?.is_empty() {
        return Ok(());
    }
    site.clock.sleep(WATCHED).await;
    let mut moved = of_the_product(databases, site).await?;
    moved.retain(|one| Duration::from_millis(one.quiet_ms) < WATCHED);
    if moved.is_empty() {
        return Ok(());
    }
    let text = "the product works in its databases though its containers on this host have stopped";
    Err(Failure::new("works_elsewhere", text)
        .hint("stop it on every other host that uses these databases, then type the command again")
        .evidence(moved.iter().map(in_words)))
}

async fn of_the_product(databases: &[String], site: Observe<'_>) -> Result<Vec<Session>, Failure> {
    let endpoint = &site.site.databases.endpoint;
    let mut sessions = site.postgres.sessions(endpoint, databases).await?;
    sessions.retain(|one| {
        let name = one.application.to_lowercase();
        one.user == endpoint.user && PROGRAMS.iter().any(|program| name.contains(program))
    });
    Ok(sessions)
}

fn in_words(one: &Session) -> String {
    let Session { pid, database, user, application, client, .. } = one;
    let from = if client.is_empty() { "the server's own host" } else { client };
    format!("the session of `{application}` (user `{user}`, process {pid}, from {from}) in `{database}`")
}
