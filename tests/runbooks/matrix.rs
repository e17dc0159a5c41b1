//! Every stock runbook on every site, with every kind of fault at every effect: what becomes of it, judged by rules that hold
//! at every write, and told in transcripts.
//!
//! Each kind of fault has its turn at the first or at the last write of an effect; with `UPLIFT_TEST_EVERY=1` at all of them.
//! `UPLIFT_TEST_ONLY` names a flow or a site to try alone.
//!
//! After a change of behaviour: `SNAPSHOTS=overwrite cargo nextest run -E 'test(matrix)'`, and read the difference.

mod agreement;
mod ends;
mod flows;
mod judge;
mod seen;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use snapbox::{Data, assert_data_eq, data::DataFormat};
use uplift::primitives::contract::{Catalogue, Kind};

use flows::{FLOWS, Flow, RUN, SITES, Site, Stage, prepared};
use seen::{Effect, Snap};
use trial::{Trial, Wrong};

/// Flows that begin at one stage of one site, if it takes work to come there: they take turns in one folder.
struct Lane {
    site: &'static Site,
    stage: Stage,
    flows: Vec<&'static Flow>,
}

#[derive(Default)]
struct Tried {
    flows: usize,
    effects: usize,
    cases: usize,
    /// Effect by effect, each kind of fault counted once.
    pairs: usize,
    /// By runbook.
    labels: BTreeMap<&'static str, BTreeSet<String>>,
    broken: Vec<String>,
    /// By flow and site.
    pages: BTreeMap<(String, String), String>,
}

fn only() -> Option<String> {
    std::env::var("UPLIFT_TEST_ONLY").ok()
}

fn lanes() -> Vec<Lane> {
    let only = only();
    let chosen = |flow: &Flow, site: &Site| {
        only.as_ref().is_none_or(|only| flow.name.contains(only.as_str()) || site.name == only)
    };
    let mut lanes: BTreeMap<(usize, Stage, usize), Lane> = BTreeMap::new();
    for (at, site) in SITES.iter().enumerate() {
        let flows = FLOWS.iter().enumerate();
        for (nth, flow) in flows.filter(|(_, flow)| flow.sites.contains(&site.name) && chosen(flow, site)) {
            let lane = || Lane { site, stage: flow.stage, flows: Vec::new() };
            let own = if flow.stage == Stage::Old { nth } else { 0 };
            lanes.entry((at, flow.stage, own)).or_insert_with(lane).flows.push(flow);
        }
    }
    let mut lanes: Vec<_> = lanes.into_values().collect();
    // The longest first, so that no core is left alone with it.
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.flows.len()));
    lanes
}

fn every() -> bool {
    std::env::var_os("UPLIFT_TEST_EVERY").is_some()
}

/// What a run does before its first effect is the same for all flows of a runbook, and has to be tried from the command on.
fn has_beginning(flow: &Flow, site: &Site) -> bool {
    let of_runbook = |other: &&Flow| other.runbook == flow.runbook && other.sites.contains(&"plain");
    let first = FLOWS.iter().find(of_runbook).is_some_and(|first| first.name == flow.name);
    every() || (first && site.name == "plain")
}

/// At which writes of an effect something goes wrong, and how.
fn cases(effect: &Effect, at: usize, is_whole: bool) -> Vec<(usize, Wrong)> {
    let (first, last) = (effect.writes[0], *effect.writes.last().unwrap_or(&effect.writes[0]));
    let kinds = [Wrong::FailsBefore, Wrong::FailsAfter, Wrong::TimesOut];
    if every() {
        let both = [Wrong::Killed { after: false }, Wrong::Killed { after: true }];
        let kinds: Vec<_> = kinds.into_iter().chain(both).collect();
        return effect.writes.iter().flat_map(|write| kinds.iter().map(|kind| (*write, *kind))).collect();
    }
    // The process is killed before anything of an effect is done, or when all of it is done and nobody has written it down.
    let kills = [(first, Wrong::Killed { after: false }), (last, Wrong::Killed { after: true })];
    let one = |n: usize| if (at + n).is_multiple_of(2) { first } else { last };
    let faults = kinds.iter().enumerate().map(|(n, kind)| (one(n), *kind));
    let kills = if is_whole { &kills[..] } else { &kills[at % 2..][..1] };
    faults.chain(kills.iter().copied()).collect()
}

async fn lane(lane: &Lane, tried: &Mutex<Tried>) {
    let (night, run) = prepared(lane.site, lane.stage).await;
    let start = Snap::of(&night);
    for flow in &lane.flows {
        let name = format!("{} on the site `{}`", flow.name, lane.site.name);
        let trial = match Trial::of(flow, lane.site.name == "busy", &start, (&night, &run)).await {
            Ok(mut trial) => {
                trial.effects.retain(|effect| !effect.is_beginning() || has_beginning(flow, lane.site));
                trial
            }
            Err(broken) => {
                tried.lock().unwrap().broken.push(format!("{name}: {broken}"));
                continue;
            }
        };
        let (page, broken, cases, pairs) = page(&trial, flow, lane.site).await;
        let page = if run.is_empty() { page } else { page.replace(&run, RUN) };
        let mut tried = tried.lock().unwrap();
        tried.flows += 1;
        tried.effects += trial.effects.len();
        tried.cases += cases;
        tried.pairs += pairs;
        let labels = trial.effects.iter().map(|effect| effect.label.clone());
        tried.labels.entry(flow.runbook).or_default().extend(labels);
        tried.broken.extend(broken.into_iter().map(|broken| format!("{name}: {broken}")));
        tried.pages.insert((flow.name.to_owned(), lane.site.name.to_owned()), page);
    }
}

