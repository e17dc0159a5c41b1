//! Sessions in the maintenance database, where databases are made, moved and closed: a session in one of the
//! product's own would be in the way.

use std::str::FromStr as _;

use tokio_postgres::config::Host;

use super::{PostgresClient, reach::Reach, session::Session};
use crate::{
    event::Failure,
    site::{Endpoint, Secret},
};

/// The database that every server has, and that the product does not use.
pub(super) const MAINTENANCE: &str = "postgres";

/// `postgres://user:password@host:port/`: rights that the product's user lacks.
const ADMIN_URL: &str = "UPLIFT_DB_ADMIN_URL";

/// Who moves databases: the product's own user, or an administrator.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) endpoint: Endpoint,
    pub(super) reach: Reach,
    pub(super) password: Option<Secret>,
}

impl PostgresClient {
    /// Whether somebody with more rights than the product's user has been named.
    pub(super) fn has_admin(&self) -> bool {
        self.processes.environment.get(ADMIN_URL).is_some()
    }

    /// What must never be seen of the administrator's address: all of it as it was written, and its password.
    pub(in crate::clients) fn admin_secrets(&self) -> Vec<Secret> {
        let Some(url) = self.processes.environment.get(ADMIN_URL) else { return Vec::new() };
        let parsed = tokio_postgres::Config::from_str(url).ok();
        let password = parsed.as_ref().and_then(tokio_postgres::Config::get_password);
        let password = password.map(|bytes| Secret::new(String::from_utf8_lossy(bytes)));
        password.into_iter().chain([Secret::new(url)]).collect()
    }

    pub(super) fn admin(&self, endpoint: &Endpoint) -> Result<Admin, Failure> {
        let Some(url) = self.processes.environment.get(ADMIN_URL).filter(|url| !url.is_empty()) else {
            return self.own(endpoint);
        };
        // The parser's own words could repeat the password.
        let wrong = || {
            Failure::new("bad_setting", format!("`{ADMIN_URL}` is no address of a database server"))
                .hint("write it as `postgres://USER:PASSWORD@HOST:PORT/postgres`")
        };
        let config = tokio_postgres::Config::from_str(url).map_err(|_| wrong())?;
        let mut at = endpoint.clone();
        if let Some(Host::Tcp(host)) = config.get_hosts().first() {
            at.host.clone_from(host);
        }
        if let Some(port) = config.get_ports().first() {
            at.port = *port;
        }
        config.get_user().ok_or_else(wrong)?.clone_into(&mut at.user);
        let password = config.get_password().map(String::from_utf8_lossy);
        let reach = self.reach(&at)?;
        Ok(Admin { endpoint: at, reach, password: password.map(|text| Secret::new(text.as_ref())) })
    }

    /// The product's own user.
    pub(super) fn own(&self, endpoint: &Endpoint) -> Result<Admin, Failure> {
        Ok(Admin { endpoint: endpoint.clone(), reach: self.reach(endpoint)?, password: self.password() })
    }

    /// A session of whoever may move databases, in the maintenance database.
    pub(super) async fn maintain(&self, endpoint: &Endpoint) -> Result<Session, Failure> {
        let admin = self.admin(endpoint)?;
        let session =
            Session::open(&admin.reach, &admin.endpoint, MAINTENANCE, admin.password.as_ref()).await;
        let session = session.map_err(|failure| match failure.code.as_str() {
            "database_denied" => not_let_in(&admin.endpoint.user, failure),
            _ => failure,
        })?;
        if self.has_admin() {
            self.same_server(endpoint, &admin, &session).await?;
        }
        // Copies and waits take as long as they take, whatever the server's administrator set for others.
        session.simple("SET statement_timeout = 0; SET lock_timeout = '60s'").await?;
        Ok(session)
    }

    /// An address that was meant for another site would have that site's databases moved and dropped.
    async fn same_server(
        &self,
        endpoint: &Endpoint,
        admin: &Admin,
        session: &Session,
    ) -> Result<(), Failure> {
        let theirs = started(session).await?;
        if self.met.get() == Some(&theirs) {
            return Ok(());
        }
        let (own, entered) = (self.own(endpoint)?, self.entered());
        let mut kept_out = Vec::new();
        // Where the product's user gets in: a server need not let it into each.
        for database in entered.as_deref().into_iter().chain([MAINTENANCE, "template1"]) {
            let opened = Session::open(&own.reach, &own.endpoint, database, own.password.as_ref()).await;
            let session = match opened {
                Ok(session) => session,
                Err(failure) if EXCLUDED.contains(&failure.code.as_str()) => {
                    kept_out.push(failure.message);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let ours = started(&session).await;
            session.close().await;
            if ours? != theirs {
                return Err(other_server(endpoint, &admin.endpoint));
            }
            let _known = self.met.set(theirs);
            return Ok(());
        }
        let (host, port, user) = (&endpoint.host, endpoint.port, &endpoint.user);
        let text = format!("whether `{ADMIN_URL}` leads to the server at `{host}:{port}` cannot be told");
        let hint =
            format!("let the product's user in: `GRANT CONNECT ON DATABASE {MAINTENANCE} TO \"{user}\"`");
        Err(Failure::new("admin_unproved", text).hint(hint).evidence(kept_out))
    }
}

/// Codes of databases that are not there or let this user not in, while the server is there.
const EXCLUDED: [&str; 3] = ["database_missing", "database_denied", "database_closed"];

/// When the server was started, in microseconds: no two servers have it in common.
async fn started(session: &Session) -> Result<i64, Failure> {
    let row = session.row("SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8").await?;
    session.column(&row, 0)
}

fn other_server(own: &Endpoint, admin: &Endpoint) -> Failure {
    let text = format!(
        "`{ADMIN_URL}` leads to another server, `{}:{}`, than the site's databases are on, `{}:{}`",
        admin.host, admin.port, own.host, own.port
    );
    Failure::new("admin_elsewhere", text)
        .hint(format!("name an administrator of that server, or `unset {ADMIN_URL}` if none is needed"))
}

/// A right that is missing, with what gives it.
pub(super) fn may_not(failure: Failure, user: &str) -> Failure {
    if failure.code != "database_denied" {
        return failure;
    }
    let text = format!("`{user}` may not make and rename databases");
    Failure::new("may_not_create", text)
        .hint(format!(
            "as an administrator: `ALTER ROLE \"{user}\" CREATEDB`, or name one who may: \
             `export {ADMIN_URL}=postgres://USER:PASSWORD@HOST/postgres`"
        ))
        .evidence([failure.message])
}

/// A name as the server reads it back.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as the server reads it back, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// `user` may not enter the maintenance database.
pub(super) fn not_let_in(user: &str, failure: Failure) -> Failure {
    let text =
        format!("`{user}` may not connect to the database `{MAINTENANCE}`, where the site's lock is kept");
    Failure::new("lock_denied", text)
        .hint(format!(
            "as an administrator: `GRANT CONNECT ON DATABASE {MAINTENANCE} TO \"{user}\"`, or set `{ADMIN_URL}`"
        ))
        .evidence([failure.message])
}
