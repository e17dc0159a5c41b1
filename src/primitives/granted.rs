//! What a runbook may reach besides the site itself, by `uplift.toml`.

use std::path::{Component, Path, PathBuf};

use crate::{
    event::{Failure, Refusal},
    ports::{Observe, requests::Host},
};

/// The settings file that grants are written in.
fn settings(site: &Observe<'_>) -> PathBuf {
    site.site.project.dir.join("uplift.toml")
}

/// Refuses a program that is not granted.
pub(super) fn program(program: &Path, site: &Observe<'_>) -> Result<(), Refusal> {
    let granted = &site.site.grants.exec;
    if granted.iter().any(|known| known == program) {
        return Ok(());
    }
    let names =
        granted.iter().map(|known| known.display().to_string()).chain([program.display().to_string()]);
    let text = format!("this site does not let runbooks start `{}`", program.display());
    Err(Refusal(Failure::new("not_granted", text).hint(to_add(site, "exec", names))))
}

/// Refuses an image that is not granted.
pub(super) fn image(image: &str, site: &Observe<'_>) -> Result<(), Refusal> {
    let granted = &site.site.grants.images;
    if granted.iter().any(|known| known == image) {
        return Ok(());
    }
    let text = format!("this site does not let runbooks run `{image}`");
    let names = granted.iter().cloned().chain([image.to_owned()]);
    Err(Refusal(Failure::new("not_granted", text).hint(to_add(site, "images", names))))
}

/// Refuses a host that is not granted.
pub(super) fn host(host: &Host, site: &Observe<'_>) -> Result<(), Refusal> {
    let granted = &site.site.grants;
    if host.is_granted(granted) {
        return Ok(());
    }
    let text = format!("this site does not let runbooks ask `{}`", host.as_granted());
    let names = granted.http.iter().cloned().chain([host.as_granted()]);
    Err(Refusal(Failure::new("not_granted", text).hint(to_add(site, "http", names))))
}

/// Refuses a file outside of the site folder that is not granted, uplift's own, and what grants things.
pub(super) async fn file(path: &Path, site: Observe<'_>) -> Result<(), Refusal> {
    let not_plain = |part: Component<'_>| matches!(part, Component::ParentDir | Component::CurDir);
    if path.components().any(not_plain) {
        let failure = Failure::new("bad_option", format!("`{}` does not say where it leads", path.display()));
        return Err(Refusal(failure.hint("write the path without `..`")));
    }
    let dir = &site.site.project.dir;
    let granted = &site.site.grants.files;
    // A link leads where it wants; the path that is written down counts as well.
    let mut paths = vec![path.to_owned(), site.files.real(path).await?];
    if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
        paths.push(site.files.real(folder).await?.join(name));
    }
    let mut folders = vec![dir.clone(), site.files.real(dir).await?];
    for known in granted {
        folders.extend([known.clone(), site.files.real(known).await?]);
    }
    let own = [site.site.state.clone(), site.files.real(&site.site.state).await?];
    let settings = [settings(&site), site.files.real(&settings(&site)).await?];
    let acting = acting(site).await?;
    let scripts = dir.join("uplift");
    for path in paths {
        let script = path.starts_with(&scripts) && path.extension().is_some_and(|end| end == "rhai");
        let grants = path.file_name().is_some_and(|name| name == "uplift.toml") || settings.contains(&path);
        if script || grants || own.iter().any(|own| path.starts_with(own)) {
            let text = format!("`{}` is uplift's own: no runbook touches it", path.display());
            return Err(Refusal(Failure::new("not_granted", text).hint("take another path")));
        }
        if acting.contains(&path) && !granted.contains(&path) {
            let text = format!(
                "`{}` says what is started here: this site does not let runbooks touch it",
                path.display()
            );
            let names = granted.iter().map(|known| known.display().to_string());
            let hint = to_add(&site, "files", names.chain([path.display().to_string()]));
            return Err(Refusal(Failure::new("not_granted", text).hint(hint)));
        }
        if !folders.iter().any(|folder| path.starts_with(folder)) {
            let text = format!("this site does not let runbooks touch `{}`", path.display());
            let names = granted.iter().map(|known| known.display().to_string());
            let hint = to_add(&site, "files", names.chain([path.display().to_string()]));
            return Err(Refusal(Failure::new("not_granted", text).hint(hint)));
        }
    }
    Ok(())
}

/// Refuses a folder or file that a container is not to have: what [`file`] refuses, what holds uplift's own, and, where it may
/// write there, what holds something that is started on this host.
pub(super) async fn mount(path: &Path, read_only: bool, site: Observe<'_>) -> Result<(), Refusal> {
    file(path, site).await?;
    let dir = site.files.real(&site.site.project.dir).await?;
    let real = site.files.real(path).await?;
    let refused = |text: String, hint: &str| Refusal(Failure::new("not_granted", text).hint(hint.to_owned()));
    let own = [site.files.real(&site.site.state).await?, dir.join("uplift.toml")];
    if own.iter().any(|own| own.starts_with(&real)) {
        let text =
            format!("`{}` holds what is uplift's own: no container of a runbook sees it", path.display());
        return Err(refused(text, "mount a folder below it"));
    }
    if read_only {
        return Ok(());
    }
    // Wherever the folder with the scripts leads.
    let scripts = [dir.join("uplift"), site.files.real(&dir.join("uplift")).await?];
    let granted = &site.site.grants.files;
    let mut acting =
        acting(site).await?.into_iter().filter(|one| !granted.contains(one)).chain(scripts.clone());
    let holds = acting.find(|one| one.starts_with(&real) || one.starts_with(path));
    let within =
        scripts.into_iter().find(|scripts| [&real, path].into_iter().any(|one| one.starts_with(scripts)));
    let Some(holds) = holds.or(within) else { return Ok(()) };
    let text = format!(
        "a container that may write to `{}` could change `{}`, which says what is started on this host",
        path.display(),
        holds.display()
    );
    Err(refused(text, "mount it with `read_only: true`, or a folder that holds nothing of that"))
}

/// What compose reads in a folder where nobody names its files.
const COMPOSE: [&str; 8] = [
    "compose.override.yaml",
    "compose.override.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// Files by which whoever writes them starts something, there or not: granted programs, who is told of runs, compose files and
/// env files.
async fn acting(site: Observe<'_>) -> Result<Vec<PathBuf>, Failure> {
    let Observe { site: own, files, .. } = site;
    let dir = &own.project.dir;
    let told = own.notify.as_ref().map(|notify| dir.join(notify.program()));
    let compose = COMPOSE.iter().map(|name| dir.join(name)).chain(own.project.files.clone());
    let env = own.project.env_files.iter().cloned().chain([own.project.env_file()]);
    let mut acting: Vec<_> = own.grants.exec.iter().cloned().chain(told).chain(compose).chain(env).collect();
    for path in acting.clone() {
        acting.push(files.real(&path).await?);
    }
    Ok(acting)
}

/// The line that would grant it, with what is granted already.
fn to_add(site: &Observe<'_>, key: &str, names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    format!(
        "if it may, write `{key} = [{}]` under `[grants]` in `{}`",
        names.join(", "),
        settings(site).display()
    )
}
