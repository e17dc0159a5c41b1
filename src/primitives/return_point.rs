use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check_drift::{CheckDrift, Edits},
    contract::Read,
    returned_jobs::web_question,
    way_back::{also, also_found, place},
};
use crate::{
    event::{Choice, Failure, Question, moment_of},
    ports::{Observe, docker::Container, points::Points, product::web_runs_jobs, project::of_service},
    site::{NameToGive, Place, Way, Written},
};

/// Find what ran before a finished upgrade, and how the site can return to it.
///
/// Nothing is decided here: where databases were migrated, a person has said beforehand whether they return too, or is
/// asked, with what it costs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnPoint {
    /// The upgrade to return from, by the name of its run.
    pub run: String,
    /// Whether migrated databases return too: `ask`, `never` (only where the settings call that compatible), `always`.
    #[serde(default)]
    pub restore_data: RestoreData,
    /// Whether jobs that would run a second time have been decided on: `ask`, `run`, `hold`.
    #[serde(default)]
    pub jobs: Jobs,
    /// What becomes of an edit of the files that nobody has applied: nothing is asked where it would be refused afterwards.
    #[serde(default)]
    pub edits: Edits,
}

/// What a person has said about migrated databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RestoreData {
    #[default]
    Ask,
    Never,
    Always,
}

/// What a person has said about jobs that would run a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Jobs {
    #[default]
    Ask,
    Run,
    Hold,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The upgrade that one returns from.
    pub run: String,
    /// The release that ran before, as its tag was called.
    pub version: String,
    /// The tag under which compose finds exactly what ran.
    pub tag: String,
    /// Names that images must get before, each to be handed to `image_name`: `image` (an id) and `reference` (the name).
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub names: Vec<NameToGive>,
    /// The databases return to the savepoint.
    pub data: bool,
    /// All of it is so already.
    pub already: bool,
    /// The worker is there and does not run, so that starting it is for a person to decide.
    #[serde(default)]
    pub worker_stopped: bool,
}

impl Read for ReturnPoint {
    const NAME: &'static str = "return_point";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            run: "20261120-031500-0001".to_owned(),
            restore_data: RestoreData::Always,
            jobs: Jobs::Hold,
            edits: Edits::Refuse,
        }
    }

    fn summary(&self) -> String {
        format!("look what ran before run {}", self.run)
    }

    fn result(outcome: &Outcome) -> String {
        let data = if outcome.data { "; the databases return to the savepoint" } else { "; the data stays" };
        format!("{}{data}", outcome.version)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let place = self.find(site).await?;
        let decided = self.with_data(&place).and_then(|data| self.possible(data, &place, site));
        if decided.as_ref().is_err_and(|failure| failure.question.is_some()) {
            CheckDrift::with(self.edits).look(site).await?;
        }
        let data = decided?;
        leaves(&place.point.beside, site);
        if data {
            site.tell.warn(put_aside(&place));
            if let Some(text) = also_found(&place.jobs, self.jobs) {
                site.tell
                    .warn(format!("up to {} jobs would run a second time: {text}", place.jobs_waiting()));
            }
        }
        Ok(Outcome {
            already: place.runs_now && !data,
            worker_stopped: worker_stopped(site).await?,
            run: place.point.run,
            version: place.point.from,
            tag: place.tag,
            names: place.names,
            data,
        })
    }
}

impl ReturnPoint {
    async fn find(&self, site: Observe<'_>) -> Result<Place, Failure> {
        let record = site.port::<Points>().map_err(|_| {
            Failure::new("no_record", "there is no record of earlier runs here")
                .hint("return with a backup set: `uplift restore SET`")
        })?;
        let point = record.point(&self.run)?.ok_or_else(|| {
            let text = format!("run `{}` is no upgrade of this site that one could return from", self.run);
            Failure::new("no_return_point", text).hint("see what there is: `uplift rollback --list`")
        })?;
        place(point, site).await
    }

    /// Whether the databases return; a failure that asks, or says why not, where that is not plain.
    fn with_data(&self, place: &Place) -> Result<bool, Failure> {
        if place.migrated.is_empty() {
            return Ok(false);
        }
        match (self.restore_data, &place.way) {
            (RestoreData::Never, _) if place.compatible => Ok(false),
            (RestoreData::Never, Way::Savepoint { .. }) => Err(not_compatible(place)),
            (RestoreData::Always, Way::Savepoint { .. }) => Ok(true),
            (_, Way::Set { .. } | Way::Nothing | Way::Code) => Err(by_a_set(place)),
            (RestoreData::Ask, Way::Savepoint { .. }) => {
                Err(Failure::asks("choice_needed", question(place, self.jobs)))
            }
        }
    }

    /// What was decided can be done, and leaves nothing more to decide.
    fn possible(&self, data: bool, place: &Place, site: Observe<'_>) -> Result<bool, Failure> {
        present(place)?;
        if data {
            self.jobs_in_web(place, site)?;
        }
        Ok(data)
    }

    /// Where web runs the jobs they cannot be held back, so they are decided on before anything is done.
    fn jobs_in_web(&self, place: &Place, site: Observe<'_>) -> Result<(), Failure> {
        let waiting = place.jobs_waiting();
        if !web_runs_jobs(site.site) || waiting == 0 || self.jobs == Jobs::Run {
            return Ok(());
        }
        let question = web_question(waiting, ("return", "returned"), jobs(place));
        Err(Failure::asks("choice_needed", question))
    }
}

