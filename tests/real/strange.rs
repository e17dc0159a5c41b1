//! A table of what a tired operator meets or types: for each the exit code, the code for programs, the words, and that
//! nothing was changed by it. Each row is typed twice, for people and for programs.

mod engines;
mod folders;
mod records;
mod releases;
mod servers;
mod services;
mod settings;
mod typed;

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{Field, screen::Screen};
use crate::lab::{Shape, Shell, SiteState};

/// A site on which strange things are made and looked at, one after the other.
struct Table {
    field: Field,
    rows: std::cell::RefCell<Vec<String>>,
}

/// One thing that somebody types.
struct Row<'a> {
    table: &'a Table,
    what: String,
    words: String,
    folder: Option<PathBuf>,
    env: Vec<(&'static str, String)>,
    /// A program that runs the line which follows it, with the beginning of that line.
    within: Option<(&'static [&'static str], String)>,
    /// What the site itself does meanwhile is not looked at.
    unseen: bool,
}

impl Table {
    fn new() -> Self {
        let field = Field::quick(Shape::Present, "1.1.0");
        field.stack.settle().unwrap();
        Self { field, rows: std::cell::RefCell::default() }
    }

    fn row(&self, what: &str, words: &str) -> Row<'_> {
        Row {
            table: self,
            what: what.to_owned(),
            words: words.to_owned(),
            folder: None,
            env: Vec::new(),
            within: None,
            unseen: false,
        }
    }

    /// The same, while the site changes by itself or cannot be compared.
    fn row_unseen(&self, what: &str, words: &str) -> Row<'_> {
        Row { unseen: true, ..self.row(what, words) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.field.dir().join(name)
    }

    /// A file of the site with other content for as long as `act` takes.
    fn with(&self, name: &str, edit: impl FnOnce(String) -> String, act: impl FnOnce()) {
        let path = self.path(name);
        let before = fs::read_to_string(&path).ok();
        fs::write(&path, edit(before.clone().unwrap_or_default())).unwrap();
        act();
        match before {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }

    /// The same, applied: the site runs as the edited file says, and afterwards as before.
    fn applied(&self, name: &str, edit: impl FnOnce(String) -> String, act: impl FnOnce()) {
        // One after the other: compose would wait for the health check's first interval, half a minute.
        let up = || {
            for service in ["web", self.field.stack.job()] {
                self.field.stack.compose(&format!("up -d --no-deps -t 1 {service}")).unwrap();
            }
        };
        self.with(name, edit, || {
            up();
            act();
        });
        up();
        self.field.assert_up();
    }

    fn docker(&self, words: &str) -> String {
        self.field.stack.tools().docker().args(words).output().unwrap()
    }

    /// The table, and the search for secrets.
    fn end(self) {
        for row in self.rows.borrow().iter() {
            eprintln!("{row}");
        }
        self.field.end();
    }
}

