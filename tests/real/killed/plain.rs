//! Upgrades on one schema, killed before and after every commit of the journal, and in the middle of their work.
//!
//! A commit of the journal is the moment at which a run's future changes. The ordinary test takes a few;
//! `UPLIFT_TEST_EVERY=1` takes every one.

use std::time::Duration;

use super::{
    super::{Field, field::lab, told::until_it_begins},
    end::{Way, end_it},
    points,
    record::{done_twice, last_run, left_over},
};
use crate::lab::{Shape, SiteState, Started};

/// How many points the ordinary test takes.
const SAMPLE: usize = 8;
/// Sites that share the points.
const SITES: usize = 2;

#[test]
fn a_run_killed_at_a_commit_of_its_journal_is_told_truly_and_can_be_ended() {
    let commits = commits_of_a_run();
    assert!(commits > 20, "{commits}");
    let points = points::of(commits, SAMPLE);
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
    let count = points::count(&field, "upgrade --to 1.1.1 -y --settle 1s", 0);
    field.end();
    count
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
            self.at(point, Way::by_turns(number + self.site));
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
        let screen = self.field.run(&points::killed(&self.field, &words, point), &words);
        if points::is_last(point, self.commits) && screen.exit() == Some(0) {
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
    fn is_whole(&mut self, point: &str, way: Way, tag: &str, before: &SiteState, made: &Started) {
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

/// Two releases by turns, so that each step runs another image.
fn release(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "1.1.0" } else { "1.1.1" }
}

fn made_of(watch: &Started) -> Vec<String> {
    let mut made: Vec<_> = watch.stdout().lines().map(str::to_owned).collect();
    made.sort();
    made
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
        until_it_begins(&run, address);
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
