use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{contract::Read, return_point::Jobs as Decided};
use crate::{
    event::{Choice, Failure, Question},
    ports::{Observe, postgres::Jobs},
};

/// List the jobs of a queue that has returned, and let a person decide whether they run: some have run already.
///
/// Those that a worker had taken when the site was stopped come first. A queue without waiting jobs needs no decision.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnedJobs {
    /// `ask`: the run stands still until a person has seen them. `run`, `hold`: decided beforehand.
    #[serde(default)]
    pub decide: Decided,
}

/// Jobs that are named to a person.
const SHOWN: usize = 20;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Whether the worker may start.
    pub start: bool,
    /// Jobs that are not done in the returned queue; unknown where a person has decided since.
    pub waiting: Option<u64>,
}

impl Read for ReturnedJobs {
    const NAME: &'static str = "returned_jobs";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { decide: Decided::Hold }
    }

    fn summary(&self) -> String {
        "look which jobs would run a second time".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let what = match outcome.waiting {
            Some(0) => "no job waits".to_owned(),
            Some(waiting) => format!("{waiting} jobs wait"),
            None => "a person has seen them".to_owned(),
        };
        format!("{what}; the worker {}", if outcome.start { "may start" } else { "is held" })
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let all = &site.site.databases;
        let jobs = match all.all.iter().find(|one| one.role == "queue") {
            Some(queue) => site.postgres.jobs(&all.endpoint, &queue.name, SHOWN).await?,
            None => Jobs::default(),
        };
        if jobs.waiting > 0 {
            for line in lines(&jobs) {
                site.tell.warn(line);
            }
        }
        let start = match (jobs.waiting, self.decide) {
            (0, _) | (_, Decided::Run) => true,
            (_, Decided::Hold) => false,
            (_, Decided::Ask) => return Err(Failure::asks("jobs_undecided", question(&jobs))),
        };
        Ok(Outcome { start, waiting: Some(jobs.waiting) })
    }

    fn decided(&self, choice: &str) -> Option<Outcome> {
        let start = match choice {
            "run" => true,
            "hold" => false,
            _ => return None,
        };
        Some(Outcome { start, waiting: None })
    }
}

fn lines(jobs: &Jobs) -> Vec<String> {
    let mut lines = vec![format!(
        "{} jobs wait in the returned queue, {} of them taken by a worker when the site was stopped; whatever ran \
         since then would run a second time",
        jobs.waiting, jobs.claimed
    )];
    lines.extend(jobs.oldest.iter().map(|job| match &job.claimed_by {
        Some(by) => format!("{} {}, taken by {by}", job.class, job.id),
        None => format!("{} {}", job.class, job.id),
    }));
    let shown = jobs.oldest.len() as u64;
    if jobs.waiting > shown {
        lines.push(format!("and {} more", jobs.waiting - shown));
    }
    lines
}

/// Web runs the jobs of this site itself: they cannot be held back there, so they are decided on before anything is done.
pub(super) fn web_question(waiting: u64, (verb, queue): (&str, &str), found: Vec<String>) -> Question {
    let choices = vec![Choice {
        key: "run".to_owned(),
        does: format!("{verb}, and let web run the jobs of the {queue} queue"),
        costs: format!("up to {waiting} jobs run a second time"),
        also: String::new(),
    }];
    let text = format!("web runs the jobs of this site itself: are those of the {queue} queue to run?");
    Question { address: String::new(), text, found, choices, flag: Some("jobs".to_owned()) }
}

fn question(jobs: &Jobs) -> Question {
    let choice = |key: &str, does: &str, costs: String| {
        let (key, does, also) = (key.to_owned(), does.to_owned(), String::new());
        Choice { key, does, costs, also }
    };
    Question {
        address: String::new(),
        text: "web runs on the returned databases, and the worker is held: are the jobs of the queue to run?"
            .to_owned(),
        found: lines(jobs),
        choices: vec![
            choice(
                "run",
                "start the worker: it runs all of them",
                format!("up to {} jobs run a second time", jobs.waiting),
            ),
            choice(
                "hold",
                "end the run with the worker held: start it yourself once the queue is as you want it",
                "no job runs until then".to_owned(),
            ),
        ],
        flag: Some("jobs".to_owned()),
    }
}
