//! What the database server was doing at a moment, by its own log.

use std::collections::BTreeMap;

use super::super::Field;

/// Seconds since 1970.
pub(super) type Moment = f64;

pub(super) fn now() -> Moment {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Has the server write down every statement with its moment, and how long it took.
pub(super) fn tell_all(field: &Field) {
    for setting in ["log_line_prefix = '%n|%p|%d|%a|'", "log_statement = 'all'", "log_duration = on"] {
        field.stack.psql("postgres", &format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    field.stack.psql("postgres", "SELECT pg_reload_conf()").unwrap();
}

#[derive(Debug)]
struct Line {
    at: Moment,
    pid: String,
    application: String,
    text: String,
}

/// A stretch of time in which one thing was done.
#[derive(Debug)]
struct Stretch {
    what: &'static str,
    from: Moment,
    to: Moment,
}

/// Words for what was at work at `moment`, e.g. `copy` or `swap, renamed`; `-` if nothing of interest was.
pub(super) fn at(field: &Field, since: Moment, moment: Moment) -> String {
    let logs = field.stack.tools().docker().arg("logs").arg(format!("--since={since:.3}"));
    let logs = logs.arg(field.stack.postgres()).run().unwrap();
    let lines: Vec<_> = logs.stderr.lines().chain(logs.stdout.lines()).filter_map(Line::read).collect();
    let mut within: Vec<_> = stretches(&lines)
        .into_iter()
        .filter(|one| one.from <= moment && moment <= one.to)
        .map(|one| one.what)
        .collect();
    within.dedup();
    if within.is_empty() { "-".to_owned() } else { within.join(", ") }
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(5, '|');
        let at = parts.next()?.parse().ok()?;
        let pid = parts.next()?.to_owned();
        let (_database, application) = (parts.next()?, parts.next()?.to_owned());
        Some(Self { at, pid, application, text: parts.next()?.to_owned() })
    }
}

fn stretches(lines: &[Line]) -> Vec<Stretch> {
    let mut found = closed(lines);
    let mut sessions: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        sessions.entry(line.pid.as_str()).or_default().push(line);
    }
    for session in sessions.values() {
        let whole = |what| Stretch { what, from: session[0].at, to: session[session.len() - 1].at };
        let says = |text: &str| session.iter().any(|line| line.text.contains(text));
        match session.iter().map(|line| line.application.as_str()).max().unwrap_or_default() {
            "pg_dump" => found.push(whole("dump")),
            "pg_restore" => found.push(whole("load")),
            _ if says("INSERT INTO schema_migrations") => found.push(whole("migration")),
            _ => {}
        }
        found.extend(copies(session));
    }
    found
}

/// Copies that the server was making.
fn copies<'a>(session: &'a [&Line]) -> impl Iterator<Item = Stretch> + 'a {
    let begun = session.iter().enumerate();
    let begun =
        begun.filter(|(_, line)| line.text.contains("CREATE DATABASE") && line.text.contains("__pre_"));
    begun.map(|(at, line)| {
        let ended = session[at..].iter().find(|line| line.text.contains("duration:"));
        Stretch { what: "copy", from: line.at, to: ended.map_or(f64::MAX, |line| line.at) }
    })
}

/// Stretches in which the product's databases kept everybody out: for a savepoint, or for an exchange of names.
fn closed(lines: &[Line]) -> Vec<Stretch> {
    let ours = |line: &&Line| line.application == "uplift" && !line.text.contains("__pre_");
    let (mut found, mut since, mut renamed) = (Vec::new(), None, None);
    for line in lines.iter().filter(ours) {
        if line.text.contains("ALLOW_CONNECTIONS false") && since.is_none() {
            since = Some(line.at);
        }
        if line.text.contains("RENAME TO") {
            renamed = Some(line.at);
        }
        if line.text.contains("ALLOW_CONNECTIONS true")
            && let Some(from) = since.take()
        {
            found.extend(parts(from, renamed.take(), line.at));
        }
    }
    if let Some(from) = since {
        found.extend(parts(from, renamed, f64::MAX));
    }
    found
}

fn parts(from: Moment, renamed: Option<Moment>, to: Moment) -> Vec<Stretch> {
    match renamed {
        None => vec![Stretch { what: "savepoint", from, to }],
        Some(at) => vec![
            Stretch { what: "swap, closed", from, to: at },
            Stretch { what: "swap, renamed", from: at, to },
        ],
    }
}
