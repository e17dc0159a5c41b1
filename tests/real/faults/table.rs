//! A site on which one thing after another goes wrong, and the table of how each ended.

use std::time::Duration;

use serde_json::Value;

use crate::{
    lab::{Shape, Shell, Started, wait_until},
    real::{Field, load::Load, screen::Screen},
};

pub(super) struct Table {
    pub(super) field: Field,
    /// Databases and containers, which no backup may add to.
    before: (String, String),
    /// Sets that are listed as good.
    good: Vec<String>,
}

impl Table {
    /// A site that users have written to, with one good backup.
    pub(super) fn new() -> Self {
        let field = Field::quick(Shape::Present, "1.1.0");
        Load::start(&field).ends();
        field.uplift("backup create -y").ends(0);
        let before = around(&field);
        let good = good(&field);
        assert_eq!(good.len(), 1);
        Self { field, before, good }
    }

    /// It failed as it should: nothing is listed that was not there, and nothing is left.
    #[track_caller]
    pub(super) fn failed(&mut self, case: &str, screen: Screen, texts: &[&str]) {
        self.ended(case, screen, 1, texts);
    }

    #[track_caller]
    pub(super) fn ended(&mut self, case: &str, screen: Screen, exit: i32, texts: &[&str]) {
        let screen = screen.ends(exit).shows(texts);
        assert_eq!(good(&self.field), self.good, "{case}\n{screen}");
        self.told(case, &screen);
    }

    /// It made a backup all the same.
    #[track_caller]
    pub(super) fn made(&mut self, case: &str, screen: Screen, texts: &[&str]) -> String {
        let screen = screen.ends(0).shows(texts);
        let now = good(&self.field);
        let new: Vec<_> = now.iter().filter(|set| !self.good.contains(set)).cloned().collect();
        assert_eq!((new.len(), now.len()), (1, self.good.len() + 1), "{case}\n{screen}");
        self.good = now;
        self.told(case, &screen);
        new[0].clone()
    }

    #[track_caller]
    fn told(&mut self, case: &str, screen: &Screen) {
        let left = self.left();
        assert_eq!(left, Vec::<String>::new(), "{case}\n{screen}");
        row(case, screen);
    }

    /// What somebody would have to clean up.
    fn left(&self) -> Vec<String> {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'uplift%'";
        let gone = || self.field.stack.psql("postgres", sessions).is_ok_and(|count| count == "0");
        let mut left = Vec::new();
        if wait_until("its sessions to end", Duration::from_secs(20), gone).is_err() {
            left.push("sessions in the server".to_owned());
        }
        let now = around(&self.field);
        if now != self.before {
            left.push(format!("{now:?} instead of {:?}", self.before));
        }
        let names = self.field.backups().into_iter();
        let names = names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        left.extend(names.filter(|name| !self.good.contains(name)));
        left.extend(crate::real::killed::left_over(&self.field.state("")));
        left
    }

    pub(super) fn end(self) {
        self.field.end();
    }
}

/// One line of the table: what went wrong, exit code, first words. Nothing is left, or the test has failed by now.
pub(super) fn row(case: &str, screen: &Screen) {
    let exit = screen.exit().map_or("killed".to_owned(), |exit| exit.to_string());
    println!("| {case} | {exit} | {} | nothing |", first_words(screen));
}

/// Why it failed, or how it ended.
pub(super) fn first_words(screen: &Screen) -> String {
    let all = screen.everything();
    if let Some((_, message)) = all.split_once("\"message\":\"") {
        return short(message.split("\",\"").next().unwrap_or_default());
    }
    let ends = ["error:", "\nwhy ", "DONE", "NOTHING NEEDED"];
    let from = ends.iter().find_map(|end| all.find(end)).unwrap_or(0);
    let over = |line: &&str| {
        !["next ", "state ", "runbook ", "backup ", "took ", "at ", "found "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let lines: Vec<_> = all[from..].trim_start().lines().take_while(over).collect();
    short(lines.join(" ").trim_start_matches("error:").trim_start_matches("why "))
}

fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(140).collect()
}

fn around(field: &Field) -> (String, String) {
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
    (field.stack.psql("postgres", databases).unwrap(), field.stack.container_ids().unwrap())
}

/// Names of the sets that are listed as good, newest first.
pub(in crate::real) fn good(field: &Field) -> Vec<String> {
    let list = field.uplift("backup list -o json").ends(0).everything();
    let sets = list.lines().filter(|line| line.starts_with('{'));
    let sets = sets.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let good = sets.filter(|set| set["standing"] == "verified");
    good.map(|set| set["set"].as_str().unwrap().to_owned()).collect()
}

/// Processes of one name right below another.
pub(super) fn children(of: &Started, name: &str) -> Vec<u32> {
    let list = Shell::new("ps").args("-o pid=,comm= --ppid").arg(of.pid().to_string()).output();
    let list = list.unwrap_or_default();
    let lines = list.lines().filter_map(|line| line.trim().split_once(' '));
    lines.filter(|(_, comm)| comm.trim() == name).filter_map(|(pid, _)| pid.parse().ok()).collect()
}
