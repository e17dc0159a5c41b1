//! Who starts or replaces containers without being asked: programs that watch for new images, units, timed jobs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    event::Failure,
    ports::{
        Observe,
        docker::{Container, Select},
        files::{CRONTAB, UNITS},
    },
};

/// Words in the names of images whose programs replace, restart or redeploy containers.
const IMAGES: [&str; 9] = [
    "watchtower",
    "ouroboros",
    "autoheal",
    "shepherd",
    "dockcheck",
    "wud",
    "whats-up-docker",
    "komodo",
    "portainer",
];

/// Names of running containers, and paths of files, that may start or replace the site's containers by themselves.
pub(crate) async fn restarters(site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let containers = site.docker.containers(&Select::All).await?;
    let mut found: Vec<_> =
        containers.iter().filter(|one| one.is_running() && is_one(one)).map(|one| one.name.clone()).collect();
    let dir = &site.site.project.dir;
    let real = site.files.real(dir).await?;
    let folders = BTreeSet::from([dir.display().to_string(), real.display().to_string()]);
    let mut paths = vec![PathBuf::from(CRONTAB)];
    for folder in UNITS.map(Path::new) {
        let names = match site.files.list(folder).await {
            Ok(names) => names,
            // Only root may look at everybody's timed jobs.
            Err(failure) if failure.code == "permission_denied" => {
                site.tell.note(format!(
                    "`{}` may not be read: whether something in it starts containers is not known",
                    folder.display()
                ));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        for path in names.iter().map(|name| folder.join(name)) {
            // What an administrator adds to a unit lies in a folder beside it.
            if path.extension().is_some_and(|end| end == "d") {
                let added = site.files.list(&path).await?;
                paths.extend(added.iter().map(|name| path.join(name)));
            }
            paths.push(path);
        }
    }
    for path in paths {
        if let Some(text) = text(&path, site).await
            && acts_on(&text, &site.site.project.name, &folders)
        {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

fn is_one(container: &Container) -> bool {
    let name = container.image.rsplit('/').next().unwrap_or(&container.image);
    let words: Vec<_> = name.split([':', '@', '-', '_', '.']).collect();
    IMAGES.iter().any(|known| words.contains(known) || (known.contains('-') && name.contains(known)))
}

/// A small file's text; `None` for what is none, or may not be read.
async fn text(path: &Path, site: Observe<'_>) -> Option<String> {
    const LARGE: u64 = 256 << 10;
    let found = match site.files.size(path).await {
        Ok(length) if length.is_none_or(|bytes| bytes > LARGE) => return None,
        Ok(_) => site.files.read(path).await,
        Err(failure) => Err(failure),
    };
    match found {
        Ok(file) => file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()),
        // It only warns: what cannot be looked at is told, and is no reason to stop.
        Err(failure) => {
            site.tell.note(format!("whether something there starts containers is not known: {failure}"));
            None
        }
    }
}

/// Whether a unit or a timed job calls docker for this site. One that calls uplift waits for its turn.
fn acts_on(text: &str, project: &str, folders: &BTreeSet<String>) -> bool {
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> =
        lines.filter(|line| !line.starts_with(['#', ';']) && !line.contains("uplift")).collect();
    let is_word = |letter: char| !(letter.is_ascii_alphanumeric() || "_-.".contains(letter));
    let named = |line: &&str| {
        folders.iter().any(|folder| line.contains(folder.as_str()))
            || line.split(is_word).any(|word| word == project)
    };
    lines.iter().any(named) && lines.iter().any(|line| line.contains("docker"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_calls_docker_for_the_site_is_one() {
        let folders = BTreeSet::from(["/srv/strata".to_owned()]);
        for (text, is) in [
            ("[Service]\nWorkingDirectory=/srv/strata\nExecStart=/usr/bin/docker compose up\n", true),
            ("0 4 * * * root docker compose -p strata pull && docker compose -p strata up -d\n", true),
            ("30 2 * * * root cd /srv/strata && docker compose restart web\n", true),
            ("# cd /srv/strata && docker compose restart web\n", false),
            ("0 3 * * * root uplift -C /srv/strata backup create -y --quiet # not docker\n", false),
            ("0 3 * * * root docker compose -p strata-mail restart\n", false),
            ("[Service]\nWorkingDirectory=/srv/strata\nExecStart=/usr/bin/tar c .\n", false),
        ] {
            assert_eq!(acts_on(text, "strata", &folders), is, "{text}");
        }
    }
}
