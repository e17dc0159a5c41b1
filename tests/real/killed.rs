//! Killed with `kill -9` at any moment: the next command says what is true, and the run can be ended.
//!
//! A commit of the journal is the moment at which a run's future changes, so uplift is killed before and after each
//! of them. The ordinary test takes a few; `UPLIFT_TEST_EVERY=1` takes every one.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{Field, field::lab, preload, screen::Screen};
use crate::lab::{Shape, Started, wait_until};

/// How many points the ordinary test takes.
const SAMPLE: usize = 8;
/// Sites that share the points.
const SITES: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Way {
    Resume,
    Rollback,
}

#[test]
fn a_run_killed_at_a_commit_of_its_journal_is_told_truly_and_can_be_ended() {
    let commits = commits_of_a_run();
    assert!(commits > 20, "{commits}");
    let (before, after) = (|number| format!("before:{number}"), |number| format!("after:{number}"));
    let every = std::env::var_os("UPLIFT_TEST_EVERY").is_some();
    let points: Vec<_> = if every {
        (1..=commits).flat_map(|number| [before(number), after(number)]).collect()
    } else {
        // Spread over the run, as often before a commit as after one.
        let number = |at| 1 + at * (commits - 2) / (SAMPLE - 1);
        (0..SAMPLE).map(|at| if at % 2 == 0 { before(number(at)) } else { after(number(at)) }).collect()
    };
    eprintln!("{commits} commits; killed at {}", points.join(", "));
    std::thread::scope(|threads| {
        let share = |site: usize| points.iter().skip(site).step_by(SITES).enumerate();
        let work =
            (0..SITES).map(|site| threads.spawn(move || Killed::new(site, commits).at_all(share(site))));
        for site in work.collect::<Vec<_>>() {
            site.join().unwrap();
        }
    });
}

/// How often the journal is synced in a run that nobody disturbs. The first run of a site makes the journal besides.
fn commits_of_a_run() -> usize {
    let field = Field::quick(Shape::Present, "1.0.0");
    field.uplift("upgrade --to 1.1.0 -y --settle 1s").ends(0);
    let file = field.dir().join("../").join(format!("{}-commits", field.stack.project()));
    let words = "upgrade --to 1.1.1 -y --settle 1s";
    let shell = preloaded(&field, words).env("UPLIFT_TEST_COUNT", file.display().to_string());
    field.run(&shell, words).ends(0);
    let count = fs::read_to_string(&file).unwrap().parse().unwrap();
    fs::remove_file(file).unwrap();
    field.end();
    count
}

fn preloaded(field: &Field, words: &str) -> crate::lab::Shell {
    field.shell(words).env("LD_PRELOAD", preload::library().display().to_string())
}

/// A site on which one run after another is killed. Each that is ended forwards leads to a release of its own, so
/// that nothing has to be put back by hand.
struct Killed {
    field: Field,
    site: usize,
    /// How often a run syncs.
    commits: usize,
    /// Number of the release that runs: `1.1.NUMBER`.
    now: usize,
}

impl Killed {
    fn new(site: usize, commits: usize) -> Self {
        Self { field: Field::quick(Shape::Present, "1.1.0"), site, commits, now: 0 }
    }

    fn at_all<'a>(mut self, points: impl Iterator<Item = (usize, &'a String)>) {
        for (number, point) in points {
            let way =
                if (number / 2 + number + self.site).is_multiple_of(2) { Way::Resume } else { Way::Rollback };
            self.at(point, way);
        }
        self.field.end();
    }

    fn at(&mut self, point: &str, way: Way) {
        eprintln!("killed {point}, then {way:?}");
        let tag = self.next_tag();
        self.field.stack.settle().unwrap();
        let before = self.field.stack.state().unwrap();
        let known = last_run(self.field.dir()).map(|run| run.id);
        let words = format!("upgrade --to {tag} -y --settle 1s");
        let made = self.watch();
        let screen = self.field.run(&preloaded(&self.field, &words).env("UPLIFT_TEST_KILL", point), &words);
        if self.commits.to_string() == point.split(':').next_back().unwrap_or_default()
            && screen.exit() == Some(0)
        {
            // A run during which the log is begun anew syncs once more than another.
            return self.is_whole(point, way, &tag, &before, &made);
        }
        assert_eq!(screen.exit(), None, "it was not killed at {point}\n{screen}");
        let run = last_run(self.field.dir()).filter(|run| Some(&run.id) != known.as_ref());
        let status = self.field.uplift("status");
        match run {
            Some(run) if run.state == "running" => {
                status.ends(9).shows(&[&run.id, "interrupted", "uplift resume", "uplift rollback"]);
                end_it(&self.field, way, &run.id).ends(0);
            }
            // Killed before it was recorded, or after its ending was: nothing is open.
            Some(run) => {
                assert_eq!(run.state, "done", "{point}");
                status.ends(0);
            }
            None => {
                status.ends(0);
                assert_eq!(
                    self.field.stack.state().unwrap().differences(&before),
                    Vec::<String>::new(),
                    "{point}"
                );
                self.field.uplift(&words).ends(0);
            }
        }
        self.is_whole(point, way, &tag, &before, &made);
    }

    /// It is at the new release or as before, and nothing was done twice or left over.
    fn is_whole(&mut self, point: &str, way: Way, tag: &str, before: &crate::lab::SiteState, made: &Started) {
        let state = last_run(self.field.dir()).unwrap().state;
        self.field.assert_up();
        let made = made_of(made);
        match state.as_str() {
            "done" => {
                self.now += 1;
                self.field.assert_runs(release(self.now));
                assert!(self.field.stack.env_text().unwrap().contains(&format!("STRATA_VERSION={tag}\n")));
                assert_eq!(made, ["job", "web"], "{point}: each made once");
            }
            "rolled_back" => {
                let now = self.field.stack.state().unwrap();
                assert_eq!(now.differences(before), Vec::<String>::new(), "{point}");
                let twice = made.iter().filter(|name| *name == "web").count();
                assert!(twice == 0 || twice == 2, "{point}: made {made:?}");
            }
            other => panic!("{point}, then {way:?}: the run is {other}"),
        }
        assert_eq!(done_twice(self.field.dir()), Vec::<String>::new(), "{point}");
        assert_eq!(left_over(&self.field.state("")), Vec::<String>::new(), "{point}");
        self.field.uplift("status").ends(0);
    }

    /// A tag that nobody has used yet, for the release that the site does not run.
    fn next_tag(&self) -> String {
        let tag = format!("1.1.{}", 100 * (self.site + 1) + self.now + 1);
        lab().registry.push_as(release(self.now + 1), &tag).unwrap();
        tag
    }

    /// Tells of every container that is made on this site.
    fn watch(&self) -> Started {
        let docker =
            lab().tools.docker().args("events --filter type=container --filter event=create --filter");
        let docker = docker.arg(format!("label=com.docker.compose.project={}", self.field.stack.project()));
        let format = "{{index .Actor.Attributes \"com.docker.compose.service\"}}";
        docker.arg("--format").arg(format).start().unwrap()
    }
}

