use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Decision, Read},
    return_point::Jobs as Decided,
};
use crate::{
    event::{Choice, Failure, Question},
    ports::{Observe, postgres::Jobs},
};

/// List the jobs of a queue that has returned or is held, and let a person decide whether they run: some have run already.
///
/// Those that a worker had taken when it was stopped come first. Where none waits, nothing is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnedJobs {
    /// `ask`: the run stands still until a person has seen them. `run`, `hold`: decided beforehand, `hold` also where none
    /// waits.
    #[serde(default)]
    pub decide: Decided,
    /// The highest number that a job of the queue had when it returned (`last_job`): only those up to it can run a second
    /// time, what users enqueue since is new. Left out, all jobs of the queue count.
    #[serde(default)]
    pub up_to: Option<i64>,
    /// Why it is asked: the queue is `returned` (to the savepoint), `restored` (from a backup set), or the worker was
    /// `stopped` before the run began, so that starting it is nobody's wish yet.
    #[serde(default)]
    pub queue: Queue,
}

/// What happened to a queue whose jobs are not to run unseen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Queue {
    #[default]
    Returned,
    Restored,
    Stopped,
}

/// Jobs that are named to a person.
const SHOWN: usize = 20;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Whether the worker may start.
    pub start: bool,
    /// Jobs that came with the returned queue and are not done; unknown where a person has decided since.
    pub waiting: Option<u64>,
}

impl Read for ReturnedJobs {
    const NAME: &'static str = "returned_jobs";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { decide: Decided::Hold, up_to: Some(210), queue: Queue::Stopped }
    }

    fn summary(&self) -> String {
        "look which jobs would run a second time".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let what = match outcome.waiting {
            Some(0) => "no job waits".to_owned(),
            Some(waiting) => waits(waiting),
            None => "a person has seen them".to_owned(),
        };
        format!("{what}; the worker {}", if outcome.start { "may start" } else { "is held" })
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let all = &site.site.databases;
        let jobs = match all.all.iter().find(|one| one.role == "queue") {
            Some(queue) => site.postgres.jobs(&all.endpoint, &queue.name, self.up_to, SHOWN).await?,
            None => Jobs::default(),
        };
        if jobs.waiting > 0 {
            for line in self.lines(&jobs) {
                site.tell.warn(line);
            }
        }
        let start = match (jobs.waiting, self.decide) {
            // Also if none waits: a plan cannot look into a queue that is yet to return, and says the same then.
            (_, Decided::Hold) => false,
            (0, _) | (_, Decided::Run) => true,
            (_, Decided::Ask) => return Err(Failure::asks("jobs_undecided", self.question(&jobs))),
        };
        Ok(Outcome { start, waiting: Some(jobs.waiting) })
    }

    fn decided(&self, decision: &Decision) -> Option<Outcome> {
        let start = match decision.choice.as_str() {
            "run" => true,
            "hold" => false,
            _ => return None,
        };
        Some(Outcome { start, waiting: None })
    }
}

impl ReturnedJobs {
    fn lines(&self, jobs: &Jobs) -> Vec<String> {
        let (waiting, claimed) = (waits(jobs.waiting), jobs.claimed);
        let mut lines = vec![match self.queue {
            Queue::Returned | Queue::Restored => format!(
                "{waiting} in the {} queue, {claimed} of them taken by a worker when the site was stopped; whatever \
                 ran since then would run a second time",
                if self.queue == Queue::Restored { "restored" } else { "returned" }
            ),
            Queue::Stopped => format!(
                "{waiting} in the queue of a worker that was stopped before this run began, {claimed} of them taken by \
                 a worker; where the queue came back by a return or a restore, some have run already"
            ),
        }];
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

    fn question(&self, jobs: &Jobs) -> Question {
        let choice = |key: &str, does: &str, costs: String| Choice {
            key: key.to_owned(),
            does: does.to_owned(),
            costs,
            also: String::new(),
        };
        Question {
            address: String::new(),
            text: match self.queue {
                Queue::Returned => "web runs on the returned databases, and the worker is held: are the jobs of the queue to run?",
                Queue::Restored => "web runs on the restored databases, and the worker is held: are the jobs of the queue to run?",
                Queue::Stopped => "web runs, and the worker was stopped before this run began: are the jobs of the queue to run?",
            }.to_owned(),
            found: self.lines(jobs),
            choices: vec![
                choice(
                    "run",
                    "start the worker: it runs all of them, and what users have enqueued since",
                    again(jobs.waiting),
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
}

fn waits(jobs: u64) -> String {
    if jobs == 1 { "1 job waits".to_owned() } else { format!("{jobs} jobs wait") }
}

fn again(jobs: u64) -> String {
    if jobs == 1 {
        "1 job may run a second time".to_owned()
    } else {
        format!("up to {jobs} jobs run a second time")
    }
}

/// Web runs the jobs of this site itself: they cannot be held back there, so they are decided on before anything is done.
pub(super) fn web_question(waiting: u64, (verb, queue): (&str, &str), found: Vec<String>) -> Question {
    let choices = vec![Choice {
        key: "run".to_owned(),
        does: format!("{verb}, and let web run the jobs of the {queue} queue"),
        costs: again(waiting),
        also: String::new(),
    }];
    let text = format!("web runs the jobs of this site itself: are those of the {queue} queue to run?");
    Question { address: String::new(), text, found, choices, flag: Some("jobs".to_owned()) }
}
