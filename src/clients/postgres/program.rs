use std::path::PathBuf;

use crate::{clients::process::Processes, event::Failure, ports::postgres::DumpClient};

/// The `pg_dump` of exactly this major: where distributions put each version, then whatever `PATH` has. Beside it must be
/// a `pg_restore`: nobody could prove what is dumped without one, or load it.
pub(super) async fn find(processes: &Processes, major: u32) -> Result<DumpClient, Failure> {
    let (mut found, mut alone) = (Vec::new(), None);
    for path in candidates(processes, major) {
        let Some(client) = asked(processes, path).await else { continue };
        if client.major == major {
            if restore(&client).is_file() {
                return Ok(client);
            }
            alone.get_or_insert(client);
            continue;
        }
        let version = format!("`{}`", client.version);
        if !found.contains(&version) {
            found.push(version);
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let text = match alone {
        Some(client) => format!(
            "`{}` has no `pg_restore` beside it, and without one no backup can be proved",
            client.path.display()
        ),
        None => format!("`pg_dump` {major} is needed for this server; found: {found}"),
    };
    let hint = format!("install it: `sudo apt install postgresql-client-{major}`");
    Err(Failure::new("dump_client_missing", text).hint(hint))
}

/// The program that reads what this one writes.
pub(super) fn restore(client: &DumpClient) -> PathBuf {
    client.path.with_file_name("pg_restore")
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
#[expect(clippy::disallowed_methods, reason = "the test puts programs there")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

    use super::*;
    use crate::clients::environment::Environment;

    /// Majors that no distribution has yet.
    #[tokio::test]
    async fn a_pg_dump_without_a_pg_restore_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) 99.1'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("pg_dump");
        let path = folder.path().display().to_string();
        let processes = Processes::new(Arc::new(Environment::default().with("PATH", path)));
        let failure = find(&processes, 99).await.unwrap_err();
        assert_eq!(failure.code, "dump_client_missing");
        assert!(failure.message.contains("no `pg_restore` beside it"), "{failure}");
        program("pg_restore");
        assert_eq!(find(&processes, 99).await.unwrap().version, "99.1");
    }

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
