use tokio_postgres::{Error, error::SqlState};

use super::reach::Reach;
use crate::{event::Failure, site::Endpoint};

/// Which database of which server, for whom: what failures talk about.
#[derive(Clone)]
pub(super) struct Where {
    pub(super) place: String,
    pub(super) user: String,
    pub(super) database: String,
    /// How this host comes there, where that is another way than the containers'.
    pub(super) detour: Option<String>,
}

impl Where {
    pub(super) fn new(reach: &Reach, endpoint: &Endpoint, database: &str) -> Self {
        let place = format!("{}:{}", endpoint.host, endpoint.port);
        let detour = reach.detour.clone();
        Self { place, user: endpoint.user.clone(), database: database.to_owned(), detour }
    }

    pub(super) fn unreachable(&self, why: &str) -> Failure {
        Failure::new("database_unreachable", format!("no database server answers at `{}`", self.place))
            .hint(
                "start the server, or correct `DB_HOST` and `DB_PORT` in `.env`; if only the containers reach it, name an \
                 address that this host reaches: `host` under `[database]` in `uplift.toml`",
            )
            .evidence(self.detour.iter().map(|detour| format!("the way there: {detour}")))
            .evidence([why.to_owned()])
            .retryable()
    }

    /// It answers: it starts, stops, or is out of connections, and another moment may be better.
    fn closed(&self, why: &str) -> Failure {
        let text =
            format!("the database server at `{}` answers, but refuses `{}`: {why}", self.place, self.user);
        Failure::new("database_unreachable", text)
            .hint(
                "if it is starting, wait a moment; if it is out of connections, end some or raise `max_connections`; then \
                 type the command again",
            )
            .retryable()
    }

    pub(super) fn untrusted(&self, why: &dyn std::fmt::Display) -> Failure {
        let text =
            format!("the database server at `{}` offers no TLS connection that can be trusted", self.place);
        Failure::new("tls_refused", text)
            .hint(
                "correct `sslmode` in `.env`, or name the server's certificate: `export PGSSLROOTCERT=FILE`",
            )
            .evidence([why.to_string()])
    }
}

/// Why no session came to be.
pub(super) fn connecting(at: &Where, error: &Error) -> Failure {
    let (place, user, database) = (&at.place, &at.user, &at.database);
    let Some(answer) = error.as_db_error() else { return without_answer(at, error) };
    let said = answer.message().to_owned();
    let code = answer.code();
    let denied = |text: String| Failure::new("database_denied", text).evidence([said.clone()]);
    if *code == SqlState::INVALID_PASSWORD {
        password_refused(at)
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        Failure::new("database_missing", format!("the database `{database}` does not exist"))
            .hint("correct its name in `.env`, or make it: the product's own start does that")
    } else if *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
        // `ALLOW_CONNECTIONS false`: somebody is moving it, or was.
        Failure::new("database_closed", format!("the database `{database}` lets nobody in")).hint(format!(
            "if nobody moves it just now: `ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS true`"
        ))
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        denied(format!("the database server at `{place}` lets `{user}` not in"))
            .hint("allow it in the server's `pg_hba.conf`, then `SELECT pg_reload_conf()`")
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        denied(format!("`{user}` may not connect to `{database}`"))
            .hint(format!("as its owner: `GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"`"))
    } else {
        at.closed(&said)
    }
}

fn password_refused(at: &Where) -> Failure {
    let text = format!("the database server at `{}` refuses the password of `{}`", at.place, at.user);
    Failure::new("password_refused", text).hint("correct `DB_PASSWORD` in `.env`")
}

fn without_answer(at: &Where, error: &Error) -> Failure {
    let mut why = error.to_string();
    let mut next = std::error::Error::source(error);
    let mut is_tls = why.contains("TLS");
    while let Some(cause) = next {
        why = cause.to_string();
        is_tls |= cause.is::<rustls::Error>();
        // An error of input and output hides what it carries from `source`.
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            is_tls |= inner.is::<rustls::Error>();
        }
        next = cause.source();
    }
    if why.contains("password missing") || error.to_string().contains("authentication") {
        return password_refused(at);
    }
    if is_tls { at.untrusted(&why) } else { at.unreachable(&why) }
}

/// A connection pooler stands before the server.
pub(super) fn pooled(place: &str) -> Failure {
    Failure::new("pooled", format!("`{place}` is a connection pooler, not the database server")).hint(
        "locks and copies need the server itself: set `host` and `port` under `[database]` in `uplift.toml` to it",
    )
}

/// The server's refusal because somebody is in a database; for the verbs that can say who.
pub(super) const IN_USE: &str = "database_in_use";
/// The server's refusal because something that a statement names is not there.
pub(super) const NOT_THERE: &str = "object_missing";

/// Why a question was not answered. By the server's codes alone: its sentences come in its own language.
pub(super) fn asking(at: &Where, error: &Error) -> Failure {
    let Some(answer) = error.as_db_error() else { return at.unreachable(&error.to_string()) };
    let (said, code) = (answer.message().to_owned(), answer.code());
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Failure::new("database_denied", format!("in `{}`: {said}", at.database))
            .hint(format!("let `{}` read it: `GRANT SELECT ...`", at.user));
    }
    if *code == SqlState::INVALID_CATALOG_NAME {
        return Failure::new("database_missing", format!("the database server says: {said}"))
            .hint("see who has dropped or renamed it: `psql -l`");
    }
    let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    if ends.contains(code) {
        return at.unreachable(&said);
    }
    // What was prepared is gone, or somebody else's is there: another of the server's sessions answers than before.
    if [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT].contains(code) {
        return pooled(&at.place).evidence([said]);
    }
    let text = format!("the database server refuses in `{}`: {said}", at.database);
    let failure = if *code == SqlState::OBJECT_IN_USE {
        Failure::new(IN_USE, text)
    } else if *code == SqlState::UNDEFINED_OBJECT {
        Failure::new(NOT_THERE, text)
    } else {
        Failure::new("database_failed", text)
    };
    let failure = failure.hint("mend what it says; it says more in its own log; then type the command again");
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::QUERY_CANCELED {
        failure.retryable()
    } else {
        failure
    }
}
