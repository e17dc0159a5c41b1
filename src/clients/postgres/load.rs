//! A dump loaded into a database of its own.
#![expect(clippy::disallowed_methods, reason = "the clients read files")]

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::PathBuf,
};

use super::{
    PostgresClient,
    admin::{Admin, ident, literal, may_not},
    connect, copies, count, equip,
    failed::NOT_THERE,
    passfile::PassFile,
    program,
    session::Session,
};
use crate::{
    clients::files::{blocking, unread},
    event::{Failure, Teller, Unit},
    ports::{
        files::not_unpacked,
        postgres::{Contents, LoadDump, NAME_AN_ADMINISTRATOR},
    },
};

pub(super) async fn load(
    client: &PostgresClient,
    request: &LoadDump,
    tell: &Teller,
) -> Result<Contents, Failure> {
    let admin = client.admin(&request.endpoint)?;
    let session = client.maintain(&request.endpoint).await?;
    let made = make(&session, &admin, request).await;
    session.close().await;
    made.map_err(|failure| may_not(failure, &admin.endpoint.user))?;
    fill(client, &admin, request, tell).await?;
    let session = client.maintain(&request.endpoint).await?;
    let comment = request.mark.comment();
    let equipped = equip::give(&session, &request.to, &request.facts, Some(&comment)).await;
    session.close().await;
    equipped?;
    let inside = Session::open(&admin.reach, &admin.endpoint, &request.to, admin.password.as_ref()).await?;
    let counted = count::all(&inside, &[]).await;
    inside.close().await;
    let (tables, large_objects) = counted?;
    Ok(Contents { tables, large_objects })
}

/// An empty database; what an earlier attempt of the same run left is dropped first.
async fn make(session: &Session, admin: &Admin, request: &LoadDump) -> Result<(), Failure> {
    let row = session.row("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").await?;
    if !session.column::<bool>(&row, 0)? {
        allowed(request)?;
    }
    if let Some(there) = copies::one_kept(session, &request.to).await? {
        let ours = |run: &str| run == request.mark.run;
        if there.mark.as_ref().is_some_and(|mark| !ours(&mark.run)) {
            return Err(copies::taken(&request.to));
        }
        copies::drop_it(session, &request.to).await?;
    }
    let facts = &request.facts;
    let mut statement = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        ident(&request.to),
        ident(&facts.owner),
        literal(&facts.encoding),
        literal(&facts.collate),
        literal(&facts.ctype)
    );
    if let ("i", Some(locale)) = (facts.locale_provider.as_str(), &facts.icu_locale) {
        statement = format!("{statement} LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale));
    }
    copies::makes(session, &request.to).await?;
    session.simple(&statement).await.map_err(|failure| no_role(failure, admin, &facts.owner))?;
    let mark = literal(&request.mark.comment());
    session.simple(&format!("COMMENT ON DATABASE {} IS {mark}", ident(&request.to))).await.map(|_| ())
}

fn no_role(failure: Failure, admin: &Admin, owner: &str) -> Failure {
    if failure.code != NOT_THERE || !failure.message.contains(owner) {
        return failure;
    }
    Failure::new("role_missing", format!("the server has no role `{owner}`, which owned the database"))
        .hint(format!(
            "as an administrator: `CREATE ROLE \"{owner}\" LOGIN CREATEDB`, then `\\password {owner}` with the \
             password that `DB_PASSWORD` holds"
        ))
        .evidence([failure.message, format!("asked as `{}`", admin.endpoint.user)])
}

/// Extensions that only a superuser may create would end the load half way.
fn allowed(request: &LoadDump) -> Result<(), Failure> {
    let denied: Vec<_> =
        request.facts.extensions.iter().filter(|one| !one.trusted && one.name != "plpgsql").collect();
    if denied.is_empty() {
        return Ok(());
    }
    let names = denied.iter().map(|one| format!("`{}`", one.name)).collect::<Vec<_>>().join(", ");
    let text = format!("`{}` has extensions that only a superuser may create: {names}", request.facts.name);
    Err(Failure::new("extension_denied", text).hint(NAME_AN_ADMINISTRATOR))
}

async fn fill(
    client: &PostgresClient,
    admin: &Admin,
    request: &LoadDump,
    tell: &Teller,
) -> Result<(), Failure> {
    let what = format!("`pg_restore` of `{}`", request.facts.name);
    let failed =
        |error: io::Error| Failure::new("load_failed", format!("{what} failed: {error}")).hint(connect::MEND);
    let password = admin.password.as_ref().map(PassFile::new).transpose()?;
    let program = client.processes.program(program::restore(&request.client));
    let program = program
        .args(["--exit-on-error", "--no-tablespaces", "--no-password"])
        // An option like `-d` would be read as a connection string if the name has `=` in it: the name goes by PGDATABASE.
        .args(["--dbname="])
        .env("PGOPTIONS", "-c statement_timeout=0 -c lock_timeout=0 -c synchronous_commit=off");
    let program = connect::to(program, admin, &request.to, password.as_ref());
    let (mut running, input, mut out) =
        program.and_then(crate::clients::process::Program::start_fed).map_err(failed)?;
    let input = input.into_owned_fd().map(File::from).map_err(failed)?;
    let quiet = async { tokio::io::copy(&mut out, &mut tokio::io::sink()).await };
    let name = request.facts.name.clone();
    let told = {
        let tell = tell.clone();
        move |bytes, total| tell.progress(format!("loading `{name}`"), bytes, Some(total), Unit::Bytes)
    };
    let (fed, _, ended) = tokio::join!(feed(request.file.clone(), input, told), quiet, running.end());
    // A dump that cannot be read is the cause, and what it gives up over is only that it ended.
    fed?;
    connect::judge("load_failed", &what, ended)
}

/// Decompresses a dump into a pipe. One that nobody reads any more is left to its reader to explain.
async fn feed(
    file: PathBuf,
    mut pipe: File,
    told: impl Fn(u64, u64) + Send + 'static,
) -> Result<(), Failure> {
    blocking(move || {
        let damaged = |error: io::Error| {
            unread(&file, &error).unwrap_or_else(|| {
                let why = not_unpacked(&error);
                let text = format!("`{}` cannot be read to its end: {why}", file.display());
                Failure::new("set_damaged", text).hint("take another backup: `uplift backup list`")
            })
        };
        let open = File::open(&file).map_err(damaged)?;
        let total = open.metadata().map_err(damaged)?.len();
        let mut decoder = zstd::Decoder::new(open).map_err(damaged)?;
        let (mut piece, mut bytes, mut said) = (vec![0; 256 << 10], 0_u64, 0_u64);
        loop {
            let read = decoder.read(&mut piece).map_err(damaged)?;
            if read == 0 {
                return Ok(());
            }
            if pipe.write_all(&piece[..read]).is_err() {
                return Ok(());
            }
            bytes += read as u64;
            if bytes >= said + (16 << 20) {
                said = bytes;
                told(said.min(total), total);
            }
        }
    })
    .await
}
