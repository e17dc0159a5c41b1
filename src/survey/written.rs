//! `uplift.toml` as `init` writes it: what was found, so that it is known also while no container tells it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Start,
    find::active_config,
    own::{FILE, Own, OwnSite, own},
    project::{self, Search},
};
use crate::{
    event::Failure,
    ports::{Ports, docker::Select},
    site::{Project, PublicKey, Site},
};

/// What the site folder's own file says of the project, and what it should say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Where the file is, or would be.
    pub path: PathBuf,
    /// The project as its containers tell it, or as compose would find it.
    pub project: Project,
    /// No container has told it.
    pub guessed: bool,
    /// What the file says otherwise, a sentence each.
    pub differs: Vec<String>,
    /// The text that is missing in the file; `None` where it says all of it.
    pub text: Option<String>,
    /// The file is there: the text goes to its end.
    pub there: bool,
}

/// Compares `uplift.toml` with what is found without it.
pub async fn noted(ports: &Ports, start: &Start, site: &Site) -> Result<Noted, Failure> {
    let containers = ports.docker.containers(&Select::All).await?;
    let dir = &site.project.dir;
    let path = dir.join(FILE);
    let there = ports.files.size(&path).await?.is_some();
    let said = own(dir, &*ports.files).await?;
    let start = Start { dir: Some(dir.clone()), ..start.clone() };
    let nothing = OwnSite::default();
    let search = Search {
        start: &start,
        own: &nothing,
        containers: &containers,
        recorded: None,
        files: &*ports.files,
    };
    let found = search.in_folder(dir).await;
    let mut project = match found {
        Ok(project) => project,
        // Without the file nobody would know it.
        Err(_) if said.site != nothing => site.project.clone(),
        Err(failure) => return Err(failure),
    };
    active_config(ports, &mut project, &containers).await?;
    let guessed = !containers.iter().any(|one| project::of(one) == Some(&project.name));
    let differs = differs(&said.site, &project);
    let text = (!said.has_site).then(|| text(&project, &said, there));
    Ok(Noted { path, project, guessed, differs, text, there })
}

/// The same, with a key among those whose bundles the site takes. What somebody has written is not replaced, so a list that
/// is there is to be added to by hand.
pub async fn trusting(noted: Noted, key: &str, site: &Site, ports: &Ports) -> Result<Noted, Failure> {
    let key = PublicKey::parse(key).ok_or_else(|| {
        Failure::new("trust_key", format!("`{key}` is no minisign public key"))
            .hint("take the line of the `.pub` file that begins with `RW`")
    })?;
    let known = own(&site.project.dir, &*ports.files).await?.trust;
    if known.contains(&key) {
        return Ok(noted);
    }
    let list =
        |keys: &[PublicKey]| keys.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
    if !known.is_empty() {
        let text = format!("`{}` has other keys under `[trust]` already", noted.path.display());
        let all: Vec<_> = known.into_iter().chain([key]).collect();
        let hint = format!("nothing there is replaced: write it yourself, `keys = [{}]`", list(&all));
        return Err(Failure::new("trust_there", text).hint(hint));
    }
    let before = noted.text.map(|text| text + "\n").unwrap_or_default();
    let id = key.id();
    let text = format!(
        "{before}# Whose bundles of runbooks `uplift runbook install` takes: minisign public keys. This one is {id}.\n\
         [trust]\nkeys = [{}]\n",
        list(&[key])
    );
    Ok(Noted { text: Some(text), ..noted })
}

/// What is said and is not so. What is not said is no difference.
fn differs(said: &OwnSite, found: &Project) -> Vec<String> {
    let mut differs = Vec::new();
    if let Some(name) = said.project.as_ref().filter(|name| **name != found.name) {
        differs.push(format!("`project` is `{name}`, and what runs is `{}`", found.name));
    }
    let shown = |files: &[PathBuf]| {
        files.iter().map(|path| format!("`{}`", below(path, &found.dir))).collect::<Vec<_>>().join(", ")
    };
    if let Some(files) = said.files(&found.dir).filter(|files| *files != found.files) {
        differs.push(format!("`files` are {}, and it was made from {}", shown(&files), shown(&found.files)));
    }
    let usual = vec![found.dir.join(".env")];
    let env_files = if found.env_files.is_empty() { &usual } else { &found.env_files };
    if let Some(files) = said.env_files(&found.dir).filter(|files| files != env_files) {
        differs.push(format!("`env_files` are {}, and it was made with {}", shown(&files), shown(env_files)));
    }
    differs
}

