//! Secrets that somebody has referred to, from where they are.

use super::Observe;
use crate::{
    event::Failure,
    ports::files::quoted,
    site::{Reference, Secret},
};

/// The variables that uplift itself was started with.
pub trait Variables: Send + Sync {
    /// `None` if it is not set, or is no text.
    fn variable(&self, name: &str) -> Option<Secret>;
}

/// A secret with the place that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    pub from: Reference,
    pub value: Secret,
}

/// The secret that `from` refers to. From now on it is taken out of whatever is shown or written.
///
/// Fails with `secret_missing`, or `secret_unfit` where the file may be read by others or is no text.
pub async fn lent(from: &Reference, site: Observe<'_>) -> Result<Lent, Failure> {
    // A setting that is no secret stands everywhere: taking it out of all that is shown would take out half of it.
    let mut plain = false;
    let value = match from {
        Reference::Variable(name) => site.variables.variable(name),
        Reference::Setting(name) => {
            let secret = site.site.secrets.get(name).cloned();
            plain = secret.is_none();
            secret.or_else(|| site.site.settings.get(name).map(Secret::new))
        }
        Reference::File(path) => in_file(&site.site.project.dir.join(path), site).await?,
    };
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Err(missing(from)) };
    if value.reveal().contains('\0') {
        return Err(unfit(&from.to_string(), "holds a byte that no text has"));
    }
    // Programs are heard line by line, where the whole of it is never seen.
    if value.reveal().contains(['\n', '\r']) {
        return Err(unfit(&from.to_string(), "has several lines"));
    }
    if !plain {
        site.scrubber.learn(&value);
    }
    Ok(Lent { from: from.clone(), value })
}

async fn in_file(path: &std::path::Path, site: Observe<'_>) -> Result<Option<Secret>, Failure> {
    let Some(file) = site.files.read(path).await? else { return Ok(None) };
    let shown = path.display().to_string();
    if file.mode & 0o077 != 0 {
        return Err(unfit(&shown, "may be read by others than its owner")
            .hint(format!("`chmod 600 {}`", quoted(path))));
    }
    let text = String::from_utf8(file.bytes).map_err(|_| unfit(&shown, "is no UTF-8 text"))?;
    Ok(Some(Secret::new(text.trim_end_matches(['\n', '\r']))))
}

fn missing(from: &Reference) -> Failure {
    let (text, hint) = match from {
        Reference::Variable(name) => (
            format!("uplift was started without the variable `{name}`, which a secret is taken from"),
            format!(
                "`export {name}=...` before the command; behind `sudo` name it: `sudo --preserve-env={name}`"
            ),
        ),
        Reference::File(path) => (
            format!("there is no secret in `{}`", path.display()),
            "put it there, in a file that only its owner may read: `chmod 600`".to_owned(),
        ),
        Reference::Setting(name) => (
            format!("the site's env file does not set `{name}`, which a secret is taken from"),
            "set it there, or refer to where it is: `env:NAME`, `file:PATH`".to_owned(),
        ),
    };
    Failure::new("secret_missing", text).hint(hint)
}

fn unfit(what: &str, why: &str) -> Failure {
    Failure::new("secret_unfit", format!("the secret in `{what}` cannot be used: it {why}"))
        .hint("write it as one line of text")
}
