//! The pages for those who write runbooks: the reference is what the code says, and every example of the guide is in order.

use std::{fs, path::Path, process::Command};

use snapbox::{Data, assert_data_eq, data::DataFormat};
use uplift::{
    Catalogue, Host, Start,
    script::{Bundle, Source, examine},
};

const SITE: [&str; 13] = [
    "name",
    "path",
    "project",
    "compose",
    "web",
    "job",
    "services",
    "hosts",
    "version",
    "digest",
    "storage",
    "databases",
    "settings",
];
const HEADER: &str = "const RUNBOOK = #{ api: 1, summary: \"an example\" };\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// After a change of a primitive: `SNAPSHOTS=overwrite cargo nextest run -E 'test(guide)'`, and read the difference.
#[test]
fn the_reference_is_what_the_primitives_say() {
    let page = Host::at(Start::default()).reference_page();
    let kept = root().join("docs/primitives.md");
    assert_data_eq!(page, Data::read_from(&kept, Some(DataFormat::Text)).raw());
}

/// What stands in the file of a module of primitives, and in those below it.
fn source(module: &str) -> String {
    let folder = root().join("src/primitives");
    let below = fs::read_dir(folder.join(module)).into_iter().flatten();
    let files = below.map(|entry| entry.unwrap().path()).chain([folder.join(module).with_extension("rs")]);
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// The functions and `impl`s of a file, by the name of each, with its text.
fn items(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find("\n}\n") {
        let item = &rest[..end];
        // What stands before it: constants, comments, other lines that end without a brace of their own.
        let heads = ["fn ", "async fn ", "impl "]
            .map(|head| ["", "pub(super) ", "pub(crate) "].map(|seen| [seen, head].concat()));
        let head = item
            .lines()
            .find_map(|line| heads.iter().flatten().find_map(|head| line.strip_prefix(head.as_str())));
        let name = head.map(|head| head.split(['(', '<', ' ']).next().unwrap_or_default());
        found.extend(name.map(|name| (name, item)));
        rest = &rest[end + 3..];
    }
    found
}

fn codes(text: &str) -> impl Iterator<Item = String> {
    let after = text.split("Failure::new(").skip(1);
    let code = |rest: &str| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0.to_owned());
    after.filter_map(code)
}

fn names(word: &str, text: &str) -> bool {
    let apart = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_');
    text.match_indices(word)
        .any(|(at, _)| apart(text[..at].chars().next_back()) && apart(text[at + word.len()..].chars().next()))
}

/// Codes of a primitive's own file, and of what it uses of files that primitives share, directly or by another of them.
fn fails_with(own: &str, shared: &[(String, String)]) -> std::collections::BTreeSet<String> {
    // The file in which something is used, and what uses it there.
    let mut users = vec![(own, own)];
    let mut at = 0;
    while let Some(&(file, user)) = users.get(at) {
        let imported = shared.iter().filter(|(name, text)| text == file || file.contains(name.as_str()));
        for (_, text) in imported {
            let used = items(text).into_iter().filter(|(name, _)| names(name, user));
            let new: Vec<_> = used.map(|(_, item)| (text.as_str(), item)).collect();
            users.extend(new.into_iter().filter(|one| !users.contains(one)).collect::<Vec<_>>());
        }
        at += 1;
    }
    users.into_iter().flat_map(|(_, user)| codes(user)).collect()
}

/// The codes that stand in the file of each stock primitive, and in what it uses of files that primitives share.
#[test]
fn what_a_call_fails_with_is_what_stands_in_its_file() {
    let list = fs::read_to_string(root().join("src/primitives.rs")).unwrap();
    let shared = list.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let shared: Vec<_> = shared.map(|name| (format!("{name}::"), source(name))).collect();
    let mut lines = String::new();
    for verb in Catalogue::stock().iter() {
        let codes: Vec<_> = fails_with(&source(verb.name), &shared).into_iter().collect();
        if !codes.is_empty() {
            lines.extend([verb.name, ": ", &codes.join(", "), "\n"]);
        }
    }
    let kept = root().join("src/host/failures.txt");
    assert_data_eq!(lines, Data::read_from(&kept, Some(DataFormat::Text)).raw());
}

