//! Whether a site is whole after a run was killed and ended, and nothing was lost, made twice or left over.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    super::Field,
    end::Ended,
    kept,
    record::{LastRun, began, done_twice, last_run, left_over},
    walk::{Flow, Place, Then},
};
use crate::lab::{SiteState, Started, Writer};

/// The site right before a run.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) flow: Flow,
    pub(super) before: SiteState,
    /// Keys of all orders.
    pub(super) orders: BTreeSet<String>,
    pub(super) uploads: String,
    equipment: String,
    beside: BTreeSet<String>,
    folders: BTreeSet<PathBuf>,
    last: Option<String>,
    /// What tells of every container that is made.
    made: Vec<Started>,
    /// A client that goes on writing, and what it was promised.
    pub(super) writer: Option<Writer>,
    pub(super) written: BTreeSet<String>,
    writing: bool,
}

impl Scene {
    pub(super) fn look(field: &Field, flow: Flow, acknowledged: &[String], writing: bool) -> Self {
        let orders = kept::orders(field, kept::PRIMARY);
        let lost: Vec<_> = acknowledged.iter().filter(|key| !orders.contains(*key)).collect();
        assert!(lost.is_empty(), "lost before anything was done: {lost:?}");
        Self {
            flow,
            before: field.stack.state().unwrap(),
            orders,
            uploads: kept::uploads(field),
            equipment: kept::equipment(field),
            beside: kept::beside(field),
            folders: kept::folders_beside(field),
            last: last_run(field.dir()).map(|run| run.id),
            made: vec![watch(field, "0s")],
            writer: writing.then(|| Writer::start(&field.stack)),
            written: BTreeSet::new(),
            writing,
        }
    }

    /// An engine that is restarted forgets who listens; the new one knows what it has made itself.
    pub(super) fn listen_again(&mut self, field: &Field) {
        if self.made.iter().all(Started::is_over) {
            self.made.push(watch(field, "10m"));
        }
    }

    /// The containers that were made since, by service.
    fn made(&self) -> Vec<String> {
        let said: String = self.made.iter().map(Started::stdout).collect();
        let mut made: Vec<_> = said.lines().map(str::to_owned).collect();
        made.sort();
        made
    }

    /// The run that was begun since, if one was recorded.
    pub(super) fn run(&self, field: &Field) -> Option<LastRun> {
        last_run(field.dir()).filter(|run| Some(&run.id) != self.last.as_ref())
    }
}

/// Tells of every container that is made on this site, and that was in the time before as far as the engine knows.
fn watch(field: &Field, before: &str) -> Started {
    let docker = field.stack.tools().docker();
    let docker = docker.args("events --filter type=container --filter event=create --filter");
    let docker = docker.arg(format!("label=com.docker.compose.project={}", field.stack.project()));
    let format = "{{index .Actor.Attributes \"com.docker.compose.service\"}}";
    docker.arg("--since").arg(before).arg("--format").arg(format).start().unwrap()
}

/// Looks at everything; says whether the run has come to its good end, and not back to where it began.
pub(super) fn judge(field: &Field, scene: &Scene, then: Option<&Then>, ended: Option<&Ended>) -> bool {
    let run = scene.run(field);
    let state = run.as_ref().map_or("none", |run| run.state.as_str());
    let exit = ended.and_then(|ended| ended.last.exit());
    let forward = match (state, exit) {
        ("done", None | Some(0)) => true,
        // Refused: nothing but additions was begun.
        ("rolled_back", None | Some(0))
        | ("taken_back", None | Some(6))
        | ("refused", None | Some(1))
        | ("none", None) => false,
        _ => panic!("the run is {state}, and the last command ended with {exit:?}\n{}", said(ended)),
    };
    field.assert_up();
    field.stack.settle().unwrap();
    whole(field, scene, forward);
    databases(field, scene, forward, run.as_ref(), ended);
    rows(field, scene, if forward { then } else { None }, forward, ended);
    files(field, scene, then, forward, run.as_ref());
    forward
}

fn said(ended: Option<&Ended>) -> String {
    ended.map_or(String::new(), |ended| ended.last.to_string())
}

/// Containers, settings, schema; nothing made twice, nothing left half made.
fn whole(field: &Field, scene: &Scene, forward: bool) {
    let place = if forward == (scene.flow.from() == Place::Old) { Place::New } else { Place::Old };
    field.assert_runs(place.release());
    let names: BTreeSet<_> =
        ["pg", "web-1", "job-1"].map(|name| format!("{}-{name}", field.stack.project())).into();
    assert_eq!(kept::containers(field), names, "no container of uplift's is left");
    kept::assert_no_sessions(field);
    assert_eq!(done_twice(field.dir()), Vec::<String>::new());
    assert_eq!(left_over(&field.state("")), Vec::<String>::new());
    let made = scene.made();
    let count = |service: &str| made.iter().filter(|one| *one == service).count();
    if forward {
        assert_eq!(count("job"), 1, "made {made:?}");
        let (least, most) = if scene.flow == Flow::Upgrade { (1, 3) } else { (1, 1) };
        assert!((least..=most).contains(&count("web")), "made {made:?}");
        return;
    }
    let differences = field.stack.state().unwrap().differences(&scene.before);
    assert_eq!(differences, Vec::<String>::new());
}

