//! A plan for people: each step, what it changes, and what going back would do.

use super::{
    paper::{Mark, Paper},
    words::{count, named, size, span, step_of, time},
};
use crate::{
    event::{Change, Planned, Write},
    run::{Downtime, GoingBack, Plan, PlanEnd, Room, WayBack},
};

/// What is small beside a disk.
const LARGE: u64 = 1 << 20;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Before a question: what changes.
    Short,
    /// `--dry-run`: also what is only looked at, the commands, and what going back would do.
    Full,
}

pub fn plan(paper: &mut Paper, plan: &Plan, detail: Detail) {
    let what = plan.goes_on.as_ref().map_or("plan".to_owned(), |run| format!("the rest of run {run}"));
    paper.heading(&format!("{what}: {} on `{}`{}", plan.runbook, plan.site, params(plan)));
    if let Some(route) = &plan.route {
        paper.labelled("database", route);
    }
    for (at, text) in plan.changed.iter().enumerate() {
        paper.labelled(if at == 0 { "not stock" } else { "" }, text);
    }
    for step in &plan.steps {
        let changing = step.calls.iter().any(acts);
        if detail == Detail::Short && !changing {
            continue;
        }
        paper.blank();
        paper.heading(&step.path.replace('/', " / "));
        for call in &step.calls {
            of_call(paper, call, detail);
        }
    }
    paper.blank();
    summary(paper, plan);
}

fn params(plan: &Plan) -> String {
    let Some(map) = plan.params.as_object().filter(|map| !map.is_empty()) else { return String::new() };
    let words: Vec<_> = map
        .iter()
        .map(|(name, value)| {
            format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    format!(" ({})", words.join(", "))
}

/// More than a look: it can be taken back, whatever it is seen to change.
fn acts(call: &Planned) -> bool {
    call.undo.is_some() || !call.writes.is_empty()
}

fn of_call(paper: &mut Paper, call: &Planned, detail: Detail) {
    if detail == Detail::Short && !acts(call) {
        return;
    }
    let mark = if acts(call) { Mark::Change } else { Mark::None };
    paper.marked(mark, &named(&call.summary), None);
    of_writes(paper, call, detail);
    if let (Detail::Full, Some(undo)) = (detail, &call.undo) {
        paper.paragraph(10, &format!("going back: {}", named(undo)));
    }
    for text in &call.assumed {
        paper.paragraph(10, &format!("assumed: {text}"));
    }
}

fn of_writes(paper: &mut Paper, call: &Planned, detail: Detail) {
    for line in changes(&call.writes, detail) {
        paper.paragraph(10, &line);
    }
    if detail == Detail::Full {
        for line in call.writes.iter().filter_map(diff).flat_map(str::lines) {
            paper.line(&format!("{:12}{line}", ""));
        }
        for shell in call.writes.iter().filter_map(|write| write.shell.as_ref()) {
            paper.line(&format!("{:10}$ {}", "", named(shell)));
        }
    }
}

/// What taking an unfinished run back would do, by each way that there is.
pub fn plan_back(paper: &mut Paper, run: &str, back: &GoingBack) {
    for way in &back.ways {
        let with = way.choice.as_ref().map(|choice| format!(" with `--choose {}`", choice.key));
        let n = count(way.calls.iter().filter(|call| call.undo.is_some()).count(), "change");
        let with = with.unwrap_or_default();
        paper.heading(&format!("going back from run {run}{with} would take back {n}, last first"));
        for call in &way.calls {
            paper.marked(Mark::Back, &call.summary, None);
            of_writes(paper, call, Detail::Full);
            if let Some(comes_to) = &call.undo {
                paper.paragraph(10, comes_to);
            }
            for text in &call.assumed {
                paper.paragraph(10, &format!("assumed: {text}"));
            }
        }
        match (&way.unknown, &way.fails) {
            (Some(why), _) => paper.labelled("result", &format!("planned up to here only: {why}")),
            (None, Some(failure)) => {
                paper
                    .labelled("result", "as the site is now it would fail there, and the run would be stuck");
                super::failure::why(paper, failure);
            }
            (None, None) => paper.line("then the site is compared with what was recorded before the run"),
        }
        let away = away(&way.downtime);
        if !away.is_empty() {
            paper.labelled("away", &format!("{} from then on", away.join(", ")));
        }
        for text in &way.stays {
            paper.labelled("stays", text);
        }
        paper.blank();
    }
}

fn diff(write: &Write) -> Option<&str> {
    match &write.change {
        Change::File { diff, .. } => Some(diff),
        _ => None,
    }
}

/// What the writes change, a line each; files that are only added are counted.
fn changes(writes: &[Write], detail: Detail) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut added, mut bytes) = (0, 0);
    // Before a question what becomes of all databases alike is told once.
    let alike = |one: &Write, next: &Write| detail == Detail::Short && alike(&one.change, &next.change);
    for together in writes.chunk_by(alike) {
        if let [first, _, ..] = together {
            lines.extend(several(&first.change, together));
            continue;
        }
        for write in together {
            match &write.change {
                Change::Added { bytes: size, .. } => {
                    // Folders have no size and are no news.
                    added += usize::from(size.is_some());
                    bytes += size.unwrap_or(0);
                }
                change => lines.extend(one(change, detail)),
            }
        }
    }
    // Copies for the way back are many and small: before a question only what fills a disk counts.
    if added > 0 && (detail == Detail::Full || bytes >= LARGE) {
        lines.push(format!("adds {}, up to {}", count(added, "file"), size(bytes)));
    }
    lines
}

