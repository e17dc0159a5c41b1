//! What can be known before running is said before running, with its place and what to write instead.
//!
//! `wrong/*.rhai` are wrong runbooks, each with what `uplift runbook check` says of it beside. After a change of words:
//! `SNAPSHOTS=overwrite cargo nextest run -E 'test(script::wrong)'`, and read the difference.

use std::{fs, path::PathBuf, process::Command};

use snapbox::{Data, assert_data_eq, data::DataFormat};

use serde_json::{Value, json};

use super::stage::{bundle, load};

fn problems(main: &str, libs: &[(&str, &str)]) -> Vec<String> {
    let problems = load(&bundle(main, libs)).map_or_else(|problems| problems, |_| Vec::new());
    let line = |problem: &uplift::script::ScriptError| {
        let place =
            problem.places.first().map(|place| format!("{}:{}:{}", place.file, place.line, place.column));
        let hint = problem.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        format!("{}: {}{hint}", place.unwrap_or_default(), problem.message)
    };
    problems.iter().map(line).collect()
}

/// Every wrong runbook, with the screen that `check` makes of it.
#[test]
fn every_wrong_runbook_is_told_with_line_column_and_what_to_write() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/script/wrong");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name.to_string_lossy().ends_with(".rhai"));
    names.sort();
    assert!(names.len() >= 40, "{names:?}");
    for name in names {
        let name = name.to_str().unwrap();
        let check = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_uplift"));
            command
                .args(["runbook", "check", name])
                .args(more)
                .current_dir(&folder)
                .env_remove("UPLIFT_OUTPUT");
            let output = command.output().unwrap();
            (String::from_utf8(output.stdout).unwrap(), output.status.code())
        };
        let (screen, exit) = check(&[]);
        let golden = folder.join(name).with_extension("txt");
        let page = format!("{screen}---- exit {}\n", exit.unwrap());
        assert_data_eq!(page, Data::read_from(&golden, Some(DataFormat::Text)).raw());
        let (lines, json_exit) = check(&["-o", "json"]);
        assert_eq!(json_exit, exit, "{name}");
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, problems) = lines.split_last().unwrap();
        assert!(!problems.is_empty(), "{name}: nothing is found");
        for problem in problems {
            for key in ["file", "line", "column", "code", "message", "hint", "severity"] {
                assert!(!problem[key].is_null(), "{name}: no {key} in {problem}");
            }
            crate::reasons::stands_on_the_page(problem["code"].as_str().unwrap());
            let at =
                format!("{}:{}:{}\n", problem["file"].as_str().unwrap(), problem["line"], problem["column"]);
            assert!(screen.contains(&at), "{name}: {at} is not on the screen");
        }
        let errors = problems.iter().filter(|problem| problem["severity"] == "error").count();
        assert_eq!(
            (&summary["errors"], exit),
            (&json!(errors), Some(if errors > 0 { 2 } else { 0 })),
            "{name}"
        );
    }
}

