use super::{
    paper::{LABEL, Paper},
    words::{count, size, time},
};
use crate::{
    event::moment_of,
    site::{Place, Way, Written},
};

/// The finished upgrades that one can return from, newest first, each with its way and what that costs.
pub fn places(paper: &mut Paper, places: &[Place], typed: &str) {
    if places.is_empty() {
        paper.line("no upgrade of this site is recorded that one could return from");
        return;
    }
    for place in places {
        one(paper, place, typed);
        paper.blank();
    }
}

fn one(paper: &mut Paper, place: &Place, typed: &str) {
    let point = &place.point;
    let since = if point.code_only { "; the code was taken back then, the data was not" } else { "" };
    paper.heading(&format!(
        "run {} brought {} in the place of {}, {}{since}",
        point.run,
        point.to,
        point.from,
        time(point.ended)
    ));
    if place.runs_now && place.migrated.is_empty() {
        paper.labelled("now", &format!("{} runs already: nothing is needed", point.from));
        return;
    }
    for image in &point.images {
        let id = image.id.get(..19).unwrap_or(&image.id);
        let here = if place.missing.contains(image) { "is NOT on this host" } else { "is on this host" };
        paper.labelled("ran", &format!("`{}` from {id}, which {here}", image.service));
        if let (Some(digest), true) = (&image.digest, place.missing.contains(image)) {
            paper.line(&format!("{:LABEL$}  docker pull {digest}", ""));
        }
    }
    paper.labelled("data", &data(place));
    if let Some(written) = &place.written {
        paper.labelled("cost", &format!("{} if the data returns", written.cost()));
        for line in written.in_words() {
            paper.labelled("", &line);
        }
        for line in place.also_counted().as_deref().into_iter().chain([Written::UNCOUNTED]) {
            paper.labelled("", line);
        }
    }
    if let Some(why) = &place.why {
        paper.labelled("cost", why);
    }
    let run = &point.run;
    match &place.way {
        Way::Code => paper.quoted("type", &[format!("{typed} rollback {run}")]),
        Way::Savepoint { .. } => {
            let jobs = place.jobs.first().map(|word| format!(" --jobs {word}")).unwrap_or_default();
            paper.quoted("type", &[format!("{typed} rollback {run} --restore-data always{jobs}")]);
            jobs_then(paper, place);
        }
        Way::Set { set, .. } => paper.quoted("type", &[format!("{typed} restore {set}")]),
        Way::Nothing => {
            if let Some(unread) = &point.unread {
                paper.labelled("next", &unread.hint);
            }
        }
    }
    if place.compatible && place.way != Way::Code {
        paper.quoted("or", &[format!("{typed} rollback {run} --restore-data never")]);
        paper
            .labelled("", &format!("the settings say that {} runs on the databases as they are", point.from));
    }
}

/// What becomes of the jobs that the returned queue would run a second time.
fn jobs_then(paper: &mut Paper, place: &Place) {
    let waiting = count(usize::try_from(place.jobs_waiting()).unwrap_or(usize::MAX), "job");
    let text = match place.jobs.first().map(String::as_str) {
        None => return,
        Some("hold") => format!(
            "the worker stays stopped until you start it; `--jobs run` lets it run up to {waiting} a second time"
        ),
        Some(_) => format!("web then runs up to {waiting} a second time"),
    };
    paper.labelled("", &text);
}

fn data(place: &Place) -> String {
    let moved = place.moved();
    match &place.way {
        Way::Code if place.point.restored.is_some() => {
            "the databases have the migrations from before it: the data stays".to_owned()
        }
        Way::Code => "no database was migrated since: the data stays".to_owned(),
        Way::Savepoint { copies, bytes } => {
            format!("{moved}; a savepoint is there ({copies} copies, {}): about a boot", size(*bytes))
        }
        Way::Set { path, created_at, .. } => {
            let made = moment_of(created_at);
            format!("{moved}; the savepoint is gone, the backup of {made} is there: `{path}`")
        }
        Way::Nothing => match &place.point.unread {
            Some(unread) => unread.text.clone(),
            None => format!("{moved}, and neither savepoint nor backup of this run is left"),
        },
    }
}