impl Row<'_> {
    fn from(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    fn within(mut self, program: &'static [&'static str], line: &str) -> Self {
        self.within = Some((program, line.to_owned()));
        self
    }

    fn run(&self, more: &str) -> Screen {
        let uplift = env!("CARGO_BIN_EXE_uplift");
        let words = format!("{}{more}", self.words);
        let shell = match &self.within {
            Some(([program, rest @ ..], line)) => {
                let shell = self.table.field.wrapped(program, "");
                let shell = rest.iter().fold(shell, |shell, word| shell.arg(*word));
                shell.arg(format!("{line} {uplift} {words}"))
            }
            _ => words_of(&words).into_iter().fold(self.table.field.wrapped(uplift, ""), Shell::arg),
        };
        let shell = self.env.iter().fold(shell, |shell, (name, value)| shell.env(name, value.clone()));
        let shell = self.folder.iter().fold(shell, Shell::folder);
        self.table.field.run(&shell, &words)
    }

    /// Refused with this exit code and this code for programs; each of `texts` stands on the screen, with what to do.
    #[track_caller]
    fn refused(self, exit: i32, code: &str, texts: &[&str]) {
        let before = self.state();
        let screen = self.run("").ends(exit).shows(texts);
        let programs = self.run(" -o json").ends(exit);
        let (said, shown) = (last_object(&programs), screen.to_string());
        assert_eq!(said["code"], code, "{}\n{programs}", self.what);
        assert_eq!(said["exit"], exit, "{}\n{programs}", self.what);
        let array = |name: &str| said[name].as_array().is_some_and(|lines| !lines.is_empty());
        let hinted = said["hint"].is_string() || said["excerpt"].is_string() || array("evidence");
        assert!(
            hinted || code == "usage" || shown.contains("e.g."),
            "{}: nothing says what to do\n{programs}",
            self.what
        );
        let state = [
            "nothing was changed",
            "REFUSED: nothing of ",
            "this command has changed nothing",
            "Usage: uplift",
        ];
        assert!(state.iter().any(|text| shown.contains(text)), "{}\n{screen}", self.what);
        self.assert_is(before);
        let line = said["message"].as_str().unwrap_or_default();
        self.noted(exit, code, line);
    }

    /// A plan that ends with this code.
    #[track_caller]
    fn refused_in_plan(self, code: &str, texts: &[&str]) {
        let before = self.state();
        self.run("").ends(1).shows(texts).shows(&["it would be refused: nothing would be changed"]);
        let programs = self.run(" -o json").ends(1);
        assert!(programs.everything().contains(&format!("\"code\":\"{code}\"")), "{}\n{programs}", self.what);
        self.assert_is(before);
        self.noted(1, code, &texts.join("; "));
    }

    /// `status` tells as one line what it could not look at.
    #[track_caller]
    fn unread(self, code: &str, texts: &[&str]) {
        self.run("").ends(1).shows(texts).shows(&["UNREAD"]);
        let programs = self.run(" -o json").ends(1);
        assert_eq!(last_object(&programs)["code"], code, "{}\n{programs}", self.what);
        self.noted(1, code, &texts.join("; "));
    }

    /// Strange, but no reason to refuse.
    #[track_caller]
    fn goes(self, texts: &[&str]) -> Screen {
        let before = self.state();
        let screen = self.run("").ends(0).shows(texts);
        self.assert_is(before);
        self.noted(0, "", &texts.join("; "));
        screen
    }

    fn state(&self) -> Option<State> {
        (!self.unseen).then(|| State::of(&self.table.field))
    }

    #[track_caller]
    fn assert_is(&self, before: Option<State>) {
        if let Some(before) = before {
            before.assert_is(&self.table.field, &self.what);
        }
    }

    fn noted(&self, exit: i32, code: &str, text: &str) {
        let line = format!("{exit:>3}  {code:<22}  {}: {text}", self.what);
        self.table.rows.borrow_mut().push(line);
    }
}

/// Words as a shell would part them, single quotes included.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The last object that was printed: the reason, where there is one.
#[track_caller]
fn last_object(screen: &Screen) -> Value {
    let everything = screen.everything();
    let last = everything.lines().rev().find(|line| line.starts_with('{'));
    let last = last.unwrap_or_else(|| panic!("no JSON\n{screen}"));
    let all: Value = serde_json::from_str(last).unwrap();
    if all["failure"].is_object() {
        let mut failure = all["failure"].clone();
        failure["exit"] = all["exit"].clone();
        return failure;
    }
    all
}

/// Everything that uplift could have changed.
struct State {
    site: SiteState,
    ids: String,
}

impl State {
    fn of(field: &Field) -> Self {
        Self { site: field.stack.state().unwrap(), ids: field.stack.container_ids().unwrap() }
    }

    #[track_caller]
    fn assert_is(&self, field: &Field, what: &str) {
        assert_eq!(field.stack.container_ids().unwrap(), self.ids, "{what}");
        let mut found = field.stack.state().unwrap().differences(&self.site);
        // A worker that cannot reach its database dies and is started again, with or without uplift.
        found.retain(|line| !line.starts_with("containers:"));
        assert_eq!(found, Vec::<String>::new(), "{what}");
    }
}