/// All that becomes of one flow, for readers.
async fn page(trial: &Trial<'_>, flow: &Flow, site: &Site) -> (String, Vec<String>, usize, usize) {
    let (mut broken, mut count, mut pairs) = (Vec::new(), 0, 0);
    let mut page =
        format!("## site `{}`: {}\nplan: {}\n{}\n", site.name, flow.typed(), trial.planned(), trial.ended);
    for (at, effect) in trial.effects.iter().enumerate() {
        let writes = effect.writes.len();
        let _never_fails =
            writeln!(page, "\n{} ({writes} write{})", effect.label, if writes == 1 { "" } else { "s" });
        let mut by_kind: BTreeMap<_, Vec<(usize, String)>> = BTreeMap::new();
        for (write, wrong) in cases(effect, at, site.name == "plain") {
            count += 1;
            let place = effect.writes.iter().position(|one| *one == write).unwrap_or_default() + 1;
            match trial.at(effect, write, wrong).await {
                Ok(words) => by_kind.entry(wrong.words()).or_default().push((place, words)),
                Err(what) => broken.push(what),
            }
        }
        pairs += by_kind.len();
        for (kind, ends) in by_kind {
            let one = ends.iter().all(|(_, words)| *words == ends[0].1);
            for (place, words) in ends.iter().take(if one { 1 } else { ends.len() }) {
                let at = if one { String::new() } else { format!(" {place}") };
                let _never_fails = writeln!(page, "  {:<19}{words}", format!("{kind}{at}"));
            }
        }
    }
    (page, broken, count, pairs)
}

/// Fails before, fails after, times out after, process killed.
const KINDS: usize = 4;

/// The stock runbooks by name, with their texts.
fn runbooks() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/compose");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = all.map(|path| (format!("compose/{}", path.file_stem().unwrap().display()), path));
    named.map(|(name, path)| (name, std::fs::read_to_string(path).unwrap())).collect()
}

/// No runbook, and no effect that one of them names, is left out.
fn all_is_tried(runbooks: &BTreeMap<String, String>, tried: &BTreeMap<&'static str, BTreeSet<String>>) {
    let catalogue = Catalogue::stock();
    for (name, text) in runbooks {
        assert!(FLOWS.iter().any(|flow| flow.runbook == name), "`{name}` is not tried");
        let effects = catalogue.iter().filter(|verb| verb.kind == Kind::Effect).map(|verb| verb.name);
        for verb in effects.filter(|verb| text.contains(&format!("{verb}("))) {
            let call = format!("/{verb}#");
            let labels = tried.get(name.as_str()).into_iter().flatten();
            let is_tried = labels.into_iter().any(|label| label.contains(&call));
            assert!(is_tried, "`{verb}` of `{name}` is not tried");
        }
    }
}

fn golden(flow: &str, page: &str) {
    let name = flow.replace(' ', "_");
    let path = format!("{}/tests/runbooks/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    assert_data_eq!(page.to_owned(), Data::read_from(path.as_ref(), Some(DataFormat::Text)).raw());
}

#[test]
fn every_runbook_on_every_site_with_every_fault_at_every_effect() {
    let (began, lanes) = (Instant::now(), lanes());
    let (tried, next) = (Mutex::<Tried>::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(one) = lanes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    runtime.block_on(lane(one, &tried));
                }
            });
        }
    });
    let tried = tried.into_inner().unwrap();
    let (runbooks, sites) = (runbooks(), SITES.len());
    println!(
        "matrix: {} runbooks x {sites} sites in {} flows: {} effects x {KINDS} faults = {} pairs, {} tried in {} cases, {:.0} s",
        runbooks.len(),
        tried.flows,
        tried.effects,
        tried.effects * KINDS,
        tried.pairs,
        tried.cases,
        began.elapsed().as_secs_f32()
    );
    assert!(tried.broken.is_empty(), "{} broken:\n{}", tried.broken.len(), tried.broken.join("\n"));
    assert_eq!(tried.pairs, tried.effects * KINDS, "each kind of fault at each effect");
    if only().is_some() {
        tried.pages.values().for_each(|page| println!("{page}"));
        return;
    }
    all_is_tried(&runbooks, &tried.labels);
    for flow in &FLOWS {
        let pages: Vec<_> = tried
            .pages
            .iter()
            .filter(|((name, _), _)| name == flow.name)
            .map(|(_, page)| page.as_str())
            .collect();
        golden(flow.name, &pages.join("\n"));
    }
}
