//! The architecture as `src/lib.rs` draws it: calls go down. Read from the `crate::` paths of every file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which modules each module may name.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("event", &[]),
    ("site", &[]),
    ("ports", &["event", "site"]),
    ("clients", &["event", "ports", "site"]),
    ("sim", &["event", "ports", "site"]),
    ("backups", &["event", "ports", "site"]),
    ("survey", &["event", "ports", "site"]),
    ("primitives", &["backups", "event", "ports", "site"]),
    ("script", &["event", "primitives", "site"]),
    // `site` for its scrubber, `ports` for how a shell quotes.
    ("journal", &["event", "ports", "site"]),
    // `sim` for the twin that plans are made on.
    ("run", &["event", "journal", "ports", "primitives", "script", "sim", "site", "survey"]),
    (
        "host",
        &[
            "backups",
            "clients",
            "event",
            "journal",
            "ports",
            "primitives",
            "run",
            "script",
            "sim",
            "site",
            "survey",
        ],
    ),
    ("report", &["backups", "event", "journal", "run", "site", "survey"]),
    ("cli", &["event", "host", "report"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

/// The first word after every `crate::`, also inside `use crate::{ ... }`.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (at, _) in text.match_indices("crate::") {
        // In a comment it is a link for the reader.
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        if line.trim_start().starts_with("//") {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if !rest.starts_with('{') {
            names.insert(word(rest));
            continue;
        }
        let mut depth = 0;
        let mut start = true;
        for (at, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && start && letter.is_alphabetic() {
                names.insert(word(&rest[at..]));
            }
            start = depth == 1 && (letter == ',' || letter == '{' || (start && letter.is_whitespace()));
        }
    }
    names
}

#[test]
fn calls_go_down() {
    let table: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in all_sources() {
        let inside = path.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let allowed = table.get(module.as_str()).unwrap_or_else(|| panic!("`{module}` is not in the table"));
        for name in named(&fs::read_to_string(&path).unwrap()) {
            let is_module = table.contains_key(name.as_str());
            // A name of the crate root hides which module it comes from.
            if name != module && !(is_module && allowed.contains(&name.as_str())) {
                wrong.push(format!("{}: `crate::{name}`", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "calls that go up:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_paths_sees_nested_ones() {
    let text = "use crate::{\n    event::{Failure, site},\n    ports::clock::Clock,\n};\nfn a() { crate::run::plan() }\n// crate::cli";
    assert_eq!(named(text).into_iter().collect::<Vec<_>>(), ["event", "ports", "run"]);
}

#[test]
fn rooms_are_small() {
    let sizes: Vec<_> = all_sources()
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .collect();
    let large: Vec<_> = sizes.iter().filter(|(lines, _)| *lines > 400).collect();
    assert!(large.is_empty(), "hold two things: {large:?}");
    let names = sizes.iter().filter_map(|(_, path)| path.file_name()?.to_str());
    let nameless: Vec<_> = names.filter(|name| ["mod.rs", "utils.rs", "helpers.rs"].contains(name)).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}

/// A macro declares the modules of primitives, so that the compiler would not miss a file.
#[test]
fn every_primitive_stands_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/primitives");
    let list = fs::read_to_string(folder.with_extension("rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let declared = list.contains(&format!(" {name}::")) || list.contains(&format!("mod {name};"));
        assert!(path.is_dir() || declared, "`{}` is not in `src/primitives.rs`", path.display());
    }
}

/// What of a file can be seen from outside and names one of these: `pub` items up to their bodies, traits and enums with
/// them, public fields, and what is implemented for public types. `unreachable_pub` keeps every other `pub` away.
fn shows(text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let words = |text: &str| {
        let ends = |letter: char| !(letter.is_alphanumeric() || letter == '_');
        text.split(ends).any(|word| names.contains(word))
    };
    let is_public = |name: &str| {
        ["struct", "enum", "trait"].iter().any(|kind| text.contains(&format!("pub {kind} {name}")))
    };
    let (mut found, mut is_private) = (Vec::new(), false);
    let mut rest = text.split("#[cfg(test)]").next().unwrap_or_default().lines().peekable();
    while let Some(line) = rest.next() {
        let own = line.trim_start();
        // What is `pub` in a private type is seen by nobody.
        if let Some(at) = own.find("struct ").filter(|at| own[..*at].starts_with("pub") || *at == 0) {
            is_private = !own.starts_with("pub struct ") && at <= "pub(super) ".len();
        }
        let is_field = line.starts_with("    pub ") && !line.contains("fn ");
        let whole = own.starts_with("pub enum ") || own.starts_with("pub trait ");
        let of_a_type = own.starts_with("impl")
            && own.split(" for ").nth(1).is_some_and(|to| {
                is_public(to.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default())
            });
        if !(own.starts_with("pub ") || of_a_type)
            || own.starts_with("pub use")
            || own.starts_with("pub mod")
            || (is_field && is_private)
        {
            continue;
        }
        let end: &[char] = if whole { &['}'] } else { &['{', ';', ','] };
        let mut item = own.to_owned();
        let closed = |line: &str| if whole { line.starts_with('}') } else { line.trim_end().ends_with(end) };
        while !closed(item.lines().last().unwrap_or_default()) {
            let Some(next) = rest.next() else { break };
            item.push('\n');
            item.push_str(next);
        }
        if words(&item) {
            found.push(item);
        }
    }
    found
}

/// What a file calls its own of `rhai`.
fn from_rhai(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["rhai".to_owned()]);
    for rest in text.split("use rhai::").skip(1) {
        let list = rest.split(';').next().unwrap_or_default();
        names.extend(
            list.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
                .filter(|word| !word.is_empty())
                .map(str::to_owned),
        );
    }
    names
}

/// Another program has its own rhai, or none.
#[test]
fn rhai_stays_out_of_what_is_public() {
    let mut read = 0;
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("rhai::") {
            continue;
        }
        read += 1;
        let found = shows(&text, &from_rhai(&text));
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    assert!(read > 15, "{read} files with rhai were found");
}

#[test]
fn what_would_show_rhai_is_seen() {
    let text = "use rhai::{\n    AST, Position,\n};\n";
    for leak in [
        "pub fn at(\n    place: Position,\n) {\n}",
        "impl A {\n    pub fn ast(&self) -> &AST {\n    }\n}",
        "pub struct A {\n    own: u8,\n    pub ast: AST,\n}",
        "pub enum A {\n    One(AST),\n}",
        "pub trait A {\n    fn at(&self) -> Position;\n}",
        "pub struct A(());\nimpl From<Position> for A {\n}",
        "pub type A = rhai::Map;",
    ] {
        assert_eq!(shows(&format!("{text}{leak}"), &from_rhai(text)).len(), 1, "{leak}");
    }
    for own in [
        "pub struct A {\n    ast: AST,\n}",
        "pub(super) fn at(place: Position) {\n}",
        "pub(super) struct A {\n    pub at: Position,\n}",
        "struct B;\nimpl From<Position> for B {\n}",
        "pub fn of(text: &str) {\n    AST::empty();\n}",
    ] {
        assert_eq!(shows(&format!("{text}{own}"), &from_rhai(text)), Vec::<String>::new(), "{own}");
    }
}
