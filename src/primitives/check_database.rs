use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{backups, event::Failure, ports::Observe};

/// Check that all databases are there, can be read, and can be dumped by a client of the server's own version.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDatabase {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The server's version.
    pub server: String,
    /// The version of `pg_dump` that will be used.
    pub pg_dump: String,
    /// Names of the databases.
    pub databases: Vec<String>,
}

impl Read for CheckDatabase {
    const NAME: &'static str = "check_database";
    const ADMITS: bool = true;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "look at the databases".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let count = outcome.databases.len();
        format!("{count} databases on PostgreSQL {}, `pg_dump` {}", outcome.server, outcome.pg_dump)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let all = &site.site.databases;
        let endpoint = &all.endpoint;
        let server = site.postgres.server(endpoint, all.primary()).await?;
        if server.in_recovery {
            let text = format!("`{}` is a standby: it cannot be migrated", endpoint.host);
            return Err(Failure::new("standby", text).hint("set `DB_HOST` to the primary server"));
        }
        site.postgres.direct(endpoint, all.primary()).await?;
        // Without the lock there is no run: a plan that did not say so would be of none.
        site.postgres.lockable(endpoint).await?;
        let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
        let found = site.postgres.databases(endpoint, &names).await?;
        backups::complete(&names, &found)?;
        let client = site.postgres.dump_client(server.major()).await?;
        for name in &names {
            let unreadable = site.postgres.unreadable(endpoint, name).await?;
            if !unreadable.is_empty() {
                let text = format!(
                    "`{}` may not read everything in `{name}`, so it cannot be backed up",
                    endpoint.user
                );
                return Err(Failure::new("not_readable", text)
                    .evidence(unreadable)
                    .hint(format!("let the owner grant `SELECT` on these to `{}`", endpoint.user)));
            }
        }
        Ok(Outcome { server: server.version, pg_dump: client.version, databases: names })
    }
}
