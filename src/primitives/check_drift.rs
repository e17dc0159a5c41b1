mod advice;
mod differences;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    advice::{Differs, Drift, Kind, what_to_type},
    differences::{count, differences},
};
use super::{beside, contract::Read};
use crate::{
    event::Failure,
    ports::{Observe, compose::by_hand, docker::Container, project::of_service},
};

/// Compare what runs with what the files say: an edit that nobody has applied yet must not ride along unseen.
///
/// Another image, another place of the data and other keys are refused in any case.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDrift {
    /// What becomes of an edit that nobody has applied: `refuse` to go on, or `apply` it with the release.
    #[serde(default)]
    pub edits: Edits,
    /// What is compared: `everything`, or only where the `data` is.
    #[serde(default)]
    pub of: Compared,
    /// Whether a release is brought with which an edit could be applied.
    #[serde(default = "yes")]
    pub brings: bool,
    /// Whether containers that do not run are compared too.
    #[serde(default = "yes")]
    pub stopped: bool,
}

/// What is compared of containers and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Compared {
    #[default]
    Everything,
    /// The settings that say which databases are in use, and where uploaded files lie.
    Data,
}

/// What becomes of an edit of the files that nobody has applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Edits {
    #[default]
    Refuse,
    Apply,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What differs, a sentence each.
    pub differs: Vec<String>,
    /// What was compared.
    #[serde(default)]
    pub of: Compared,
}

impl Read for CheckDrift {
    const NAME: &'static str = "check_drift";
    const ADMITS: bool = true;
    type Outcome = Outcome;

    fn example() -> Self {
        Self::with(Edits::Apply)
    }

    fn summary(&self) -> String {
        match self.of {
            Compared::Everything => "compare what runs with the compose files".to_owned(),
            Compared::Data => "compare where the data is with what the files say".to_owned(),
        }
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.differs.len() {
            0 if outcome.of == Compared::Data => "the data is where the files say".to_owned(),
            0 => "what runs is what the files say".to_owned(),
            1 => "1 edit is applied with the release".to_owned(),
            n => format!("{n} edits are applied with the release"),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        beside::none_beside(site).await?;
        let seen = self.compare(site).await?;
        let differs = &seen.differs;
        let applied =
            |one: &Differs| matches!(one.kind, Kind::Policy { .. } | Kind::Count { .. } | Kind::Other);
        let refuse = self.edits == Edits::Refuse || !self.brings;
        if refuse && !differs.is_empty() || !differs.iter().all(applied) {
            let mut way = seen.way(site);
            if self.of == Compared::Everything && self.brings && differs.iter().all(applied) {
                way.push_str("; or have it applied with the release: `--edits apply`");
            }
            return Err(self.refusal(differs, &way, site));
        }
        for one in differs {
            site.tell.warn(format!("{}: that edit is applied with the release", one.text));
        }
        Ok(Outcome { differs: seen.differs.into_iter().map(|one| one.text).collect(), of: self.of })
    }
}

/// What differs between the containers that run and the files, for whoever only wants to know: a sentence each, and what
/// to type about all of them.
pub(crate) async fn drift(site: Observe<'_>) -> Result<(Vec<String>, Option<String>), Failure> {
    beside::none_beside(site).await?;
    let running = CheckDrift { stopped: false, ..CheckDrift::with(Edits::Apply) };
    let seen = running.compare(site).await?;
    let way = (!seen.differs.is_empty()).then(|| seen.way(site));
    Ok((seen.differs.iter().map(Differs::in_full).collect(), way))
}

#[derive(Default)]
struct Seen {
    differs: Vec<Differs>,
    /// Services all of whose containers run the image that the files ask for, with that image.
    whole: Vec<(String, String)>,
    /// Services that do not run.
    stopped: Vec<String>,
    /// Services that differ.
    changed: Vec<String>,
}

impl Seen {
    /// What to type about it.
    fn way(&self, site: Observe<'_>) -> String {
        what_to_type(&Drift {
            found: &self.differs,
            whole: &self.whole,
            stopped: &self.stopped,
            changed: &self.changed,
            compose: &by_hand(&site.site.project),
        })
    }
}

impl CheckDrift {
    /// Everything, where a release is brought.
    pub(super) fn with(edits: Edits) -> Self {
        Self { edits, of: Compared::Everything, brings: true, stopped: true }
    }

    async fn compare(&self, site: Observe<'_>) -> Result<Seen, Failure> {
        let config = site.compose.config(&site.site.project, &BTreeMap::new()).await?;
        let mut seen = Seen::default();
        for service in site.site.product() {
            let Some(configured) = config.services.get(&service.name) else { continue };
            let Some(asked) = configured.image.clone() else { continue };
            let containers = of_service(site.docker, &site.site.project, &service.name).await?;
            if !containers.iter().any(Container::is_up) {
                seen.stopped.push(service.name.clone());
            }
            let known = seen.differs.len();
            let (mut compared, mut all_match) = (0, true);
            for container in containers.iter().filter(|one| self.stopped || one.is_up()) {
                compared += 1;
                let found = differences(container, &config, self.of, site).await?;
                // Whoever finishes what keeps dying has one more service that does.
                all_match &= !container.dies_often(site.clock.now());
                all_match &= !found.iter().any(|one| matches!(one.kind, Kind::Image { .. }));
                seen.differs.extend(found);
            }
            if self.of == Compared::Everything && compared > 0 {
                seen.differs.extend(count(&service.name, containers.len(), configured));
            }
            if seen.differs.len() > known {
                seen.changed.push(service.name.clone());
            }
            if compared > 0 && all_match {
                seen.whole.push((service.name.clone(), asked));
            }
        }
        Ok(seen)
    }

    fn refusal(&self, differs: &[Differs], way: &str, site: Observe<'_>) -> Failure {
        let (text, hint) = match (self.of, self.stopped) {
            (Compared::Everything, _) => {
                ("what runs is not what the compose files say", format!("{way}; then type the command again"))
            }
            (Compared::Data, true) => (
                "the site has its data elsewhere than the files say",
                format!("{way}; then type the command again"),
            ),
            (Compared::Data, false) => ("the site has its data elsewhere than the files say", {
                let services: Vec<_> = site.site.product().map(|service| service.name.as_str()).collect();
                format!(
                    "{way}; if it is meant for where the files point to, stop the site: `{} stop {}`",
                    by_hand(&site.site.project),
                    services.join(" ")
                )
            }),
        };
        Failure::new("drift", text).evidence(differs.iter().map(Differs::in_full)).hint(hint)
    }
}
