//! The screens of a bad week on one real site, as golden files: each kind of end, each question, and what the next look at
//! the site says.
//!
//! After a change of words: `SNAPSHOTS=overwrite cargo test --test all -- real::screens`, and read the difference. What is
//! another each time (names of runs, times, sizes, ports) is masked.

mod masked;

use std::{path::PathBuf, time::Duration};

use snapbox::{Data, assert_data_eq, data::DataFormat};

use self::masked::masked;
use super::{Field, field::lab, screen::Screen, told::until_it_begins};
use crate::lab::{Shape, Shell, get, wait_until};

#[test]
fn a_bad_week_can_be_read() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let _orders = field.first_orders();
    // Or it would depend on the tests beside this one which of them are on the host, and so what the plans say.
    for release in ["1.1.0", "1.1.1", "1.2.0", "1.3.0", "1.6.0", "1.8.0"] {
        let tools = field.stack.tools();
        tools
            .docker()
            .args("pull -q")
            .arg(format!("{}:{release}", lab().registry.repository()))
            .output()
            .unwrap();
    }
    let week = Week { field: &field };
    week.types("new", "init", 0);
    week.types("before", "status", 0);
    week.types("plan", "upgrade --to 1.1.0 --dry-run --settle 1s", 0);
    week.types("refused", "upgrade --to latest -y", 1);
    week.types("no_terminal", "upgrade --to 1.1.0", 2);
    week.types("done", "upgrade --to 1.1.0 -y --settle 1s", 0);
    week.types("returns", "rollback --list", 0);
    week.types("taken_back", "upgrade --to 1.6.0 -y --settle 4s", 6);
    week.types("failed_in_the_dark", "upgrade --to 1.3.0 -y --settle 1s --patience 15s", 6);
    week.decisions();
    week.stopped();
    week.killed();
    week.types("history", "history", 0);
    week.types("backups", "backup list", 0);
    week.types("prune", "backup prune --dry-run", 0);
    field.end();
}

struct Week<'a> {
    field: &'a Field,
}

impl Week<'_> {
    #[track_caller]
    fn types(&self, name: &str, words: &str, exit: i32) {
        self.shown(name, &self.field.run(&self.wide(words), words).ends(exit));
    }

    /// So wide that hardly a line is broken.
    fn wide(&self, words: &str) -> Shell {
        self.field.shell(words).env("COLUMNS", "200")
    }

    /// The screen must be the file, but for what is masked.
    #[track_caller]
    fn shown(&self, name: &str, screen: &Screen) {
        let path = format!("{}/tests/real/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let page = masked(&screen.to_string(), self.field);
        assert_data_eq!(page, Data::read_from(path.as_ref(), Some(DataFormat::Text)).raw());
    }

    /// The two questions about data: after a failure that users have reached, and on the way back from a finished upgrade.
    fn decisions(&self) {
        self.types("decide", "upgrade --to 1.8.0 -y --settle 5s", 7);
        self.types("decide_status", "status", 7);
        self.types("decide_another", "upgrade --to 1.1.1 -y", 7);
        self.types("decided", "rollback --choose restore-data --reason seen -y", 0);
        self.types("return_asks", "rollback -y", 7);
        self.types("return_done", "rollback --restore-data always --jobs hold -y --settle 1s", 0);
        self.types("return_held", "status", 0);
        self.field.stack.compose("up -d --no-deps job").unwrap();
        self.field.uplift("upgrade --to 1.1.0 -y --settle 1s").ends(0);
    }

    /// Ctrl-C in the middle, and a second hand meanwhile.
    fn stopped(&self) {
        let words = "upgrade --to 1.2.0 -y --settle 1s";
        let before = self.newest_log();
        let run = self.wide(words).start().unwrap();
        let waits = || {
            let log = self.newest_log();
            log != before && std::fs::read_to_string(log).unwrap().contains("\"switch web/wait_healthy#1\"")
        };
        wait_until("the look at web", Duration::from_mins(2), waits).unwrap();
        self.types("held", "upgrade --to 1.1.1 -y", 5);
        run.signal("INT").unwrap();
        self.shown("stopped", &self.field.ended(run, words).ends(9));
        self.web_answers();
        self.types("stopped_status", "status", 9);
        self.types("stopped_back", "rollback -y", 0);
    }

    /// Well or not: what a look shows must not hang on how quickly the machine boots it.
    fn web_answers(&self) {
        let answers = || get(&self.field.stack.address(), "/up").is_ok();
        wait_until("web to answer", Duration::from_mins(1), answers).unwrap();
    }

    /// Of the run that began last.
    fn newest_log(&self) -> PathBuf {
        let logs = std::fs::read_dir(self.field.state("logs")).unwrap();
        logs.map(|entry| entry.unwrap().path()).max().unwrap()
    }

    /// `kill -9` in the middle.
    fn killed(&self) {
        let words = "upgrade --to 1.1.1 -y --settle 1s -o json";
        let run = self.field.start(words);
        until_it_begins(&run, "switch web/wait_healthy#1");
        run.signal("KILL").unwrap();
        drop(run);
        self.web_answers();
        self.types("killed_status", "status", 9);
        self.types("killed_resumed", "resume -y", 0);
    }
}