/// Types the command until no child of the killed run is at work any more.
fn end_it(field: &Field, way: Way, run: &str) -> Screen {
    let words = match way {
        Way::Resume => format!("resume {run} -y"),
        Way::Rollback => format!("rollback {run} -y"),
    };
    for _ in 0..60 {
        let screen = field.uplift(&words);
        if screen.exit() != Some(5) {
            return screen;
        }
        let _named = screen.shows(&["process"]);
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("a child of the killed run does not end");
}

/// Two releases by turns, so that each step runs another image.
fn release(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "1.1.0" } else { "1.1.1" }
}

fn made_of(watch: &Started) -> Vec<String> {
    let mut made: Vec<_> = watch.stdout().lines().map(str::to_owned).collect();
    made.sort();
    made
}

struct LastRun {
    id: String,
    state: String,
}

/// The journal's own word, read without uplift.
fn last_run(dir: &Path) -> Option<LastRun> {
    let row = "SELECT id, state FROM run ORDER BY number DESC LIMIT 1";
    journal(dir)?.query_row(row, [], |row| Ok(LastRun { id: row.get(0)?, state: row.get(1)? })).ok()
}

/// Effects that were begun again after they had succeeded.
fn done_twice(dir: &Path) -> Vec<String> {
    let query = "SELECT address FROM entry JOIN attempt a USING (run, seq) WHERE kind = 'effect' AND a.state = \
                 'succeeded' AND EXISTS (SELECT 1 FROM attempt b WHERE b.run = a.run AND b.seq = a.seq AND b.n > a.n)";
    let journal = journal(dir).unwrap();
    let mut query = journal.prepare(query).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn journal(dir: &Path) -> Option<Connection> {
    Connection::open_with_flags(dir.join(".uplift/journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
}

/// Files below uplift's folder that are only there while something is being made.
pub(super) fn left_over(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".partial") || name.contains(".tmp") {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            found.extend(left_over(&path));
        }
    }
    found
}

/// Killed while a command of the run is at work: the child ends by itself, or the next command names it.
#[test]
fn a_run_killed_while_it_works_leaves_nothing_at_work_behind_it() {
    let field = Field::quick(Shape::Present, "1.1.0");
    field.stack.settle().unwrap();
    let (before, env) = (field.stack.state().unwrap(), field.stack.env_text().unwrap());
    let moments =
        ["prepare/backup#1", "stop/compose_stop#1", "switch web/compose_up#1", "switch job/compose_up#1"];
    for (number, address) in moments.into_iter().enumerate() {
        let words = "upgrade --to 1.1.1 -y --settle 1s -o json";
        let run = field.start(words);
        wait_until(address, Duration::from_mins(1), || began(&run.stdout(), address)).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        run.signal("KILL").unwrap();
        assert_eq!(field.ended(run, words).exit(), None);
        let id = last_run(field.dir()).unwrap().id;
        field.uplift("status").ends(9).shows(&[&id, "interrupted"]);
        let way = if number.is_multiple_of(2) { Way::Rollback } else { Way::Resume };
        end_it(&field, way, &id).ends(0);
        field.assert_up();
        match way {
            Way::Rollback => {
                assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());
            }
            Way::Resume => {
                field.assert_runs("1.1.1");
                field.return_to(&env);
            }
        }
        assert_eq!(left_over(&field.state("")), Vec::<String>::new());
    }
    field.end();
}

fn began(stdout: &str, address: &str) -> bool {
    stdout.lines().any(|line| line.contains("call_started") && line.contains(&format!("\"{address}\"")))
}