/// What ships, and what others are shown, is told to be in order, without a warning.
#[test]
fn what_is_right_raises_no_alarm() {
    for book in uplift::stock() {
        let output = Command::new(env!("CARGO_BIN_EXE_uplift"))
            .args(["runbook", "check", book.name])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.ends_with(", no problems\n"), "{said}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn wrong_names_are_found_with_their_places() {
    for (script, said) in [
        (
            "step \"a\" { switch_onn(#{ services: [] }); }",
            "site/test:2:12: there is no function `switch_onn` [did you mean `switch_on`?]",
        ),
        (
            "step \"a\" { try { swich_on(#{ services: [] }); } catch { } }",
            "site/test:2:18: there is no function `swich_on` [did you mean `switch_on`?]",
        ),
        ("if false { loook(); }", "site/test:2:12: there is no function `loook` [did you mean `look`?]"),
        (
            "step \"a\" { switch_on(#{ service: [], services: [] }); }",
            "site/test:2:25: `switch_on` has no option `service` [did you mean `services`?]",
        ),
        (
            "step \"a\" { switch_on(1, 2); }",
            "site/test:2:12: `switch_on` takes one map of options, not 2 arguments [e.g. `switch_on(#{ services: [] })`]",
        ),
        (
            "let x = params::tag;",
            "site/test:2:17: there is no `params::tag` [this runbook has no parameters: list them in `RUNBOOK` under `params`]",
        ),
        ("let x = site::wbe;", "site/test:2:15: there is no `site::wbe` [did you mean `web`?]"),
        (
            "import \"lib/chekcs\" as c;",
            "site/test:2:8: there is no file `lib/chekcs` to import [did you mean `lib/checks`?]",
        ),
        (
            "import \"lib/checks\" as c; c::hots();",
            "site/test:2:30: `lib/checks` has no function `hots` [did you mean `host`?]",
        ),
        (
            "import \"lib/checks\" as c; c::host(1);",
            "site/test:2:30: `c::host` takes 0 arguments, not 1 [write `c::host()`]",
        ),
        (
            "import \"lib/checks\" as c; c::hidden();",
            "site/test:2:30: `lib/checks` has no function `hidden` [known: `host`]",
        ),
        (
            "switch_on(#{ services: [] });",
            "site/test:2:1: `switch_on` changes the site, so it must stand inside a step [write `step \"name\" { ... }` around it]",
        ),
        (
            "step \"a\" { } step \"a\" { }",
            "site/test:2:19: there are two steps `a` [give each step a name of its own]",
        ),
        (
            "step \"a/b\" { }",
            "site/test:2:6: `a/b` cannot be the name of a step [use words, without `/` and `#`]",
        ),
        (
            "fn switch_on(x) { 1 }",
            "site/test:2:17: `switch_on` is uplift's own: no file may define a function of that name [use another name]",
        ),
        (
            "switch 2 { 1 => let x = 5, _ => 0 }",
            "site/test:2:17: a `let` cannot be an arm of `switch` by itself [write it in braces, or before the `switch`]",
        ),
        (
            "let f = \"lib/checks\"; import f as c;",
            "site/test:2:23: the name of an import must be written out [e.g. `import \"lib/checks\" as checks;`]",
        ),
    ] {
        let found = problems(script, &[("lib/checks", "fn host() { look() } private fn hidden() { 1 }")]);
        assert_eq!(found, [said], "{script}");
    }
}

#[test]
fn a_primitive_shadowed_in_a_library_is_refused_there() {
    let found = problems(
        "import \"lib/evil\" as evil; step \"a\" { evil::go_on(); }",
        &[("lib/evil", "fn look() { 1 }\nfn go_on() { look() }")],
    );
    assert!(
        found.iter().any(|problem| problem.starts_with("lib/evil:1:11: `look` is uplift's own")),
        "{found:?}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(problems("loook();\nlet x = site::wbe;\nstep \"\" { }", &[]).len(), 3);
}

#[test]
fn what_cannot_be_parsed_is_shown_with_its_place() {
    assert_eq!(problems("step \"a\" {\n  let x = ;\n}", &[])[0].split(": ").next(), Some("site/test:3:11"));
    assert!(
        problems("step \"a\" [1]", &[])[0].contains("expected `{` or `with #{ ... }` after the step's name")
    );
    assert!(problems("let with = 1;", &[])[0].contains("use another name"));
}

#[test]
fn a_header_is_needed_and_checked() {
    let load = |text: &str| {
        let main = uplift::script::Source { name: "x".into(), text: text.into() };
        let problems = load(&uplift::script::Bundle { main, libs: vec![], hooks: None }).unwrap_err();
        (problems[0].message.clone(), problems[0].hint.clone().unwrap_or_default())
    };
    assert_eq!(load("1").0, "this file has no header, so it is no runbook");
    assert_eq!(
        load("const RUNBOOK = #{ api: 2, summary: \"x\" };").0,
        "this runbook is written for API level 2; uplift 0.1.0 speaks 1"
    );
    let (message, hint) = load("const RUNBOOK = #{ api: 1, summary: \"x\", sumary: \"x\" };");
    assert_eq!(message, "the header has no `sumary`");
    assert_eq!(hint, "did you mean `summary`?");
    assert_eq!(
        load("const RUNBOOK = #{ api: 1, summary: \"x\", params: #{ step: #{ type: \"text\" } } };").0,
        "`step` cannot be the name of a parameter"
    );
    assert_eq!(load("const RUNBOOK = #{ api: 1, summary: \"x\", params: #{ t: #{ type: \"duration\", initial: \"soon\" } } };").0, "parameter `t`: `soon` is no duration: write e.g. `10s`, `5m`, `1h 30m`");
}
