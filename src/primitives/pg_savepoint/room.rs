//! Whether a savepoint can be made, and whether the server has the room.

use super::Mode;
use crate::primitives::{
    contract::Size,
    foreign_sessions::{SESSION, all_may_be_ended},
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, postgres::DatabaseFacts, server_room},
};

pub(super) enum Verdict {
    Room,
    /// None is made, and why.
    None(String),
}

/// What a server must have free beside the copies: it goes on writing.
const RESERVE: u64 = 512 << 20;

/// Refuses what would end in the middle; says why none is made where nobody insists on one.
pub(super) async fn judge(
    mode: Mode,
    databases: &[DatabaseFacts],
    site: Observe<'_>,
) -> Result<Verdict, Refusal> {
    if mode == Mode::Never {
        return Ok(Verdict::None("it is switched off".to_owned()));
    }
    let endpoint = &site.site.databases.endpoint;
    let names: Vec<_> = databases.iter().map(|one| one.name.clone()).collect();
    let none = |why: String| {
        match mode {
        Mode::Always => Err(Refusal(Failure::new("no_savepoint", format!("no savepoint can be made: {why}")).hint(
            "mend that, or go without: `--savepoint never` (then data goes back only by a person's decision)",
        ))),
        _ => Ok(Verdict::None(why)),
    }
    };
    let obstacles = site.postgres.obstacles(endpoint, &names).await?;
    if let Some(first) = obstacles.iter().find(|one| one.kind != SESSION) {
        return none(format!(
            "`{}` has a {}: `{}`",
            first.database,
            first.kind.replace('_', " "),
            first.name
        ));
    }
    let server = site.postgres.server(endpoint, site.site.databases.primary()).await?;
    if !server.may_create {
        return none(format!("`{}` may not create databases (`ALTER ROLE ... CREATEDB`)", endpoint.user));
    }
    let of_another =
        |one: &DatabaseFacts| Some((one.name.clone(), one.setting_of_another(&endpoint.user)?.to_owned()));
    if let Some((name, setting)) = databases.iter().find_map(of_another).filter(|_| !server.may_set_roles) {
        return none(format!(
            "`{}` may not give a copy of `{name}` what another role has there (`{setting}`); an administrator may: \
             `UPLIFT_DB_ADMIN_URL`",
            endpoint.user
        ));
    }
    let needed = databases.iter().map(|one| one.size).sum::<u64>() + RESERVE;
    match server_room(site).await? {
        Some(free) if free < needed => {
            none(format!("the server needs {} for it, and {} are free", Size(needed), Size(free)))
        }
        None if mode == Mode::Auto => none(
            "how much room the server has is not known (`--savepoint always` makes one all the same)"
                .to_owned(),
        ),
        _ => {
            all_may_be_ended(&names, site).await?;
            Ok(Verdict::Room)
        }
    }
}
