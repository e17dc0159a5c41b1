//! How PostgreSQL's own programs are told where to connect, and as whom.

use std::{io, process::ExitStatus};

use super::{admin::Admin, passfile::PassFile, reach::Roots, session};
use crate::{
    clients::process::{Program, in_words},
    event::Failure,
    site::SslMode,
};

/// The variables of libpq for a program. A name with `=` or `:` in it would be read as something else in an argument,
/// and a password there could be read by everybody.
pub(super) fn to(
    program: Program,
    who: &Admin,
    database: &str,
    password: Option<&PassFile>,
) -> io::Result<Program> {
    let (at, reach) = (&who.endpoint, &who.reach);
    let mut program = program
        .env("PGHOST", &reach.host)
        .env("PGPORT", reach.port.to_string())
        .env("PGUSER", &at.user)
        .env("PGDATABASE", database)
        .env("PGAPPNAME", "uplift")
        .env("PGCONNECT_TIMEOUT", session::PATIENCE.as_secs().to_string())
        .env("PGSSLMODE", word(at.ssl));
    if let Some(address) = reach.address {
        program = program.env("PGHOSTADDR", address.to_string());
    }
    if matches!(at.ssl, SslMode::VerifyCa | SslMode::VerifyFull) {
        program = match &reach.roots {
            Some(Roots::File(path)) => program.env("PGSSLROOTCERT", path),
            Some(Roots::Text(text)) => {
                let (path, descriptor) = PassFile::of(text)?.lend()?;
                program.env("PGSSLROOTCERT", path).inherit(descriptor)
            }
            None => program,
        };
    }
    match password {
        Some(password) => {
            let (path, descriptor) = password.lend()?;
            Ok(program.env("PGPASSFILE", path).inherit(descriptor))
        }
        None => Ok(program),
    }
}

/// As libpq writes it.
fn word(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Allow => "allow",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

/// What to do about a program that has failed and said why.
pub(super) const MEND: &str = "mend what it says, and type the command again";

/// Nothing if a program ended well; else its own word for why.
pub(super) fn judge(
    code: &str,
    what: &str,
    ended: io::Result<(ExitStatus, Vec<String>)>,
) -> Result<(), Failure> {
    let failed = |why: &str, lines: Vec<String>| {
        Failure::new(code, format!("{what} failed: {why}")).hint(MEND).evidence(lines)
    };
    let (status, lines) = ended.map_err(|error| failed(&error.to_string(), Vec::new()))?;
    if status.success() {
        return Ok(());
    }
    let why = lines.iter().rev().find(|line| line.contains("error:")).or(lines.last());
    let why = why.cloned().unwrap_or_else(|| in_words(status));
    Err(failed(&why, lines))
}