/// Whether one line can tell both.
fn alike(one: &Change, next: &Change) -> bool {
    match (one, next) {
        (Change::Database { what, .. }, Change::Database { what: other, .. }) => what == other,
        (Change::DatabaseAdded { .. }, Change::DatabaseAdded { .. })
        | (Change::DatabaseRemoved { .. }, Change::DatabaseRemoved { .. }) => true,
        _ => false,
    }
}

/// The line for several that are alike.
fn several(first: &Change, all: &[Write]) -> Option<String> {
    let mut bytes = Some(0);
    let mut names = Vec::new();
    for write in all {
        match &write.change {
            Change::Database { name, .. } | Change::DatabaseRemoved { name } => names.push(name),
            Change::DatabaseAdded { name, bytes: size, .. } => {
                bytes = bytes.zip(*size).map(|(sum, size)| sum + size);
                names.push(name);
            }
            _ => {}
        }
    }
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", named(name))).collect();
    let names = names.join(", ");
    match first {
        Change::Database { what, .. } => Some(format!("each of {names}: {}", named(what))),
        Change::DatabaseAdded { .. } => {
            let size = bytes.map(|bytes| format!(" ({} in all)", size(bytes))).unwrap_or_default();
            Some(format!("adds the databases {names}{size}"))
        }
        Change::DatabaseRemoved { .. } => Some(format!("drops the databases {names}")),
        _ => None,
    }
}

fn one(change: &Change, detail: Detail) -> Option<String> {
    let full = detail == Detail::Full;
    match change {
        Change::Added { .. }
        | Change::Container { stays: false, .. }
        | Change::Program { .. }
        | Change::Request { .. }
        | Change::Told { .. } => None,
        Change::File { path, .. } => full.then(|| format!("changes `{path}`")),
        Change::Removed { path, what } => Some(format!("removes `{}` ({what})", named(path))),
        Change::Image { reference, digest, bytes } => {
            let digest = digest.as_ref().map(|digest| format!(", {digest}")).unwrap_or_default();
            let bytes = bytes.filter(|bytes| *bytes > 0);
            let bytes = bytes.map(|bytes| format!(", about {}", size(bytes))).unwrap_or_default();
            full.then(|| format!("adds the image `{reference}`{digest}{bytes}"))
        }
        Change::Tag { image, reference } => Some(format!("names the image `{image}` `{reference}`")),
        Change::ServiceDown { service, .. } => Some(format!("`{}` goes down", named(service))),
        Change::ServiceUp { service, image, .. } => Some(format!("`{service}` comes up from `{image}`")),
        Change::ContainerRemoved { service, .. } => {
            Some(format!("removes the container of `{}`", named(service)))
        }
        Change::RestartPolicy { service, from, to } => {
            Some(format!("restart policy of `{service}`: `{from}` becomes `{to}`"))
        }
        Change::Trial { service, image } => {
            Some(format!("tries `{image}` as `{service}` where no user reaches it"))
        }
        Change::Container { name, image, .. } => {
            Some(format!("`{name}` runs from `{image}` until it is removed"))
        }
        Change::Database { name, what } => Some(format!("database `{}`: {}", named(name), named(what))),
        Change::DatabaseAdded { name, bytes, what } => {
            let bytes = bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
            Some(format!("adds the database `{}` ({what}{bytes})", named(name)))
        }
        Change::DatabaseRemoved { name } => Some(format!("drops the database `{}`", named(name))),
        Change::Tree { path, what } => Some(format!("`{path}` {what}")),
        Change::Outside { port, what } => Some(format!("{port}: {}", named(what))),
    }
}

fn summary(paper: &mut Paper, plan: &Plan) {
    if let PlanEnd::NothingNeeded { .. } | PlanEnd::Fails { .. } = plan.end {
        return result(paper, plan);
    }
    let away = away(&plan.downtime);
    // Of what comes after the place where a plan ends nothing is known.
    let so_far = if let PlanEnd::Unknown { .. } = plan.end { "as far as it is planned: " } else { "" };
    if away.is_empty() {
        paper.labelled("away", &format!("{so_far}no service"));
    } else {
        let mut basis: Vec<_> = plan.downtime.iter().map(|down| down.basis.as_str()).collect();
        basis.dedup();
        paper.labelled("away", &format!("{so_far}{} ({})", away.join(", "), basis.join("; ")));
    }
    room(paper, &plan.room);
    match &plan.going_back {
        Some(_) if !so_far.is_empty() => {
            paper.labelled("way back", "not known beyond the place where the plan ends");
        }
        Some(back) => going_back(paper, plan, back),
        None => {}
    }
    for text in &plan.notes {
        paper.marked(Mark::Note, text, None);
    }
    result(paper, plan);
}

