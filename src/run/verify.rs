//! Proof that a site is as it was recorded before the first change.

use std::{collections::BTreeSet, time::Duration};

use super::{context::Context, shared_lock::is_down};
use crate::{
    event::{Failure, Unit},
    journal::Entry,
    ports::{
        clock::since,
        docker::DockerRead,
        http::{Http, Probe},
        project::of_service,
    },
    primitives::contract::{Left, Undone, from_value},
    survey::{self, Before},
};

/// How long the version that ran before may take to answer again.
const LIMIT: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(500);

/// What the comparison is to make allowances for.
pub(super) struct Allowed {
    /// What people chose to leave.
    pub(super) left: BTreeSet<Left>,
    /// The run goes on without the lock in the database, because its server is down.
    pub(super) server_down: bool,
}

/// Compares until nothing differs and web answers as it did, or until [`LIMIT`] has passed. Says what could not be
/// compared.
pub(super) async fn as_before(
    context: &Context,
    before: &Before,
    allowed: &Allowed,
) -> Result<Option<String>, Vec<String>> {
    let started = context.now();
    let tell = context.tell.at("verify");
    loop {
        let Look { differences, unseen } = look(context, before, allowed).await;
        if differences.is_empty() {
            return Ok(unseen);
        }
        let passed = since(&*context.ports.clock, started);
        if passed > LIMIT {
            return Err(differences);
        }
        let millis = u64::try_from(passed.as_millis()).unwrap_or(0);
        let missing = differences.first().map(String::as_str).unwrap_or_default();
        let what = format!("waiting for the site to be as before: {missing}");
        tell.progress(what, millis, None, Unit::Milliseconds);
        context.ports.clock.sleep(PAUSE).await;
    }
}

/// What people chose to leave and what cannot come back, by the record of what was taken back.
pub(super) fn left(entries: &[Entry]) -> BTreeSet<Left> {
    let of = |entry: &Entry| match from_value(entry.undos.last()?.value.clone()?) {
        Ok(Undone::Restored { left, .. }) => Some(left),
        _ => None,
    };
    entries.iter().filter_map(of).flatten().collect()
}

/// Whether the databases were left as a newer release has made them.
pub(crate) fn schema_left(entries: &[Entry]) -> bool {
    left(entries).contains(&Left::Schema)
}

/// The same in words.
pub(super) fn in_words(left: &BTreeSet<Left>) -> Vec<String> {
    let sentence = |left: &Left| match left {
        Left::Schema => {
            "the database was left as the newer release has made it: the older one may fail on it, also where `/up` \
             answers"
        }
        Left::Settings => "somebody's edit of the env file was left in it",
        Left::Removed => "what was removed before it stopped does not come back; `uplift show` names it",
        Left::Uploads => {
            "not all uploaded files of before came back: rows that name the others point to nothing, and only a backup may \
             hold them; `uplift show` names them"
        }
        Left::Elsewhere => "what services elsewhere were asked for was left as it is; `uplift show` names it",
        Left::Files => "somebody's edit of a file was left in it; `uplift show` names it",
        Left::Programs => {
            "what programs of the runbook have done was left as it is; `uplift show` names them"
        }
    };
    left.iter().map(|left| sentence(left).to_owned()).collect()
}

struct Look {
    differences: Vec<String>,
    unseen: Option<String>,
}

async fn look(context: &Context, before: &Before, allowed: &Allowed) -> Look {
    let could_not = |failure| Look { differences: vec![format!("could not look: {failure}")], unseen: None };
    let observe = context.observe(&context.tell);
    let mut now = match survey::but_databases(observe).await {
        Ok(now) => now,
        Err(failure) => return could_not(failure),
    };
    let mut unseen = None;
    match now.clone().with_databases(observe).await {
        Ok(all) => {
            now = all;
            // A migration may have changed more of a database than its schema.
            if allowed.left.contains(&Left::Schema) {
                now.take_databases_of(before);
            }
        }
        Err(failure) if allowed.server_down && is_down(&failure) => {
            now.take_databases_of(before);
            unseen =
                Some(format!("the databases could not be compared, and this run left them alone: {failure}"));
        }
        Err(failure) => return could_not(failure),
    }
    if allowed.left.contains(&Left::Settings) {
        let env_file = context.site.project.env_file().display().to_string();
        now.files
            .extend(before.files.get_key_value(&env_file).map(|(path, hash)| (path.clone(), hash.clone())));
    }
    let mut differences = survey::differences(before, &now);
    if before.web_answered {
        differences.extend(web_is_silent(context).await);
    }
    Look { differences, unseen }
}

/// Why web does not answer as it did; what could not be asked did not answer.
async fn web_is_silent(context: &Context) -> Option<String> {
    let web = &context.site.web.name;
    let docker: &dyn DockerRead = &*context.ports.docker;
    let containers = match of_service(docker, &context.site.project, web).await {
        Ok(containers) => containers,
        Err(failure) => return Some(format!("could not look at `{web}`: {failure}")),
    };
    let Some(probe) = containers.iter().find_map(|one| Probe::up(&context.site, one)) else {
        return Some(format!("`{web}` has no address that can be asked"));
    };
    let http: &dyn Http = &*context.ports.http;
    match http.probe(&probe).await {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("`/up` of `{web}` answers {}", answer.status)),
        Err(failure) => Some(format!("`/up` of `{web}` does not answer: {failure}")),
    }
}

pub(super) fn failure_of_differences(differences: &[String]) -> Failure {
    Failure::new("not_as_before", "the site is not as it was before the run")
        .evidence(differences.iter().cloned())
}
