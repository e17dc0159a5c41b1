//! `[grants]`: what runbooks may start and ask besides the site itself.

use std::path::PathBuf;

use toml::Table;

use super::{Wrong, known, section, words};
use crate::site::Grants;

pub(super) fn grants(table: &Table) -> Result<Grants, Wrong> {
    let Some(section) = section(table, "grants")? else { return Ok(Grants::default()) };
    known(section, "grants.", &["exec", "files", "http", "images"])?;
    let exec = words(section, "grants.exec", "list of programs", "\"/usr/local/bin/haproxyctl\"")?;
    let http = words(section, "grants.http", "list of hosts", "\"hooks.example.org\", \"lb.internal:8443\"")?;
    let files = words(section, "grants.files", "list of files and folders", "\"/etc/haproxy\"")?;
    let images = words(section, "grants.images", "list of images", "\"caddy:2\"")?;
    Ok(Grants {
        images: images.unwrap_or_default().iter().map(|one| image(one)).collect::<Result<_, _>>()?,
        files: files.unwrap_or_default().into_iter().map(PathBuf::from).collect(),
        exec: exec.unwrap_or_default().iter().map(|one| program(one)).collect::<Result<_, _>>()?,
        http: http.unwrap_or_default().iter().map(|one| host(one)).collect::<Result<_, _>>()?,
    })
}

/// A name alone would mean whichever program is found first.
fn program(text: &str) -> Result<PathBuf, Wrong> {
    if !text.contains('/') {
        let why = format!("`grants.exec` names `{text}` without its folder");
        return Err((why, format!("write its whole path: `command -v {text}` tells it")));
    }
    Ok(text.into())
}

/// A name without its tag would mean another image tomorrow.
fn image(text: &str) -> Result<String, Wrong> {
    let name = text.rsplit('/').next().unwrap_or(text);
    if text.chars().any(char::is_whitespace) || !name.contains([':', '@']) {
        let why = format!("`grants.images` names `{text}` without its tag");
        return Err((why, "write it as it is pulled, e.g. `\"caddy:2\"`".to_owned()));
    }
    Ok(text.to_owned())
}

fn host(text: &str) -> Result<String, Wrong> {
    let wrong = || {
        let hint = "write the name as it stands in the address, and the port if there is one, e.g. `\"lb.internal:8443\"`";
        (format!("`grants.http` cannot hold `{text}`"), hint.to_owned())
    };
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let bracketed = name.starts_with('[') && name.ends_with(']');
    let plain =
        |one: char| one.is_ascii_alphanumeric() || "-._".contains(one) || (bracketed && "[:]".contains(one));
    let is_name = !name.is_empty() && name.chars().all(plain);
    if !is_name || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(wrong());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Grants, Wrong> {
        grants(&format!("[grants]\n{text}").parse().unwrap())
    }

    #[test]
    fn what_is_granted() {
        let found = read(
            "exec = [\"/bin/sh\", \"./tools/drain\"]\nhttp = [\"Hooks.example.org\", \"lb.internal:8443\", \"[::1]:80\"]",
        )
        .unwrap();
        assert_eq!(found.exec, [PathBuf::from("/bin/sh"), PathBuf::from("./tools/drain")]);
        assert_eq!(found.http, ["hooks.example.org", "lb.internal:8443", "[::1]:80"]);
        assert_eq!(grants(&Table::new()).unwrap(), Grants::default());
    }

    #[test]
    fn what_would_not_do_what_it_says_is_refused() {
        for (text, why, hint) in [
            ("exec = \"/bin/sh\"", "`grants.exec` is no list of programs", "e.g. `exec = ["),
            ("exec = [\"sh\"]", "names `sh` without its folder", "`command -v sh`"),
            ("http = [\"https://hooks.example.org/x\"]", "cannot hold `https://", "write the name"),
            ("http = [\"*\"]", "cannot hold `*`", "write the name"),
            ("http = [\"lb:99999\"]", "cannot hold `lb:99999`", "write the name"),
            ("images = [\"caddy\"]", "names `caddy` without its tag", "as it is pulled"),
            ("images = [\"localhost:5000/caddy\"]", "without its tag", "`\"caddy:2\"`"),
            ("exce = []", "`grants.exce` is no setting", "did you mean `exec`?"),
        ] {
            let (said, hinted) = read(text).unwrap_err();
            assert!(said.contains(why) && hinted.contains(hint), "{text}: {said}; {hinted}");
        }
    }
}
