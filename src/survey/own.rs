//! `uplift.toml`: what an operator has to say that cannot be found out.

mod backup;
mod grants;
mod notify;
mod params;
mod said;
mod services;
mod trust;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub use params::params;
pub use said::said;
pub(super) use services::Named;
pub use trust::trusted;

use crate::{
    event::{Failure, suggest},
    ports::files::{FilesRead, quoted},
    site::{Grants, Notify, PublicKey},
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
    /// `leave_out` under `[backup]`: roles of databases whose rows are no part of backups.
    pub(super) left_out: Vec<String>,
    /// `[services]`: which services are the product's, where somebody has said it.
    pub(super) services: Named,
    /// `[notify]`: who is told of runs.
    pub(super) notify: Option<Notify>,
    /// `[grants]`: what runbooks may start and ask; paths below the site folder where they are not absolute.
    pub(super) grants: Grants,
    /// `[params]`: what parameters of runbooks are where nobody says otherwise.
    pub(super) params: params::Params,
    /// `keys` under `[trust]`: whose bundles of runbooks are installed.
    pub(super) trust: Vec<PublicKey>,
    pub(super) site: OwnSite,
    /// There is a `[site]`, whatever it says.
    pub(super) has_site: bool,
}

/// `[site]`: how compose is told the project, where its containers do not tell it, or not what is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OwnSite {
    /// The project's name.
    pub(super) project: Option<String>,
    /// Compose files in the order in which compose merges them, and env files.
    pub(super) files: Option<Vec<PathBuf>>,
    pub(super) env_files: Option<Vec<PathBuf>>,
    pub(super) profiles: Vec<String>,
}

impl OwnSite {
    /// Its compose files, below the site folder where they are not absolute.
    pub(super) fn files(&self, dir: &Path) -> Option<Vec<PathBuf>> {
        Some(below(dir, self.files.as_ref()?))
    }

    /// The same of its env files.
    pub(super) fn env_files(&self, dir: &Path) -> Option<Vec<PathBuf>> {
        Some(below(dir, self.env_files.as_ref()?))
    }
}

fn below(dir: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    files.iter().map(|file| dir.join(file)).collect()
}

/// What the site folder's own file says; nothing if there is none.
pub(super) async fn own(dir: &Path, files: &dyn FilesRead) -> Result<Own, Failure> {
    let path = dir.join(FILE);
    let Some(file) = files.read(&path).await? else { return Ok(Own::default()) };
    let place = path.display().to_string();
    let text = String::from_utf8(file.bytes).map_err(|_| wrong(&place, "it is no text"))?;
    let mut own = read(&text).map_err(|(why, hint)| wrong(&place, &why).hint(hint))?;
    own.grants.exec = below(dir, &own.grants.exec);
    own.grants.files = below(dir, &own.grants.files);
    // Whoever may write it says what is executed in the name of whoever upgrades.
    if (own.notify.is_some() || own.grants != Grants::default() || !own.trust.is_empty())
        && file.mode & 0o002 != 0
    {
        let why = "it names what may be executed, asked or trusted, and everybody may write it";
        return Err(wrong(&place, why).hint(format!("`chmod o-w {}`", quoted(&path))));
    }
    Ok(own)
}

fn wrong(place: &str, why: &str) -> Failure {
    Failure::new("settings_invalid", format!("`{place}`: {why}")).hint("write the file as UTF-8 text")
}

/// Why something is wrong, and what to do.
type Wrong = (String, String);

