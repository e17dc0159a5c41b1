//! Proof that a site is as it was recorded before the first change.

use std::time::Duration;

use super::context::Context;
use crate::{
    event::{Failure, Unit},
    ports::{
        clock::since,
        docker::{DockerRead, Select},
        http::{Http, Probe},
    },
    survey::{self, Before},
};

/// How long the version that ran before may take to answer again.
const LIMIT: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(500);

/// Compares until nothing differs and web answers as it did, or until [`LIMIT`] has passed.
pub(super) async fn as_before(
    context: &Context,
    before: &Before,
    keep_schema: bool,
) -> Result<(), Vec<String>> {
    let started = context.now();
    let tell = context.tell.at("verify");
    loop {
        let differences = look(context, before, keep_schema).await;
        if differences.is_empty() {
            return Ok(());
        }
        let passed = since(&*context.ports.clock, started);
        if passed > LIMIT {
            return Err(differences);
        }
        let millis = u64::try_from(passed.as_millis()).unwrap_or(0);
        tell.progress("waiting for the site to be as before", millis, None, Unit::Milliseconds);
        context.ports.clock.sleep(PAUSE).await;
    }
}

async fn look(context: &Context, before: &Before, keep_schema: bool) -> Vec<String> {
    let now = match survey::before(context.observe(&context.tell)).await {
        Ok(now) => now,
        Err(failure) => return vec![format!("could not look: {failure}")],
    };
    let now = if keep_schema { now.with_schema_of(before) } else { now };
    let mut differences = survey::differences(before, &now);
    if before.web_answered {
        differences.extend(web_is_silent(context).await);
    }
    differences
}

async fn web_is_silent(context: &Context) -> Option<String> {
    let docker: &dyn DockerRead = &*context.ports.docker;
    let project = Select::Project(context.site.project.name.clone());
    let containers = docker.containers(&project).await.ok()?;
    let web = containers.iter().find(|one| one.service() == Some(context.site.web.name.as_str()))?;
    let http: &dyn Http = &*context.ports.http;
    let answer = http.probe(&Probe::up(&context.site, web)?).await;
    match answer {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("`/up` of `{}` answers {}", context.site.web.name, answer.status)),
        Err(failure) => Some(format!("`/up` of `{}` does not answer: {failure}", context.site.web.name)),
    }
}

pub(super) fn failure_of_differences(differences: &[String]) -> Failure {
    Failure::new("not_as_before", "the site is not as it was before the run")
        .evidence(differences.iter().cloned())
}
