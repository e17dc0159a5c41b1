//! Effects made to keep the laws and to break one each: a law that never finds anything proves nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        docker::{Select, SetRestart},
    },
    primitives::contract::{Back, Catalogue, Effect, Found, Undone, WhenUnknown},
};

use super::tried;

/// No flaw.
const SOUND: u8 = 0;
/// Undo takes back only the first of two writes.
const FORGETS: u8 = 1;
/// The probe always says that nothing happened.
const DENIES: u8 = 2;
/// Executing again does something else.
const TOGGLES: u8 = 3;
/// Undo sets what it thinks is usual, not what was there.
const GUESSES: u8 = 4;
/// Writes one thing twice.
const REPEATS: u8 = 5;
/// Does not look where it should: nothing to do, it says.
const IDLE: u8 = 6;
/// Takes a half undone effect for an undone one.
const HASTY: u8 = 7;
/// Cannot go on from half way.
const STUCK: u8 = 8;

/// Sets the restart policy of web and job to `no`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Toy<const FLAW: u8> {}

/// Container id, service and policy before.
type Before = Vec<(String, String, String)>;

impl<const FLAW: u8> Toy<FLAW> {
    async fn set(
        site: Operate<'_>,
        (id, service, from): &(String, String, String),
        to: &str,
    ) -> Result<(), Failure> {
        let (id, service, from) = (id.clone(), service.clone(), from.clone());
        site.docker.set_restart(&SetRestart { id, service, from, to: to.to_owned() }).await
    }

    async fn policies(intent: &Before, site: Observe<'_>) -> Result<Vec<String>, Failure> {
        let mut policies = Vec::new();
        for (id, _, _) in intent {
            policies.extend(site.docker.container(id).await?.map(|one| one.restart_policy));
        }
        Ok(policies)
    }
}

impl<const FLAW: u8> Effect for Toy<FLAW> {
    const NAME: &'static str = "toy";
    type Intent = Before;
    type Outcome = ();

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Before, Refusal> {
        let all = site.docker.containers(&Select::Project(site.site.project.name.clone())).await?;
        let before = all.into_iter().filter(|_| FLAW != IDLE).map(|one| {
            let service = one.service().unwrap_or_default().to_owned();
            (one.id, service, if FLAW == GUESSES { "always".to_owned() } else { one.restart_policy })
        });
        Ok(before.collect())
    }

    fn result((): &()) -> String {
        "restart policies set".to_owned()
    }

    fn summary(_: &Before) -> String {
        "sets restart policies".to_owned()
    }

    fn undo_summary(_: &Before) -> String {
        "sets them back".to_owned()
    }

    async fn probe(intent: &Before, site: Observe<'_>) -> Result<Found<()>, Failure> {
        let policies = Self::policies(intent, site).await?;
        Ok(if FLAW == DENIES {
            Found::NotApplied
        } else if policies.iter().all(|policy| policy == "no") {
            Found::Applied(())
        } else if policies.iter().any(|policy| policy == "no") {
            Found::Partial("one of them is set".to_owned())
        } else {
            Found::NotApplied
        })
    }

    async fn execute(intent: &Before, site: Operate<'_>) -> Result<(), Failure> {
        let policies = Self::policies(intent, site.observe()).await?;
        if FLAW == STUCK && policies.first() != policies.last() {
            return Err(Failure::new("half_way", "one of them is set already"));
        }
        for (before, policy) in intent.iter().zip(policies) {
            let to = if FLAW == TOGGLES && policy == "no" { "unless-stopped" } else { "no" };
            Self::set(site, before, to).await?;
            if FLAW == REPEATS {
                Self::set(site, before, "on-failure").await?;
                Self::set(site, before, "no").await?;
            }
        }
        Ok(())
    }

    async fn undo(intent: &Before, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let policies = Self::policies(intent, site.observe()).await?;
        if FLAW == HASTY && policies.first().is_some_and(|policy| policy != "no") {
            return Ok(Undone::nothing("it is undone"));
        }
        let forgotten = usize::from(FLAW == FORGETS);
        for before in intent.iter().skip(forgotten) {
            Self::set(site, before, &before.2).await?;
        }
        Ok(Undone::restored("the restart policies"))
    }
}

async fn laws_on<const FLAW: u8>() -> String {
    let catalogue = Catalogue::default().effect::<Toy<FLAW>>();
    tried(catalogue.get("toy").expect("it was just added")).await.broken.join("\n")
}

#[tokio::test]
async fn a_sound_effect_breaks_no_law() {
    assert_eq!(laws_on::<SOUND>().await, "");
}

#[tokio::test]
async fn each_flaw_is_found() {
    for (found, expected) in [
        (laws_on::<FORGETS>().await, "and does not restore the site"),
        (laws_on::<DENIES>().await, "after it finished, the probe says Ok(NotApplied)"),
        (laws_on::<TOGGLES>().await, "a second time changes what the first did"),
        (laws_on::<GUESSES>().await, "if it never began, undo says"),
        (laws_on::<REPEATS>().await, "nobody misses write"),
        (laws_on::<HASTY>().await, "after FailAfter at write 1 of its undo, undo says"),
        (laws_on::<STUCK>().await, "after FailBefore at write 2, a second time is not once"),
        (laws_on::<IDLE>().await, "its example writes on no world"),
    ] {
        assert!(found.contains(expected), "`{expected}` is not in:\n{found}");
    }
}