pub(super) fn read(text: &str) -> Result<Own, Wrong> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let bare = text
            .lines()
            .nth(line - 1)
            .is_some_and(|line| line.trim_start().starts_with("[params.") && !line.contains('"'));
        let hint = if bare {
            "a name with `/` stands in quotes: `[params.\"compose/upgrade\"]`"
        } else {
            "mend that line, e.g. `host = \"10.0.0.5\"`"
        };
        (format!("line {line}: {}", error.message().trim()), hint.to_owned())
    })?;
    let sections =
        ["backup", "database", "grants", "notify", "params", "rollback", "services", "site", "trust"];
    known(&table, "", &sections)?;
    let mut own = Own {
        compatible: compatible(&table)?,
        left_out: backup::left_out(&table)?,
        services: services::named(&table)?,
        grants: grants::grants(&table)?,
        notify: notify::notify(&table)?,
        params: params::read(&table)?,
        trust: trust::keys(&table)?,
        site: site(&table)?,
        has_site: table.contains_key("site"),
        ..Own::default()
    };
    let Some(database) = section(&table, "database")? else { return Ok(own) };
    known(database, "database.", &["host", "port"])?;
    match database.get("host") {
        None => {}
        Some(Value::String(host)) if !host.trim().is_empty() && !host.contains(['/', ' ']) => {
            own.host = Some(host.trim().to_owned());
        }
        Some(value) => return Err(kind("database.host", value, "an address or a name, e.g. `\"10.0.0.5\"`")),
    }
    match database.get("port") {
        None => {}
        Some(Value::Integer(port)) if (1..=65_535).contains(port) => own.port = u16::try_from(*port).ok(),
        Some(value) => return Err(kind("database.port", value, "a number from 1 to 65535")),
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
    Ok(words(rollback, "rollback.compatible", "list of tags", "\"1.1.0\"")?.unwrap_or_default())
}

fn site(table: &Table) -> Result<OwnSite, Wrong> {
    let Some(site) = section(table, "site")? else { return Ok(OwnSite::default()) };
    known(site, "site.", &["project", "files", "env_files", "profiles"])?;
    let project = match site.get("project") {
        None => None,
        Some(Value::String(name)) if is_project(name) => Some(name.clone()),
        Some(value) => {
            return Err(kind(
                "site.project",
                value,
                "a project's name: lower case letters, digits, `-`, `_`",
            ));
        }
    };
    let paths = |name: &str, like: &str| {
        let list = words(site, &format!("site.{name}"), "list of files", like)?;
        Ok::<_, Wrong>(list.map(|list| list.into_iter().map(PathBuf::from).collect()))
    };
    Ok(OwnSite {
        project,
        files: paths("files", "\"docker-compose.yml\", \"site.yml\"")?,
        env_files: paths("env_files", "\".env\"")?,
        profiles: words(site, "site.profiles", "list of profiles", "\"mail\"")?.unwrap_or_default(),
    })
}

/// What compose takes for a project's name.
fn is_project(name: &str) -> bool {
    let fits = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_'
    };
    name.chars().all(fits) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// A list of texts; an empty one says nothing, and is a mistake.
fn words(table: &Table, name: &str, what: &str, like: &str) -> Result<Option<Vec<String>>, Wrong> {
    let own = name.rsplit('.').next().unwrap_or(name);
    let wrong = || (format!("`{name}` is no {what}"), format!("e.g. `{own} = [{like}]`"));
    let Some(value) = table.get(own) else { return Ok(None) };
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    let text =
        |one: &Value| one.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(wrong);
    list.iter().map(text).collect::<Result<_, _>>().map(Some)
}

fn kind(name: &str, value: &Value, wanted: &str) -> Wrong {
    let found = match value {
        Value::String(text) => format!("`{text:?}`"),
        Value::Integer(number) => format!("`{number}`"),
        other => format!("of the kind `{}`", other.type_str()),
    };
    (format!("`{name}` cannot be {found}"), format!("it is {wanted}"))
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
        let own = read("[site]\nproject = \"strata\"\nfiles = [\"a.yml\", \"/etc/b.yml\"]\n").unwrap().site;
        let files = own.files(Path::new("/srv")).unwrap();
        assert_eq!(files, [PathBuf::from("/srv/a.yml"), PathBuf::from("/etc/b.yml")]);
        assert_eq!((own.project.as_deref(), own.env_files), (Some("strata"), None));
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
            ("[rollback]\ncompatible = []", "`rollback.compatible` is no list", "e.g. `compatible"),
            ("[site]\nproject = \"My Site\"", "`site.project` cannot be", "lower case"),
            ("[site]\nfiles = \"a.yml\"", "`site.files` is no list of files", "e.g. `files = ["),
            ("[site]\nenv_file = []", "`site.env_file` is no setting", "did you mean `env_files`?"),
            ("\n[database\n", "line 2: ", "mend that line"),
        ] {
            let (said, hinted) = read(text).unwrap_err();
            assert!(said.contains(why) && hinted.contains(hint), "{text}: {said}; {hinted}");
        }
    }
}
