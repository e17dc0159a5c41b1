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