/// Whoever reads only that page must find what each thing is.
#[test]
fn every_option_and_all_that_is_given_is_described() {
    let mut lacking = Vec::new();
    for one in Host::at(Start::default()).reference(None).unwrap() {
        for field in one.options.iter().chain(&one.gives) {
            if field.what.is_empty() {
                lacking.push(format!("{}: `{}` has no doc comment", one.name, field.name));
            }
        }
        let changes = one.options_schema["description"].as_str().unwrap_or_default();
        if changes.is_empty() {
            lacking.push(format!("{}: the struct has no doc comment", one.name));
        }
        let effect = Catalogue::stock().get(one.name).unwrap().kept().is_some();
        if effect && one.undo.is_none() {
            lacking.push(format!(
                "{}: no paragraph `Undo: ...` at the end of the struct's doc comment",
                one.name
            ));
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

fn problems(text: &str) -> Vec<String> {
    let lib = fs::read_to_string(root().join("runbooks/lib/checks.rhai")).unwrap();
    let bundle = Bundle {
        main: Source { name: "example".to_owned(), text: text.to_owned() },
        libs: vec![Source { name: "lib/checks".to_owned(), text: lib }],
        hooks: None,
    };
    let examined = examine(bundle.clone(), &Catalogue::stock(), &SITE);
    examined.findings.iter().map(|finding| finding.render(&bundle)).collect()
}

/// The examples of the guide and of the reference, errors and warnings alike. One without a header gets one; what a
/// reference shows of a change, a step.
#[test]
fn every_example_is_in_order() {
    let mut seen = 0;
    for page in ["docs/runbooks.md", "docs/primitives.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for block in text.split("```rhai\n").skip(1) {
            let code = block.split("```").next().unwrap();
            let mut whole = code.to_owned();
            if page == "docs/primitives.md" {
                whole = format!("step \"example\" {{ {code} }}");
            }
            if !whole.contains("const RUNBOOK") {
                whole = format!("{HEADER}{whole}");
            }
            let found = problems(&whole);
            assert!(found.is_empty(), "{page}:\n{code}\n{}", found.join("\n"));
            seen += 1;
        }
    }
    assert!(seen > 45, "only {seen} examples were found");
    assert!(!problems(&format!("{HEADER}chek_host();")).is_empty(), "a wrong example would be seen");
}

fn uplift(folder: &Path, words: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uplift"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UPLIFT_") {
            command.env_remove(name);
        }
    }
    let output = command.args(words.split(' ')).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// A copy of each is in order, and one of the upgrade does at once on a simulated site what the original does.
#[test]
fn a_copy_runs_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for book in uplift::stock() {
        let below = here.join(book.name.rsplit('/').next().unwrap());
        fs::create_dir(&below).unwrap();
        let (_, said, exit) = uplift(&below, &format!("runbook eject {}", book.name));
        assert_eq!(exit, 0, "{said}");
        let file = format!("{}.rhai", book.name.rsplit('/').next().unwrap());
        let copy = fs::read_to_string(below.join(&file)).unwrap();
        assert!(copy.ends_with(book.text), "{copy}");
        let hash = blake3::hash(book.text.as_bytes()).to_hex().to_string();
        let first = copy.lines().next().unwrap();
        assert!(first.contains(book.name) && first.contains(&hash), "{first}");
        assert_eq!(below.join("lib/checks.rhai").exists(), book.text.contains("import \"lib/checks\""));
        let (said, _, exit) = uplift(&below, &format!("runbook check {file}"));
        assert!(exit == 0 && said.ends_with("no problems\n"), "{said}");
    }
    let below = here.join("upgrade");
    fs::copy(root().join("examples/sites/plain.toml"), below.join("plain.toml")).unwrap();
    let (said, err, exit) = uplift(&below, "run ./upgrade.rhai --to 1.1.0 --simulate plain.toml -y");
    assert_eq!(exit, 0, "{said}{err}");
    let (said, err, _) = uplift(&below, "status --simulate plain.toml");
    assert!(said.contains("1.1.0"), "{said}{err}");
}

/// What lies beside a copy is what it imports, and nothing is replaced.
#[test]
fn a_copy_is_the_sites_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    assert_eq!(uplift(here, "runbook eject compose/upgrade ours.rhai").2, 0);
    let library = here.join("lib/checks.rhai");
    let text = fs::read_to_string(&library).unwrap();
    fs::write(&library, text.replace("check_host();", "chek_host();")).unwrap();
    let (said, _, exit) = uplift(here, "runbook check ours.rhai");
    assert!(exit == 2 && said.contains("--> lib/checks:") && said.contains("`check_host`"), "{said}");
    // The library is there: not even the runbook of another name is written.
    let (_, said, exit) = uplift(here, "runbook eject compose/rollback");
    assert!(exit == 2 && said.contains("is there already"), "{said}");
    assert!(!here.join("rollback.rhai").exists());
    let (_, said, exit) = uplift(here, "runbook eject compose/pull pull.txt");
    assert!(exit == 2 && said.contains("pull.txt.rhai"), "{said}");
    let (_, said, exit) = uplift(here, "runbook eject compose/pul");
    assert!(exit == 2 && said.contains("did you mean `compose/pull`?"), "{said}");
    let (_, said, exit) = uplift(here, "runbook eject compose/pull none/pull.rhai");
    assert!(exit == 1 && said.contains("mkdir -p"), "{said}");
}

#[test]
fn editors_get_every_call_with_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let (_, said, exit) = uplift(folder.path(), "runbook docs --definitions .");
    assert_eq!(exit, 0, "{said}");
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let calls = text("uplift.d.rhai");
    for verb in Catalogue::stock().iter() {
        assert!(calls.contains(&format!("fn {}(options: Map) -> Map;", verb.name)), "{}", verb.name);
        for option in verb.option_names() {
            assert!(calls.contains(&format!("/// - `{option}` (")), "{} {option}", verb.name);
        }
    }
    for name in SITE {
        assert!(text("site.d.rhai").contains(&format!("const {name};")), "{name}");
    }
    let grammar: serde_json::Value = serde_json::from_str(&text("uplift.injection.tmLanguage.json")).unwrap();
    assert_eq!(grammar["scopeName"], "uplift.injection");
    let (_, said, exit) = uplift(folder.path(), "runbook docs compose_upp");
    assert!(exit == 2 && said.contains("did you mean `compose_up`?"), "{said}");
    let (lines, _, exit) = uplift(folder.path(), "runbook docs -o json");
    let all: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((exit, all.len()), (0, Catalogue::stock().iter().count()));
    assert!(all.iter().all(|one| one["options_schema"].is_object() && one["example"].is_string()));
}
