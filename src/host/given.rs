//! What a runbook is given: what was typed, and what the settings file says of what was not.

use std::collections::BTreeMap;

use super::{door::Host, error::HostError, library, vendor::Pack};
use crate::{
    event::{Failure, suggest},
    script::Header,
};

impl Host {
    /// `given` with the site's own values where nothing was typed. Refused where the settings file names a parameter that the
    /// runbook does not have, a value that it cannot be, or a runbook that is none of the `known` ones: whoever wrote it relies
    /// on it.
    pub(super) fn with_settings(
        &self,
        runbook: &str,
        known: &[&str],
        (header, given): (&Header, &BTreeMap<String, String>),
    ) -> Result<BTreeMap<String, String>, HostError> {
        let file = self.0.site.project.dir.join("uplift.toml");
        let invalid = |what: String, hint: String| {
            let text = format!("`{}`: {what}", file.display());
            HostError::Invalid(Failure::new("settings_invalid", text).hint(hint))
        };
        // A misspelt name says nothing of this one, and may have meant it. What is about a runbook that came and went with a
        // bundle must not keep anybody from going back.
        let bare = runbook.rsplit('/').next();
        let likely = |name: &&String| {
            bare == Some(name.as_str()) || suggest(name, &[runbook]).starts_with("did you mean")
        };
        let mut lost = self.0.site.params.keys().filter(|name| !known.contains(&name.as_str()));
        if let Some(lost) = lost.find(likely) {
            let what = format!("`[params.\"{lost}\"]` is about a runbook that is not there");
            return Err(invalid(what, format!("did you mean `{runbook}`? (known: {})", known.join(", "))));
        }
        let mut all = given.clone();
        for (name, value) in self.0.site.params.get(runbook).into_iter().flatten() {
            if let Err((why, hint)) = fits(header, name, value) {
                return Err(invalid(format!("`{name}` under `[params.\"{runbook}\"]`: {why}"), hint));
            }
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(all)
    }

    /// What the settings file says for the other runbooks: a mistake is found before there is anything to go back from.
    pub(super) async fn settings_of_others(
        &self,
        runbook: &str,
        known: &[&str],
        pack: Option<&Pack>,
    ) -> Result<(), HostError> {
        if GO_BACK.contains(&runbook) {
            return Ok(());
        }
        let others =
            self.0.site.params.keys().filter(|name| *name != runbook && known.contains(&name.as_str()));
        for other in others {
            // One that is not in order is told to whoever runs it.
            let Ok(bundle) = library::find_with(other, self.layer(), pack).await else { continue };
            let Ok(script) = self.check(&bundle) else { continue };
            self.with_settings(other, known, (script.header(), &BTreeMap::new()))?;
        }
        Ok(())
    }
}

/// Whether a runbook has this parameter and it can be this; else why not, and what to write.
pub(super) fn fits(header: &Header, name: &str, value: &str) -> Result<(), (String, String)> {
    let Some(param) = header.params.get(name) else {
        let known: Vec<_> = header.params.keys().map(String::as_str).collect();
        return Err(("there is no such parameter".to_owned(), suggest(name, &known)));
    };
    param.read(name, value).map(drop).map_err(|error| {
        let Failure { message, hint, .. } = error.as_failure();
        (message, hint.unwrap_or_default())
    })
}

/// Runbooks that no mistake about another one keeps from running.
const GO_BACK: [&str; 2] = ["compose/restore", "compose/rollback"];
