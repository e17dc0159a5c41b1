//! `docs/reasons.md` lists every reason that uplift can give, and none that it cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

const PAGE: &str = "docs/reasons.md";

/// What makes a reason; its first argument is the code.
const MAKERS: [&str; 4] = ["Failure::new(", "Failure::asks(", "Failure::inside(", "ScriptError::new("];

/// Functions that are given a code and pass it on: the file, the function, and the only files that call it.
const PASSED_ON: [(&str, &str, &str); 6] = [
    ("src/backups/set.rs", "wrong", "src/backups/set.rs"),
    ("src/clients/postgres/connect.rs", "judge", "src/clients/postgres/"),
    ("src/host/error.rs", "own", "src/host/error.rs"),
    ("src/journal/error.rs", "about", "src/journal/error.rs"),
    ("src/survey/platform.rs", "refused", "src/survey/platform.rs"),
    // What a runbook gives to `fail` is its own, and the stock runbooks are looked through as well.
    ("src/script/engine.rs", "fail", "runbooks/"),
];

/// Files that make a reason out of another one, whose code was found where that was made.
const COPIES: [&str; 2] = ["src/event/failure.rs", "src/script/error.rs"];

/// Only a simulated world that was told to fail gives these.
const SIMULATED: [&str; 1] = ["fault"];

/// What follows each `mark` that does not stand inside a longer name.
fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let in_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(mark)
        .filter(move |(at, _)| !text[..*at].ends_with(in_a_name))
        .map(|(at, mark)| text[at + mark.len()..].trim_start())
}

/// The text in quotes that `rest` begins with.
fn quoted(rest: &str) -> Option<&str> {
    Some(rest.strip_prefix('"')?.split_once('"')?.0)
}

/// Of these places the texts in quotes that are words of the kind that codes are.
fn words<'a>(places: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    places.filter_map(quoted).filter(|word| is_code(word))
}

fn is_code(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_lowercase())
        && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder that is text, by its path from the root.
fn texts(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.insert(path.strip_prefix(root()).unwrap().display().to_string(), text);
        }
    }
    found
}

/// Without comments, and without the tests that stand at the end of a file.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Each code with the files that give it, and what cannot be told.
#[derive(Default)]
struct Found {
    codes: BTreeMap<String, BTreeSet<String>>,
    problems: Vec<String>,
}

impl Found {
    fn add(&mut self, code: &str, file: &str) {
        self.codes.entry(code.to_owned()).or_default().insert(file.to_owned());
    }

    /// What stands where a code belongs: the word itself, a constant of the same file, or a code that a listed function
    /// was given.
    fn argument(&mut self, rest: &str, text: &str, file: &str) {
        if let Some(code) = quoted(rest) {
            return self.add(code, file);
        }
        let word = rest.split([',', ')', '\n']).next().unwrap_or_default();
        let constant = format!("const {word}: &str =");
        if let Some(code) = after(text, &constant).find_map(quoted) {
            self.add(code, file);
        } else if !COPIES.contains(&file) && PASSED_ON.iter().all(|(passing, ..)| *passing != file) {
            self.problems.push(format!(
                "{file}: `{word}` stands where a code belongs; write the code out there, or list the function that is \
                 given it in tests/reasons.rs"
            ));
        }
    }

    fn look(&mut self, file: &str, text: &str) {
        for rest in MAKERS.iter().flat_map(|maker| after(text, maker)) {
            self.argument(rest, text, file);
        }
        for code in words(after(text, "code:")) {
            self.add(code, file);
        }
        for (_, function, _) in PASSED_ON.iter().filter(|(.., callers)| file.starts_with(callers)) {
            for code in words(after(text, &format!("{function}("))) {
                self.add(code, file);
            }
        }
    }
}

fn given() -> Found {
    let mut found = Found::default();
    for (file, text) in &texts("src") {
        found.look(file, &code_of(text));
    }
    for (file, text) in &texts("runbooks") {
        found.look(file, &code_of(text));
    }
    for code in SIMULATED {
        found.codes.remove(code);
    }
    found
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap()
}

/// The rows below each heading, and the cells of each.
fn rows(page: &str) -> Vec<(&str, Vec<Vec<&str>>)> {
    let mut groups: Vec<(_, Vec<_>)> = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            groups.push((title, Vec::new()));
        } else if let (Some((_, rows)), Some(cells)) = (groups.last_mut(), line.strip_prefix("| `")) {
            rows.push(
                cells
                    .trim_end_matches('|')
                    .split('|')
                    .map(|cell| cell.trim().trim_end_matches('`'))
                    .collect(),
            );
        }
    }
    groups
}

fn listed(page: &str) -> Vec<&str> {
    rows(page).into_iter().flat_map(|(_, rows)| rows).map(|cells| cells[0]).collect()
}

