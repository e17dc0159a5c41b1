//! What belongs to a database and neither a copy nor a dump brings along: owner, rights, settings, limit, comment.

use std::collections::BTreeSet;

use super::{
    admin::{ident, literal},
    facts,
    session::Session,
};
use crate::{
    event::Failure,
    ports::postgres::{DatabaseFacts, NAME_AN_ADMINISTRATOR},
};

/// Gives a database what `facts` say, in one transaction, and reads it back. `comment` instead of the facts' own.
pub(super) async fn give(
    session: &Session,
    database: &str,
    facts: &DatabaseFacts,
    comment: Option<&str>,
) -> Result<(), Failure> {
    let mut wanted = facts.clone();
    if let Some(comment) = comment {
        wanted.comment = Some(comment.to_owned());
    }
    let name = ident(database);
    let mut statements = vec![
        "BEGIN".to_owned(),
        format!("ALTER DATABASE {name} OWNER TO {}", ident(&wanted.owner)),
        format!("ALTER DATABASE {name} CONNECTION LIMIT {}", wanted.connection_limit),
        format!("ALTER DATABASE {name} RESET ALL"),
    ];
    statements.extend(wanted.settings.iter().map(|setting| set(&name, setting)));
    statements.extend(rights(session, &name, database, &wanted).await?);
    let text = wanted.comment.as_deref().map_or("NULL".to_owned(), literal);
    statements.push(format!("COMMENT ON DATABASE {name} IS {text}"));
    statements.push("COMMIT".to_owned());
    for statement in &statements {
        if let Err(failure) = session.simple(statement).await {
            let _gone = session.simple("ROLLBACK").await;
            return Err(failure);
        }
    }
    compare(session, database, &wanted).await
}

/// Reads back what a database has.
async fn compare(session: &Session, database: &str, wanted: &DatabaseFacts) -> Result<(), Failure> {
    let missing = || {
        Failure::new("not_as_before", format!("the database `{database}` is gone"))
            .hint("see who has dropped or renamed it: `psql -l`")
    };
    let mut found = facts::named(session, &[database.to_owned()]).await?;
    let found = found.pop().ok_or_else(missing)?;
    let mut wrong = Vec::new();
    let mut differs = |what: &str, is: String, was: String| {
        if is != was {
            wrong.push(format!("{what} is `{is}` and was `{was}`"));
        }
    };
    differs("owner", found.owner.clone(), wanted.owner.clone());
    differs("connection limit", found.connection_limit.to_string(), wanted.connection_limit.to_string());
    let sorted = |list: &[String]| {
        list.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    differs("settings", sorted(&found.settings), sorted(&wanted.settings));
    differs("comment", found.comment.unwrap_or_default(), wanted.comment.clone().unwrap_or_default());
    let (is, was) = (
        exploded(session, &found.acl, &found.owner).await?,
        exploded(session, &wanted.acl, &wanted.owner).await?,
    );
    differs("rights", is.join(", "), was.join(", "));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new("not_as_before", format!("`{database}` could not be given what it had"))
        .hint(NAME_AN_ADMINISTRATOR)
        .evidence(wrong))
}

/// `name=value`, or `role: name=value`.
fn set(database: &str, setting: &str) -> String {
    let (role, rest) = match setting.split_once(": ") {
        Some((role, rest)) if !role.contains('=') => (Some(role), rest),
        _ => (None, setting),
    };
    let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
    let value = values(name, value);
    match role {
        // Written by the server itself, quoted where it must be.
        Some(role) => format!("ALTER ROLE {role} IN DATABASE {database} SET {name} TO {value}"),
        None => format!("ALTER DATABASE {database} SET {name} TO {value}"),
    }
}

/// A few settings are lists of names, and stored as such: quoted as one text they would become one name. The same
/// names as in PostgreSQL's `variable_is_guc_list_quote`.
fn values(name: &str, value: &str) -> String {
    const LISTS: [&str; 6] = [
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ];
    if !LISTS.contains(&name.to_ascii_lowercase().as_str()) || value.is_empty() {
        return literal(value);
    }
    names(value).iter().map(|one| literal(one)).collect::<Vec<_>>().join(", ")
}

/// `"$user", public` in its parts.
fn names(value: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            letter if !quoted && letter.is_whitespace() => {}
            letter => part.push(letter),
        }
    }
    parts.push(part);
    parts
}

/// Grantee, right and whether it may be passed on, as the server reads its own notation; no rights noted are the
/// rights that a new database has.
async fn exploded(session: &Session, acl: &[String], owner: &str) -> Result<Vec<String>, Failure> {
    let rows = session
        .rows(
            "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END \
             || ' ' || a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END \
             FROM aclexplode(CASE WHEN cardinality($1::text[]) = 0 \
             THEN acldefault('d', (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $2)) \
             ELSE $1::text[]::aclitem[] END) a ORDER BY 1",
            &[&acl, &owner],
        )
        .await?;
    rows.iter().map(|row| session.column(row, 0)).collect()
}

/// Nothing for anybody, then what each had. Nothing at all where it has those rights already: most databases have
/// the rights of a new one, and noting these would change how they are shown.
async fn rights(
    session: &Session,
    name: &str,
    database: &str,
    wanted: &DatabaseFacts,
) -> Result<Vec<String>, Failure> {
    let mut now = facts::named(session, &[database.to_owned()]).await?;
    let now = now.pop().map(|facts| (facts.acl, facts.owner)).unwrap_or_default();
    if now.0 == wanted.acl {
        return Ok(Vec::new());
    }
    let (is, was) =
        (exploded(session, &now.0, &now.1).await?, exploded(session, &wanted.acl, &wanted.owner).await?);
    let mut grantees: BTreeSet<_> =
        is.iter().filter_map(|line| parts(line)).map(|parts| parts.0.to_owned()).collect();
    grantees.extend(["PUBLIC".to_owned(), ident(&wanted.owner)]);
    let revoke = |grantee: &String| format!("REVOKE ALL ON DATABASE {name} FROM {grantee}");
    let grant = |line: &String| {
        let (grantee, right, option) = parts(line)?;
        Some(format!("GRANT {right} ON DATABASE {name} TO {grantee}{option}"))
    };
    Ok(grantees.iter().map(revoke).chain(was.iter().filter_map(grant)).collect())
}

/// `"a role" CONNECT WITH GRANT OPTION` in its parts. A quoted name may hold blanks, a right does not.
fn parts(line: &str) -> Option<(&str, &str, &'static str)> {
    const OPTION: &str = " WITH GRANT OPTION";
    let (line, option) = line.strip_suffix(OPTION).map_or((line, ""), |line| (line, OPTION));
    let (grantee, right) = line.rsplit_once(' ')?;
    Some((grantee, right, option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_the_server_reads_them() {
        for (setting, expected) in [
            ("work_mem=64MB", "ALTER DATABASE \"a\" SET work_mem TO '64MB'"),
            ("search_path=\"$user\", public", "ALTER DATABASE \"a\" SET search_path TO '$user', 'public'"),
            ("strata: lock_timeout=5s", "ALTER ROLE strata IN DATABASE \"a\" SET lock_timeout TO '5s'"),
            ("app.text=a: b='c'", "ALTER DATABASE \"a\" SET app.text TO 'a: b=''c'''"),
        ] {
            assert_eq!(set("\"a\"", setting), expected);
        }
    }
}
