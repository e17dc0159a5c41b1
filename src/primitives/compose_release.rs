use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    held_restarts,
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        docker::{Container, SetRestart},
        project::of_service,
    },
};

/// Give services that stay stopped the restart policies back that `compose_stop` has held at `no`: whoever starts them
/// later would not know of it, and a reboot would leave them down.
///
/// Nothing is started. What was stopped by hand and has the policy `unless-stopped` stays stopped, also when the daemon
/// is started again; under any other policy the daemon would start it by itself, so that stays held, and is told.
///
/// Undo: the restart policies are held at `no` again.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposeRelease {
    /// Names of services, e.g. `[site::job]`.
    pub services: Vec<String>,
}

/// A policy under which what was stopped by hand stays stopped.
const STAYS: &str = "unless-stopped";

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    held: Vec<Held>,
    /// What gives those their policies back that would start by themselves, once somebody has started them.
    #[serde(default)]
    later: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Held {
    id: String,
    service: String,
    /// The policy that it has while it is held.
    now: String,
    policy: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Containers that have their policies back.
    pub released: usize,
    /// What a person types for the others, once they run.
    #[serde(default)]
    pub later: Vec<String>,
}

impl Effect for ComposeRelease {
    const NAME: &'static str = "compose_release";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { services: vec!["web".to_owned()] }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let (mut held, mut later) = (Vec::new(), Vec::new());
        for service in &self.services {
            for container in of_service(site.docker, &site.site.project, service).await? {
                let Some(policy) = held_restarts::policy_of(&container, site).await? else { continue };
                if container.is_up() {
                    continue;
                }
                if policy == STAYS {
                    let Container { id, restart_policy, .. } = container;
                    held.push(Held { id, service: service.clone(), now: restart_policy, policy });
                } else {
                    let command = format!("docker update --restart {policy} {}", container.name);
                    site.tell.warn(format!(
                        "`{service}` would start by itself under its restart policy `{policy}`, so it has `{}` for \
                         now; once it runs: `{command}`",
                        container.restart_policy
                    ));
                    later.push(command);
                }
            }
        }
        Ok(Intent { held, later })
    }

    fn summary(intent: &Intent) -> String {
        match intent.held.as_slice() {
            [] => "no restart policy is held that can be given back".to_owned(),
            held => {
                let names: Vec<_> = held.iter().map(|one| format!("`{}`", one.service)).collect();
                format!("give the restart policy of {} back; it stays stopped", names.join(", "))
            }
        }
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.released {
            0 => "no restart policy was held that can be given back".to_owned(),
            1 => "the restart policy is what it was; it stays stopped".to_owned(),
            more => format!("{more} restart policies are what they were; all stay stopped"),
        }
    }

    fn undo_summary(_: &Intent) -> String {
        "hold the restart policies again".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let (mut done, mut untouched) = (0, 0);
        for one in &intent.held {
            let now = site.docker.container(&one.id).await?.map(|now| now.restart_policy);
            done += usize::from(now.as_ref() == Some(&one.policy));
            untouched += usize::from(now.as_ref() == Some(&one.now));
        }
        Ok(match intent.held.len() {
            all if done == all => Found::Applied(Outcome { released: done, later: intent.later.clone() }),
            all if untouched == all => Found::NotApplied,
            all => Found::Partial(format!("{done} of {all} restart policies are what they were")),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        for one in &intent.held {
            set(one, &one.policy, site).await?;
        }
        match Self::probe(intent, site.observe()).await? {
            Found::Applied(outcome) => Ok(outcome),
            _ => Err(Failure::new("not_released", "a restart policy is not what it was")
                .hint("see it: `docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' CONTAINER`")),
        }
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let mut held = false;
        for one in &intent.held {
            held |= set(one, &one.now, site).await?;
        }
        Ok(if held {
            Undone::restored("hold the restart policies again")
        } else {
            Undone::nothing("the restart policies are as they were held")
        })
    }
}

/// Gives a container a policy; whether it had another.
async fn set(one: &Held, to: &str, site: Operate<'_>) -> Result<bool, Failure> {
    let Some(now) = site.docker.container(&one.id).await? else { return Ok(false) };
    if now.restart_policy == to {
        return Ok(false);
    }
    let (id, service, from) = (one.id.clone(), one.service.clone(), now.restart_policy);
    site.docker.set_restart(&SetRestart { id, service, from, to: to.to_owned() }).await?;
    Ok(true)
}