/// What is wrong with the page, a sentence each.
fn problems(page: &str, given: &Found) -> Vec<String> {
    let mut wrong = given.problems.clone();
    let listed = listed(page);
    for (code, files) in &given.codes {
        if !listed.contains(&code.as_str()) {
            let files = files.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            wrong.push(format!("`{code}` of {files} is not in {PAGE}"));
        }
        if !is_code(code) {
            wrong.push(format!("`{code}` is not in snake_case"));
        }
    }
    let mut seen = BTreeSet::new();
    for code in &listed {
        if !given.codes.contains_key(*code) {
            wrong.push(format!("`{code}` is in {PAGE}, and nothing in src gives it"));
        }
        if !seen.insert(code) {
            wrong.push(format!("`{code}` stands twice in {PAGE}"));
        }
    }
    for (title, rows) in rows(page) {
        for cells in &rows {
            if cells.len() != 3 || cells.iter().any(|cell| cell.is_empty()) {
                wrong.push(format!("`{}` in {PAGE} has not three filled cells", cells[0]));
            }
        }
        for pair in rows.windows(2).filter(|pair| pair[0][0] > pair[1][0]) {
            wrong.push(format!("`{}` stands after `{}` under `{title}` in {PAGE}", pair[1][0], pair[0][0]));
        }
    }
    wrong
}

#[test]
fn the_page_lists_every_reason_and_no_other() {
    let given = given();
    assert!(given.codes.len() > 200, "only {} codes were found", given.codes.len());
    let wrong = problems(&page(), &given);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The page with one line changed is wrong, and says where.
#[test]
fn what_is_wrong_with_the_page_is_named() {
    let given = given();
    let page = page();
    let row = page.lines().find(|line| line.starts_with("| `moving_tag`")).unwrap();
    let next = page.lines().find(|line| line.starts_with("| `name_taken`")).unwrap();
    let both = format!("{row}\n{next}");
    for (changed, says) in [
        (page.replace(row, ""), "`moving_tag` of src/primitives/check_release.rs is not in"),
        (page.replace("`moving_tag`", "`moving_tags`"), "`moving_tags` is in docs/reasons.md, and nothing"),
        (page.replace(row, &format!("{row}\n{row}")), "`moving_tag` stands twice"),
        (
            page.replace(row, "| `moving_tag` |  | name one release |"),
            "`moving_tag` in docs/reasons.md has not three",
        ),
        (page.replace(&both, &format!("{next}\n{row}")), "`moving_tag` stands after `name_taken`"),
    ] {
        assert!(page != changed);
        let wrong = problems(&changed, &given).join("\n");
        assert!(wrong.contains(says), "{says}: {wrong}");
    }
}

/// A new way to give a code is found, or is refused until it can be.
#[test]
fn every_way_to_give_a_code_is_seen() {
    for (text, code) in [
        (r#"Failure::new("one_way", text)"#, "one_way"),
        ("Failure::asks(\n    \"asked\",\n    question)", "asked"),
        (r#"Failure::inside("ours", "text")"#, "ours"),
        (r#"ScriptError::new("in_a_script", text)"#, "in_a_script"),
        (r#"const HERE: &str = "constant"; Failure::new(HERE, text)"#, "constant"),
        (r#"Failure { code: "literal".to_owned(), ..failure }"#, "literal"),
    ] {
        let mut found = Found::default();
        found.look("src/new.rs", &code_of(text));
        assert!(found.codes.contains_key(code) && found.problems.is_empty(), "{text}");
    }
    for hidden in
        ["Failure::new(code, text)", "Failure::new(THERE, text)", "Failure::new(&self.word(), text)"]
    {
        let mut found = Found::default();
        found.look("src/new.rs", hidden);
        assert!(found.problems[0].starts_with("src/new.rs: "), "{hidden}: {:?}", found.problems);
    }
    let mut found = Found::default();
    found.look(
        "src/new.rs",
        &code_of("// Failure::new(\"no\")\n#[cfg(test)]\nmod tests { Failure::new(\"test\") }"),
    );
    assert!(found.codes.is_empty(), "{:?}", found.codes);
}

/// A place that compares with a code which nothing gives any more does nothing any more.
#[test]
fn only_codes_that_are_given_are_compared_with() {
    let page = page();
    let listed = listed(&page);
    let mut compared = 0;
    for (file, text) in &texts("src") {
        let text = code_of(text);
        for code in words(after(&text, "code ==").chain(after(&text, "code !="))) {
            assert!(listed.contains(&code), "{file} compares with `{code}`, which nothing gives");
            compared += 1;
        }
    }
    assert!(compared > 3, "only {compared} comparisons were found");
}

/// A code that any test has met.
pub(crate) fn stands_on_the_page(code: &str) {
    static TEXT: LazyLock<String> = LazyLock::new(page);
    assert!(listed(&TEXT).contains(&code), "`{code}` was met and is not in {PAGE}");
}

/// What `-o json` has shown in any test.
pub(crate) fn stand_on_the_page(shown: &str) {
    words(after(shown, "\"code\":")).for_each(stands_on_the_page);
}

/// What programs were shown in the tests, and that the examples on the page are two of these.
#[test]
fn the_examples_are_what_programs_are_shown() {
    let screens = texts("tests/words/screens");
    for screen in screens.values() {
        stand_on_the_page(screen);
    }
    let page = page();
    for name in ["json_refused", "json_taken_back"] {
        let shown = &screens[&format!("tests/words/screens/{name}.txt")];
        let line = shown.lines().find(|line| line.starts_with('{')).unwrap();
        assert!(page.contains(line), "{PAGE} does not show what `{name}.txt` has: {line}");
    }
}
