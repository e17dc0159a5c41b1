//! What a runbook may reach besides the site itself, by `uplift.toml`.

use std::path::{Path, PathBuf};

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

/// The line that would grant it, with what is granted already.
fn to_add(site: &Observe<'_>, key: &str, names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    format!(
        "if it may, write `{key} = [{}]` under `[grants]` in `{}`",
        names.join(", "),
        settings(site).display()
    )
}