/// One that dies and is started again does not count: nobody has stopped that.
async fn worker_stopped(site: Observe<'_>) -> Result<bool, Failure> {
    let Some(job) = &site.site.job else { return Ok(false) };
    let containers = of_service(site.docker, &site.site.project, &job.name).await?;
    Ok(!containers.is_empty() && !containers.iter().any(Container::is_up))
}

/// How many of them are named.
const NAMED: usize = 6;

/// What the upgrade did by the site's own runbooks and hooks is no part of a return.
fn leaves(beside: &[String], site: Observe<'_>) {
    for line in beside.iter().take(NAMED) {
        site.tell.warn(format!("a return leaves as it is what the upgrade also did: {line}"));
    }
    if beside.len() > NAMED {
        site.tell.warn(format!("and {} more: `uplift show` with the run's name", beside.len() - NAMED));
    }
}

/// Whether all images are on this host.
fn present(place: &Place) -> Result<(), Failure> {
    let Some(image) = place.missing.first() else { return Ok(()) };
    let text = format!(
        "what `{}` ran before is no longer on this host (image {})",
        image.service,
        image.id.get(..19).unwrap_or(&image.id)
    );
    let failure = Failure::new("image_missing", text);
    Err(match &image.digest {
        Some(digest) => failure.hint(format!("bring it back by its digest: `docker pull {digest}`")),
        None => failure.hint("no registry knew it: load it from a copy with `docker load`"),
    })
}

fn not_compatible(place: &Place) -> Failure {
    let Place { point, .. } = place;
    let text = format!("{}, and `{}` is not known to run on that", place.moved(), point.from);
    let also = match place.jobs.as_slice() {
        [] => String::new(),
        words => format!(" (and `--jobs {}`)", words.join("|")),
    };
    Failure::new("not_compatible", text).hint(format!(
        "let the data return too with `--restore-data always`{also}; or, if the vendor says that `{}` runs on it, write \
         `compatible = [\"{}\"]` under `[rollback]` in `uplift.toml`",
        point.from, point.to
    ))
}

/// There is no savepoint: what is left is a backup set, or nothing.
fn by_a_set(place: &Place) -> Failure {
    let moved = place.moved();
    let code = if place.compatible {
        format!(
            "; or let the code go back alone, which the settings allow: `uplift rollback {} --restore-data never`",
            place.point.run
        )
    } else {
        String::new()
    };
    let Way::Set { set, path, created_at } = &place.way else {
        let text = format!("{moved}, and neither savepoint nor backup of that run is left");
        return Failure::new("no_way_back", text)
            .hint(format!("see the sets that there are: `uplift backup list`{code}"));
    };
    let text = format!("{moved}, and the savepoint is gone: only a backup set is left");
    let cost = match &place.written {
        Some(written) => format!("it costs {}", written.cost()),
        None => "what was written since cannot be counted".to_owned(),
    };
    let lines = place.written.iter().flat_map(Written::in_words);
    let lines = lines.chain(place.written.is_some().then(|| Written::UNCOUNTED.to_owned()));
    let lines = lines.chain(place.written.as_ref().and_then(|_| place.also_counted()));
    Failure::new("needs_restore", text)
        .evidence(std::iter::once(format!("`{path}`, made {}; {cost}", moment_of(created_at))).chain(lines))
        .hint(format!("return with it: `uplift restore {set}`{code}"))
}

/// What a return costs that somebody has decided on before.
fn put_aside(place: &Place) -> String {
    match &place.written {
        Some(written) => written.put_aside(place.also_counted()),
        None => {
            "rows that nobody can count are put aside with the databases of now, which stay under another name"
                .to_owned()
        }
    }
}

/// Whether the data is to return, with what that costs.
fn question(place: &Place, said: Jobs) -> Question {
    let point = &place.point;
    let mut found = vec![place.moved()];
    match &place.written {
        Some(written) => {
            if written.rows == 0 {
                found.push("no rows were written since users could reach it".to_owned());
            }
            found.extend(written.in_words());
            found.extend(place.also_counted());
            found.push(Written::UNCOUNTED.to_owned());
        }
        None => found.extend(place.why.clone()),
    }
    found.extend(jobs(place));
    found.extend(also_found(&place.jobs, said));
    let cost = place.written.as_ref().map_or("rows that nobody can count".to_owned(), Written::cost);
    let mut choices = vec![Choice {
        key: "always".to_owned(),
        does: format!(
            "stop the site, let the databases of before take their places, run `{}`; takes about a boot",
            point.from
        ),
        costs: format!("{cost} are put aside with the databases of now, which stay under another name"),
        also: also(&place.jobs, said),
    }];
    if place.compatible {
        choices.push(Choice {
            key: "never".to_owned(),
            does: format!("run `{}` on the databases as they are, as the settings allow", point.from),
            costs: "no rows are lost".to_owned(),
            also: String::new(),
        });
    } else {
        found
            .push(format!("`--restore-data never` is refused: `{}` is not known to run on that", point.from));
    }
    let text = match &point.restored {
        None => format!("`{}` has changed the databases: are they to return too?", point.to),
        Some(_) => format!("`{}` ran on other databases: are they to return too?", point.from),
    };
    Question { address: String::new(), text, found, choices, flag: Some("restore-data".to_owned()) }
}

/// What the queue of the savepoint would run a second time.
fn jobs(place: &Place) -> Vec<String> {
    let Some(savepoint) = place.point.savepoint.as_ref().filter(|one| one.jobs_waiting > 0) else {
        return Vec::new();
    };
    let named = savepoint.jobs.join("; ");
    vec![format!("up to {} jobs would run a second time: {named}", savepoint.jobs_waiting)]
}
