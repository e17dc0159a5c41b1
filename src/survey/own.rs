//! `uplift.toml`: what an operator has to say that cannot be found out.

use std::path::Path;

use toml::{Table, Value};

use crate::{
    event::{Failure, suggest},
    ports::files::FilesRead,
};

/// The file's name in the site folder.
pub(super) const FILE: &str = "uplift.toml";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// `host` under `[database]`: the database server as this host reaches it.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    /// `compatible` under `[rollback]`: releases whose databases the release before them runs on.
    pub(super) compatible: Vec<String>,
}

/// What the site folder's own file says; nothing if there is none.
pub(super) async fn own(dir: &Path, files: &dyn FilesRead) -> Result<Own, Failure> {
    let path = dir.join(FILE);
    let Some(file) = files.read(&path).await? else { return Ok(Own::default()) };
    let place = path.display().to_string();
    let text = String::from_utf8(file.bytes).map_err(|_| wrong(&place, "it is no text"))?;
    read(&text).map_err(|(why, hint)| wrong(&place, &why).hint(hint))
}

fn wrong(place: &str, why: &str) -> Failure {
    Failure::new("settings_invalid", format!("`{place}`: {why}")).hint("correct it")
}

/// Why something is wrong, and what to do.
type Wrong = (String, String);

fn read(text: &str) -> Result<Own, Wrong> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        (format!("line {line}: {}", error.message().trim()), "correct it".to_owned())
    })?;
    known(&table, "", &["database", "rollback"])?;
    let mut own = Own { compatible: compatible(&table)?, ..Own::default() };
    let Some(database) = section(&table, "database")? else { return Ok(own) };
    known(database, "database.", &["host", "port"])?;
    match database.get("host") {
        None => {}
        Some(Value::String(host)) if !host.trim().is_empty() && !host.contains(['/', ' ']) => {
            own.host = Some(host.trim().to_owned());
        }
        Some(value) => return Err(kind("host", value, "an address or a name, e.g. `\"10.0.0.5\"`")),
    }
    match database.get("port") {
        None => {}
        Some(Value::Integer(port)) if (1..=65_535).contains(port) => own.port = u16::try_from(*port).ok(),
        Some(value) => return Err(kind("port", value, "a number from 1 to 65535")),
    }
    Ok(own)
}

fn section<'a>(table: &'a Table, name: &str) -> Result<Option<&'a Table>, Wrong> {
    match table.get(name) {
        None => Ok(None),
        Some(Value::Table(section)) => Ok(Some(section)),
        Some(_) => Err((format!("`{name}` is no section"), format!("write `[{name}]`"))),
    }
}

fn compatible(table: &Table) -> Result<Vec<String>, Wrong> {
    let Some(rollback) = section(table, "rollback")? else { return Ok(Vec::new()) };
    known(rollback, "rollback.", &["compatible"])?;
    let wrong = || {
        ("`rollback.compatible` is no list of tags".to_owned(), "e.g. `compatible = [\"1.1.0\"]`".to_owned())
    };
    let Some(value) = rollback.get("compatible") else { return Ok(Vec::new()) };
    let tags = value.as_array().ok_or_else(wrong)?;
    tags.iter().map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn kind(name: &str, value: &Value, wanted: &str) -> Wrong {
    let found = match value {
        Value::String(text) => format!("`{text:?}`"),
        Value::Integer(number) => format!("`{number}`"),
        other => format!("of the kind `{}`", other.type_str()),
    };
    (format!("`database.{name}` cannot be {found}"), format!("it is {wanted}"))
}

/// Unknown names are mistakes: what an operator wrote for nothing, he would trust.
fn known(table: &Table, within: &str, names: &[&str]) -> Result<(), Wrong> {
    match table.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err((format!("`{within}{key}` is no setting"), suggest(key, names))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_taken() {
        let own = read("[database]\nhost = \"10.0.0.5\"\nport = 6543\n").unwrap();
        assert_eq!(own, Own { host: Some("10.0.0.5".to_owned()), port: Some(6543), ..Own::default() });
        let own = read("[rollback]\ncompatible = [\"1.1.0\"]\n").unwrap();
        assert_eq!(own, Own { compatible: vec!["1.1.0".to_owned()], ..Own::default() });
        assert_eq!(read("# nothing yet\n").unwrap(), Own::default());
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_was_meant() {
        for (text, why, hint) in [
            ("[databse]\nhost = \"x\"", "`databse` is no setting", "did you mean `database`?"),
            ("[database]\nhots = \"x\"", "`database.hots` is no setting", "did you mean `host`?"),
            ("[database]\nport = \"5432\"", "`database.port` cannot be `\"5432\"`", "it is a number"),
            ("[database]\nhost = \"postgres://x/\"", "`database.host` cannot be", "it is an address"),
            ("[rollback]\ncompatible = true", "`rollback.compatible` is no list", "e.g. `compatible"),
            ("\n[database\n", "line 2: ", "correct it"),
        ] {
            let (said, hinted) = read(text).unwrap_err();
            assert!(said.contains(why) && hinted.contains(hint), "{text}: {said}; {hinted}");
        }
    }
}
