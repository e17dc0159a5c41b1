//! Somebody else looks on from another terminal.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use uplift::{
    Ending, Event,
    event::{Progress, Unit},
    journal::{Lock, NewEntry, RunState, Writer},
};

use super::{
    asking,
    crashed::{CRASHED, at_work},
    desk::Desk,
    golden, screen,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_by_others() {
    let desk = Arc::new(Desk::new());
    asking::hold(&desk);
    let at_work = tokio::spawn({
        let desk = Arc::clone(&desk);
        async move { desk.types(&format!("uplift run {} -y", asking::HALF)).await }
    });
    while desk.host().await.unfinished().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = desk.types("uplift status").await;
    assert!(status.out.contains("is at work: `uplift run"), "{}", status.out);
    assert_eq!(status.exit.code(), 0);
    let second = desk.types("uplift upgrade --to 1.1.0 -y").await;
    assert!(second.err.contains("is at work on this site"), "{}", second.err);
    assert_eq!(second.exit.code(), 5);
    let (followed, ()) = tokio::join!(desk.types("uplift show --follow"), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        asking::go(&desk);
    });
    assert_eq!(at_work.await.unwrap().exit.code(), 0);
    golden("followed", &followed.page());
}

const BACKUP: &str = "prepare/backup#1";

/// A run whose backup is at work, and its log.
struct Working {
    desk: Desk,
    writer: Writer,
    _lock: Lock,
}

impl Working {
    fn new() -> Self {
        let desk = Desk::new();
        std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
        let backup = NewEntry {
            address: BACKUP.to_owned(),
            path: "prepare".to_owned(),
            verb: "backup".to_owned(),
            version: 1,
            effect: true,
            input: serde_json::json!({}),
            place: "compose/upgrade:48:9".to_owned(),
            summary: "back up 4 databases".to_owned(),
            when_unknown: Some("repeat".to_owned()),
            intent: Some(serde_json::Value::Null),
            group: None,
        };
        let (lock, writer) = at_work(&desk, backup, false);
        let working = Self { desk, writer, _lock: lock };
        working.logs(&Event::CallStarted {
            address: BACKUP.to_owned(),
            summary: "back up 4 databases".to_owned(),
        });
        working
    }

    fn log(&self) -> PathBuf {
        self.desk.folder().join(format!("logs/{CRASHED}.jsonl"))
    }

    fn now(&self) -> Timestamp {
        self.desk.world.ports().clock.now()
    }

    /// As the run itself writes it.
    fn logs(&self, event: &Event) {
        let mut line = serde_json::to_value(event).unwrap();
        line["at"] = self.now().to_string().into();
        self.desk.world.ports().files.log(&self.log()).line(&line.to_string());
    }

    fn has_dumped(&self, gib: u64) {
        let what = "dump of `strata_production`".to_owned();
        let progress = Progress { what, done: gib << 30, total: Some(900 << 30), unit: Unit::Bytes };
        self.logs(&Event::CallProgress { address: BACKUP.to_owned(), progress });
    }

    fn ends(&self) {
        let (run, now) = (CRASHED, self.now());
        self.writer.outcome(run, 1, Ok(serde_json::json!({})), now).unwrap();
        self.writer.ended(run, RunState::Done, &Ending::Done, now).unwrap();
        self.logs(&Event::RunEnded { run: run.to_owned(), ending: Ending::Done });
    }
}

async fn a_while() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

/// Whoever comes in the night reads what is at work, since when, how far it has come, and until when it may go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_is_at() {
    let working = Working::new();
    let desk = &working.desk;
    working.has_dumped(1);
    desk.world.advance(Duration::from_hours(2));
    working.has_dumped(201);
    desk.world.advance(Duration::from_secs(20));
    screen("at_work_show", desk, "uplift show").await;
    let status = desk.types("uplift status").await.out;
    let words = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("now: back up 4 databases: dump of `strata_production`: 201.0 GiB of"),
        "{status}"
    );
    let shown: serde_json::Value =
        serde_json::from_str(&desk.types("uplift show -o json").await.out).unwrap();
    assert_eq!(shown["at_work"][0]["progress"]["done"], 201_u64 << 30);
    // Nobody writes the log any more, and the run goes on: how old the figure is has to be said.
    desk.world.advance(Duration::from_hours(1));
    let shown = desk.types("uplift show").await.out;
    assert!(shown.contains("(told at 05:15:00 UTC)"), "{shown}");
    desk.world.remove_file(working.log());
    let shown = desk.types("uplift show").await.out;
    assert!(shown.contains("...   back up 4 databases; since 03:15:00 UTC"), "the record knows it: {shown}");
}

/// `logrotate` moves a log away or empties it, and whoever cleans up removes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_whatever_becomes_of_its_log() {
    let working = Working::new();
    working.has_dumped(1);
    let drive = async {
        a_while().await;
        working.desk.world.advance(Duration::from_mins(20));
        working.desk.world.remove_file(working.log());
        working.has_dumped(31);
        a_while().await;
        working.desk.world.advance(Duration::from_mins(30));
        working.desk.world.put_file(working.log(), "half a line, and then", 0o600);
        a_while().await;
        working.desk.world.put_file(working.log(), "", 0o600);
        working.has_dumped(76);
        a_while().await;
        working.ends();
    };
    let (followed, ()) = tokio::join!(working.desk.types("uplift show --follow"), drive);
    golden("at_work_followed", &followed.page());
    let over = working.desk.types("uplift show --follow").await;
    let shown = working.desk.types("uplift show").await;
    assert_eq!(over.page(), shown.page(), "what is over is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_follow_a_run_by_its_lines() {
    let working = Working::new();
    working.has_dumped(1);
    let drive = async {
        a_while().await;
        working.ends();
    };
    let (followed, ()) = tokio::join!(working.desk.types("uplift show --follow -o json"), drive);
    let lines: Vec<serde_json::Value> =
        followed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().or(line["state"].as_str()).unwrap_or_default())
        .collect();
    assert_eq!(kinds, ["started", "call_started", "call_progress", "succeeded", "done"], "{}", followed.out);
}