/// That a run does what an earlier plan says.
pub fn held_to(paper: &mut Paper, kept: &Plan) {
    let line = format!(
        "the plan of {}: what is not in it is not done (sizes, rows and sessions may have changed)",
        time(kept.made)
    );
    paper.labelled("held to", &line);
}

fn away(downtime: &[Downtime]) -> Vec<String> {
    downtime.iter().map(|down| format!("`{}` about {}", down.service, span(down.millis))).collect()
}

/// What it takes on each disk. What is small is no news.
fn room(paper: &mut Paper, rooms: &[Room]) {
    let large = rooms.iter().filter(|room| room.needed >= LARGE);
    for (at, room) in large.enumerate() {
        let free = room.free.map_or_else(
            || "how much is free there is not known".to_owned(),
            |free| format!("{} free", size(free)),
        );
        let line = format!("{}: up to {}, {free}", room.what.join(", "), size(room.needed));
        paper.labelled(if at == 0 { "room" } else { "" }, &line);
    }
}

/// Until when it goes back by itself, and what going back from the end costs.
fn going_back(paper: &mut Paper, plan: &Plan, back: &GoingBack) {
    let how = if back.by_itself {
        "whatever fails is taken back by itself"
    } else {
        "whatever fails stands still, and `uplift rollback` takes it back"
    };
    let asks = back.asks_from.as_deref().map(|address| call_at(plan, address));
    let line = match asks {
        None => match &back.ways[..] {
            // What only removes something stays done.
            [way] if way.downtime.is_empty() && !way.stays.is_empty() => {
                let stays = way.stays.join("; ");
                let all = way.stays.len() == way.calls.len();
                if all { stays } else { format!("{how}, but for this: {stays}") }
            }
            _ => how.to_owned(),
        },
        // It was reached by what is recorded.
        Some(None) => {
            "users could write already: a person chooses first, told how many rows it costs:".to_owned()
        }
        Some(Some((step, call))) => {
            let lets_in = |write: &Write| matches!(write.change, Change::ServiceUp { .. });
            let chooses = if call.writes.iter().any(lets_in) {
                "users can write, and a person chooses first, told how many rows it costs"
            } else {
                "a person chooses first, told what it costs"
            };
            format!("until `{step}` ({}) {how}; from there on {chooses}:", named(&call.summary))
        }
    };
    paper.labelled("way back", &line);
    let news = |way: &&WayBack| {
        way.choice.is_some() || !way.downtime.is_empty() || way.unknown.is_some() || way.fails.is_some()
    };
    for way in back.ways.iter().filter(news) {
        paper.labelled("", &way_back(way));
    }
}

fn way_back(way: &WayBack) -> String {
    let mut parts = vec![match &way.choice {
        Some(choice) => format!("`{}`: {}", choice.key, choice.does),
        None => "going back from its end".to_owned(),
    }];
    let away = away(&way.downtime);
    if !away.is_empty() {
        parts.push(format!("away {}", away.join(", ")));
    }
    parts.extend(way.stays.iter().cloned());
    parts.extend(way.unknown.iter().map(|why| format!("what comes then is not known before: {why}")));
    parts.extend(way.fails.iter().map(|failure| format!("as the site is now that would fail: {failure}")));
    parts.join("; ")
}

fn call_at<'a>(plan: &'a Plan, address: &'a str) -> Option<(&'a str, &'a Planned)> {
    let call = plan.steps.iter().flat_map(|step| &step.calls).find(|call| call.address == address)?;
    Some((step_of(address), call))
}

/// The call that a plan ends at, in words.
#[must_use]
pub fn planned_at(plan: &Plan) -> Option<String> {
    let PlanEnd::Fails { address, .. } = &plan.end else { return None };
    let (step, call) = call_at(plan, address)?;
    Some(format!("{step}: {}", call.summary))
}

fn result(paper: &mut Paper, plan: &Plan) {
    for text in &plan.warnings {
        paper.marked(Mark::Warn, text, None);
    }
    match &plan.end {
        PlanEnd::Complete => paper.labelled("result", "planned to the end: nothing stands in the way"),
        PlanEnd::NothingNeeded { .. } if plan.goes_on.is_some() => {
            paper.labelled("result", "the rest only looks: nothing more is changed");
        }
        PlanEnd::NothingNeeded { why } => paper.labelled("result", &format!("nothing needed: {why}")),
        PlanEnd::Unknown { why } => paper.labelled("result", &format!("planned up to here only: {why}")),
        PlanEnd::Fails { failure, .. } => {
            let begun = plan.steps.iter().flat_map(|step| &step.calls).any(acts);
            let result = if plan.goes_on.is_some() {
                "as the site is now it would fail there"
            } else if begun {
                "it would fail after it had begun, and so it is not begun: nothing is changed"
            } else {
                "it would be refused: nothing would be changed"
            };
            paper.labelled("result", result);
            if let Some(at) = planned_at(plan) {
                paper.labelled("at", &at);
            }
            super::failure::why(paper, failure);
        }
    }
}
