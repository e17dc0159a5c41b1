//! Runs that move data, killed before and after every commit of their journals.

use std::collections::VecDeque;

use super::{
    super::every,
    end::Way,
    points,
    walk::{Flow, Job, Walk},
};

/// How many points the ordinary tests take of each command.
const SAMPLE: usize = 2;
/// Sites that share the points.
const SITES: usize = 2;

#[test]
fn an_upgrade_with_a_savepoint_and_the_ways_back_from_it_can_be_ended_from_every_commit() {
    at_all_commits(&[Flow::Upgrade, Flow::Returns, Flow::Restores]);
}

#[test]
fn an_upgrade_that_fails_in_the_dark_can_be_ended_from_every_commit() {
    at_all_commits(&[Flow::Fails]);
}

fn at_all_commits(flows: &[Flow]) {
    let mut first = Walk::begin();
    let mut jobs = Vec::new();
    for flow in flows {
        let commits = first.count(*flow);
        assert!(commits > 20, "{commits}");
        let points = points::amid(commits, SAMPLE);
        eprintln!("{flow:?}: {commits} commits; killed at {}", points.join(", "));
        let job = |(number, point)| (number, Job { flow: *flow, point, way: Way::by_turns(number), commits });
        jobs.extend(points.into_iter().enumerate().map(job));
    }
    // All commands by turns, the last points first: with them most has been done.
    jobs.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let jobs = jobs.into_iter().map(|(_, job)| job).collect();
    let wrong = if every() { on_sites(first, &jobs) } else { first.all(jobs) };
    assert!(wrong.is_empty(), "{} points went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Shares the work among sites; the first of them is there already.
fn on_sites(first: Walk, jobs: &VecDeque<Job>) -> Vec<String> {
    let share = |site: usize| -> VecDeque<Job> { jobs.iter().skip(site).step_by(SITES).cloned().collect() };
    std::thread::scope(|threads| {
        let others: Vec<_> =
            (1..SITES).map(|site| threads.spawn(move || Walk::begin().all(share(site)))).collect();
        let mut wrong = first.all(share(0));
        for site in others {
            wrong.extend(site.join().unwrap());
        }
        wrong
    })
}
