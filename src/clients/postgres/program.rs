use std::path::PathBuf;

use crate::{clients::process::Processes, event::Failure, ports::postgres::DumpClient};

/// The `pg_dump` of exactly this major: where distributions put each version, then whatever `PATH` has.
pub(super) async fn find(processes: &Processes, major: u32) -> Result<DumpClient, Failure> {
    let mut found = Vec::new();
    for path in candidates(processes, major) {
        let Some(client) = asked(processes, path).await else { continue };
        if client.major == major {
            return Ok(client);
        }
        let version = format!("`{}`", client.version);
        if !found.contains(&version) {
            found.push(version);
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let text = format!("`pg_dump` {major} is needed for this server; found: {found}");
    let hint = format!("install it: `sudo apt install postgresql-client-{major}`");
    Err(Failure::new("dump_client_missing", text).hint(hint))
}

fn candidates(processes: &Processes, major: u32) -> Vec<PathBuf> {
    let known = [format!("/usr/lib/postgresql/{major}/bin"), format!("/usr/pgsql-{major}/bin")];
    let path = processes.environment.get("PATH").unwrap_or_default();
    let folders = known.into_iter().map(PathBuf::from).chain(std::env::split_paths(path));
    folders.map(|folder| folder.join("pg_dump")).filter(|path| path.is_file()).collect()
}

async fn asked(processes: &Processes, path: PathBuf) -> Option<DumpClient> {
    let ended = processes.program(&path).args(["--version"]).output().await.ok()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let (version, major) = version(&said).filter(|_| ended.status.success())?;
    Some(DumpClient { path, version, major })
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version(said: &str) -> Option<(String, u32)> {
    let version = said.split(") ").nth(1)?.split_whitespace().next()?;
    let digits = |letter: char| letter.is_ascii_digit();
    let end = version.find(|letter| !digits(letter)).unwrap_or(version.len());
    Some((version.to_owned(), version[..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (said, expected) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(("15.18", 15))),
            ("pg_dump (PostgreSQL) 18beta1\n", Some(("18beta1", 18))),
            ("what?", None),
        ] {
            let found = version(said);
            assert_eq!(found.as_ref().map(|(text, major)| (text.as_str(), *major)), expected);
        }
    }
}