/// The four have what they had; others are listed, keep everybody out, and are of a kind that is expected.
fn databases(field: &Field, scene: &Scene, forward: bool, run: Option<&LastRun>, ended: Option<&Ended>) {
    assert_eq!(kept::equipment(field), scene.equipment, "owner, rights and settings of the databases");
    let beside = kept::beside(field);
    let folders = kept::folders_beside(field).into_iter().map(|path| path.display().to_string());
    let there: BTreeSet<_> = beside.iter().cloned().chain(folders).collect();
    assert_eq!(
        there,
        kept::listed(field),
        "`status` lists what is beside the databases and the uploaded files"
    );
    let new: Vec<_> = beside.difference(&scene.beside).cloned().collect();
    let of_kind = |kind: &str| new.iter().filter(|name| name.contains(kind)).count();
    let (pre, failed) = (of_kind("__pre_"), of_kind("__failed_"));
    assert_eq!(pre + failed, new.len(), "only savepoints and what was replaced are kept: {new:?}");
    let run = run.map(|run| run.id.replace('-', "_")).unwrap_or_default();
    assert!(new.iter().all(|name| name.contains(&run)), "they are of the run `{run}`: {new:?}");
    let expected: &[(usize, usize)] = match (scene.flow, forward) {
        (Flow::Upgrade | Flow::Fails, true) => &[(4, 0)],
        (Flow::Returns | Flow::Restores, true) => &[(0, 4)],
        // What the trial has made of them, if it had begun.
        (Flow::Upgrade | Flow::Fails, false) => &[(0, 0), (0, 4)],
        // What users could reach meanwhile, if they could.
        (Flow::Returns | Flow::Restores, false) if ended.is_some_and(|ended| ended.data_by_word) => &[(0, 4)],
        (Flow::Returns | Flow::Restores, false) => &[(0, 0)],
    };
    assert!(expected.contains(&(pre, failed)), "savepoints and replaced ones: {new:?}");
    let open = "SELECT count(*) FROM pg_database WHERE datname ~ '__' AND datallowconn";
    assert_eq!(field.stack.psql("postgres", open).unwrap(), "0", "a kept database keeps everybody out");
}

/// Every order that was acknowledged is there; where data went back by somebody's word, exactly those of that moment are,
/// and the others are in what was kept.
fn rows(field: &Field, scene: &Scene, then: Option<&Then>, forward: bool, ended: Option<&Ended>) {
    let now = kept::orders(field, kept::PRIMARY);
    let by_word = forward && scene.flow.moves_data_by_word() || ended.is_some_and(|ended| ended.data_by_word);
    let must = match then.filter(|_| forward && scene.flow.moves_data_by_word()) {
        Some(then) => &then.orders,
        None => &scene.orders,
    };
    let lost: Vec<_> = must.difference(&now).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let may = |key: &&String| !then.is_some_and(|then| then.written.contains(*key));
    let more: Vec<_> = now.difference(must).filter(may).collect();
    assert!(more.is_empty() || scene.writing, "nobody has written {more:?}");
    let aside = if by_word { &kept::beside(field) - &scene.beside } else { BTreeSet::new() };
    let aside = kept::orders_in(field, &aside);
    let gone = |key: &&String| !now.contains(*key) && !aside.values().any(|keys| keys.contains(*key));
    let lost: Vec<_> = scene.orders.iter().chain(&scene.written).filter(gone).collect();
    assert!(lost.is_empty(), "neither in the databases nor in what was kept: {lost:?}");
    if !by_word {
        let undone = "SELECT key FROM orders WHERE processed_at IS NULL";
        let undone = field.stack.psql(kept::PRIMARY, undone).unwrap();
        let undone: Vec<_> = undone.lines().filter(|key| scene.written.contains(*key)).collect();
        assert!(undone.is_empty(), "jobs that were not done: {undone:?}");
    }
    if let Some(then) = then.filter(|_| forward && scene.flow.moves_data_by_word()) {
        let state = field.stack.state().unwrap();
        let differences = state.differences(&then.state);
        assert_eq!(differences, Vec::<String>::new(), "it is as the older release was");
    }
}

/// Uploaded files, and folders beside them.
fn files(field: &Field, scene: &Scene, then: Option<&Then>, forward: bool, run: Option<&LastRun>) {
    let new = &kept::folders_beside(field) - &scene.folders;
    let run = run.map(|run| run.id.clone()).unwrap_or_default();
    let restored = forward && scene.flow == Flow::Restores;
    let could_write = began(field.dir(), &run, "compose_up") && scene.flow == Flow::Restores;
    if restored || !could_write {
        assert_eq!(new.len(), usize::from(restored), "folders beside the files: {new:?}");
    }
    let keys = field.stack.psql(kept::PRIMARY, "SELECT key FROM active_storage_blobs").unwrap();
    let uploads = kept::uploads(field);
    let missing: Vec<_> = keys.lines().filter(|key| !uploads.contains(&format!("/{key} "))).collect();
    assert!(missing.is_empty(), "rows without their files: {missing:?}");
    assert!(new.iter().all(|path| path.display().to_string().contains(&run)), "{new:?} of `{run}`");
    if !scene.writing {
        let then = then.and_then(|then| then.uploads.as_ref());
        let expected = if restored { then } else { Some(&scene.uploads) };
        let same = expected.is_none_or(|expected| *expected == uploads);
        assert!(same, "uploaded files with content, owner and mode: {expected:#?} and {uploads:#?}");
    }
}