fn text(project: &Project, said: &Own, there: bool) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let list = |all: &[String]| all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", ");
    let paths = |all: &[PathBuf]| list(&all.iter().map(|path| below(path, &project.dir)).collect::<Vec<_>>());
    let mut lines = vec![
        "# Which compose project this site is. Found by `uplift init`; it comes before what containers tell."
            .to_owned(),
        "[site]".to_owned(),
        format!("project = {}", quoted(&project.name)),
        format!("files = [{}]", paths(&project.files)),
    ];
    if !project.env_files.is_empty() {
        lines.push(format!("env_files = [{}]", paths(&project.env_files)));
    }
    if !project.profiles.is_empty() {
        lines.push(format!("profiles = [{}]", list(&project.profiles)));
    }
    if !there && said.host.is_none() {
        lines.extend(OTHERS.map(str::to_owned));
    }
    lines.join("\n") + "\n"
}

/// What else can be said, for whoever reads the file.
const OTHERS: [&str; 37] = [
    "",
    "# The database server as this host reaches it, where that is another address than the containers', or a pooler answers.",
    "# [database]",
    "# host = \"10.0.0.5\"",
    "# port = 5432",
    "",
    "# Releases on whose databases the release before them runs too: `uplift rollback` may then leave the data as it is.",
    "# [rollback]",
    "# compatible = [\"1.1.0\"]",
    "",
    "# What parameters of a runbook are where nobody says otherwise (`uplift upgrade --help` lists them).",
    "# [params.\"compose/upgrade\"]",
    "# patience = \"20m\"",
    "",
    "# Which services are the product's, where their names and commands do not tell.",
    "# [services]",
    "# web = \"frontend\"",
    "# job = \"background\"",
    "",
    "# Databases whose rows are no part of backups: the product fills them again.",
    "# [backup]",
    "# leave_out = [\"cache\", \"cable\"]",
    "",
    "# Who is told when a run begins, asks or has ended: a command, a chat by the address that it gave out, or both.",
    "# [notify]",
    "# command = [\"/usr/local/bin/tell-the-team\"]",
    "# webhook = \"file:/etc/uplift/webhook\"",
    "",
    "# What runbooks may start, run, ask and write besides the site itself.",
    "# [grants]",
    "# exec = [\"/usr/local/bin/smoke\"]",
    "# images = [\"caddy:2\"]",
    "# http = [\"hooks.example.org\"]",
    "# files = [\"/etc/haproxy\"]",
    "",
    "# Whose bundles of runbooks are installed: `uplift init --trust KEY` writes it.",
    "# [trust]",
];

/// A path as it is written in the site folder.
fn below(path: &Path, dir: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project {
            name: "strata".to_owned(),
            dir: "/srv/strata".into(),
            files: vec!["/srv/strata/docker-compose.yml".into(), "/etc/it's \"x\".yml".into()],
            env_files: vec!["/srv/strata/.env".into(), "/srv/strata/site.env".into()],
            profiles: vec!["mail".to_owned()],
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was_found() {
        let project = project();
        let text = text(&project, &Own::default(), false);
        let own = super::super::own::read(&text).unwrap().site;
        assert_eq!(differs(&own, &project), Vec::<String>::new(), "{text}");
        assert_eq!(own.files(&project.dir).unwrap(), project.files);
        assert_eq!(own.env_files(&project.dir).unwrap(), project.env_files);
        assert_eq!((own.project.unwrap(), own.profiles), (project.name.clone(), project.profiles.clone()));
    }

    #[test]
    fn what_is_offered_can_be_taken_as_it_stands() {
        let text = text(&project(), &Own::default(), false);
        let taken = |line: &str| {
            let offered =
                line.strip_prefix("# ").filter(|rest| rest.starts_with('[') || rest.contains(" = "));
            offered.unwrap_or(line).to_owned()
        };
        let text = text.lines().map(taken).collect::<Vec<_>>().join("\n");
        let own = super::super::own::read(&text).unwrap();
        assert_eq!(
            (own.host.as_deref(), own.port, own.compatible),
            (Some("10.0.0.5"), Some(5432), vec!["1.1.0".to_owned()])
        );
    }

    #[test]
    fn what_is_said_otherwise_is_told() {
        let text = "[site]\nproject = \"other\"\nfiles = [\"docker-compose.yml\"]\n";
        let told = differs(&super::super::own::read(text).unwrap().site, &project());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("`other`") && told[1].contains("`docker-compose.yml`"), "{told:?}");
    }
}
