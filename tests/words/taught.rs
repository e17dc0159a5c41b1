//! What uplift teaches of itself: help screens, manual pages, completions. They are found by walking its commands, so that
//! none is left out.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::{
    desk::Desk,
    golden,
    typed::{page, uplift},
};

type Verb = Vec<String>;

/// All commands as the help screens list them; the first is uplift itself.
fn commands() -> Vec<Verb> {
    let mut all = vec![Verb::new()];
    let mut at = 0;
    while at < all.len() {
        let screen = help(&all[at]);
        let listed = screen.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        // A line that goes on below another one is indented further.
        let names = listed.unwrap_or_default().lines().filter(|line| !line.starts_with("   "));
        let below: Vec<_> = names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        let verb = all[at].clone();
        all.extend(below.into_iter().map(|name| [verb.as_slice(), &[name]].concat()));
        at += 1;
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

fn help(verb: &[String]) -> String {
    let mut words: Vec<_> = verb.iter().map(String::as_str).collect();
    words.push("--help");
    page(&words)
}

#[test]
fn every_command_teaches_itself() {
    let mut known = BTreeSet::from(["help_run_upgrade.txt".to_owned()]);
    for verb in commands() {
        let screen = help(&verb);
        assert!(screen.contains("\nExamples:\n  uplift "), "`{}` has no examples", verb.join(" "));
        let name = ["help".to_owned()].into_iter().chain(verb).collect::<Vec<_>>().join("_");
        golden(&name, &screen);
        known.insert(format!("{name}.txt"));
    }
    golden("help_run_upgrade", &page(&["run", "compose/upgrade", "--help"]));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/words/screens");
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let forgotten: Vec<_> =
        names.filter(|name| name.starts_with("help") && !known.contains(name.as_str())).collect();
    assert!(forgotten.is_empty(), "of commands that are no more: {forgotten:?}");
    assert_eq!(page(&["help", "backup", "create"]), help(&["backup".to_owned(), "create".to_owned()]));
}

/// Nothing is cut off, and only what may be copied goes beyond the edge.
#[tokio::test(flavor = "multi_thread")]
async fn help_says_the_same_at_every_width() {
    for verb in commands() {
        let line = format!("uplift {} --help", verb.join(" ")).replace("  ", " ");
        let mut said: Option<Vec<String>> = None;
        for width in [60, 80, 100, 200] {
            let screen = Desk::new().wide(width).types(&line).await.out;
            for line in screen.lines() {
                let fits = line.chars().count() <= width.min(100);
                assert!(fits || line.starts_with("  uplift "), "`{verb:?}` at {width}: {line}");
            }
            let words: Vec<_> = screen.split_whitespace().map(str::to_owned).collect();
            match &said {
                Some(said) => assert_eq!(said, &words, "`{verb:?}` at {width}"),
                None => said = Some(words),
            }
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    assert!(page(&["man", "--folder", to]).ends_with("---- exit 0\n"));
    let mut names = BTreeSet::new();
    for verb in commands() {
        let name = ["uplift".to_owned()].into_iter().chain(verb.clone()).collect::<Vec<_>>().join("-");
        let text = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {} 1 ", name.to_uppercase())), "{name}");
        let sections = text.lines().filter_map(|line| line.strip_prefix(".SH "));
        let sections: Vec<_> = sections.map(|name| name.trim_matches('"')).collect();
        let sections: Vec<_> = sections
            .into_iter()
            .filter(|name| !["COMMANDS", "OPTIONS", "PARAMETERS", "EVERYWHERE"].contains(name))
            .collect();
        let wanted = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "EXIT STATUS",
            "EXAMPLES",
            "FILES",
            "ENVIRONMENT",
            "SEE ALSO",
        ];
        assert_eq!(sections, wanted, "{name}");
        assert!(!text.contains('`'), "{name}: a single backtick is a quote on paper");
        names.insert(name);
        if verb.is_empty() || verb == ["backup", "create"] {
            let words: Vec<_> = ["man"].into_iter().chain(verb.iter().map(String::as_str)).collect();
            assert!(page(&words).contains(&text), "`{}` prints another page", words.join(" "));
            golden(&["man".to_owned()].into_iter().chain(verb).collect::<Vec<_>>().join("_"), &text);
        }
    }
    // What a page names is there, and nothing else was written.
    for file in fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        assert!(names.remove(path.file_stem().unwrap().to_str().unwrap()), "{}", path.display());
        let text = fs::read_to_string(&path).unwrap().replace("\\fR", "").replace('\\', "");
        for word in text.split(|letter: char| letter.is_whitespace() || letter == ',') {
            if let Some(name) = word.strip_suffix("(1)").map(|word| word.trim_start_matches("fB"))
                && name.starts_with("uplift")
            {
                assert!(folder.path().join(format!("{name}.1")).exists(), "{} names {name}", path.display());
            }
        }
    }
    assert!(names.is_empty(), "{names:?}");
    let nowhere = folder.path().join("nowhere").display().to_string();
    let refused = page(&["man", "--folder", &nowhere]);
    assert!(refused.contains("mkdir -p") && refused.ends_with("---- exit 1\n"), "{refused}");
    let unknown = page(&["man", "backup", "creat"]);
    assert!(unknown.contains("did you mean `create`?") && unknown.ends_with("---- exit 2\n"), "{unknown}");
}

/// What bash offers after what was typed, the last word being the one that is completed.
fn offered(script: &Path, typed: &[&str]) -> BTreeSet<String> {
    let text = format!(
        ". {}; COMP_WORDS=({}); COMP_CWORD={}; _uplift uplift \"${{COMP_WORDS[COMP_CWORD]}}\" \
         \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        typed.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        typed.len() - 1,
    );
    let output = Command::new("bash").args(["--norc", "-c", &text]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.is_empty(), "{told}");
    let words = String::from_utf8(output.stdout).unwrap();
    words.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_what_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("uplift");
    fs::write(&script, uplift(&["completions", "bash"]).output().unwrap().stdout).unwrap();
    for (typed, offers) in [
        (&["uplift", "up"][..], &["upgrade"][..]),
        (&["uplift", "r"], &["restore", "resume", "rollback", "run", "runbook"]),
        (
            &["uplift", "upgrade", "--s"],
            &["--savepoint", "--settle", "--simulate", "--site", "--state", "--storage"],
        ),
        (&["uplift", "upgrade", "--savepoint", ""], &["always", "auto", "never"]),
        (&["uplift", "rollback", "--restore-data", "a"], &["always", "ask"]),
        (&["uplift", "backup", "c"], &["create"]),
        (&["uplift", "backup", "create", "--p"], &["--pin", "--plan", "--project"]),
        (&["uplift", "runbook", "show", "compose/u"], &["compose/upgrade"]),
        (&["uplift", "completions", "z"], &["zsh"]),
        (&["uplift", "man", "backup", "cr"], &["create"]),
    ] {
        let offers: BTreeSet<_> = offers.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(offered(&script, typed), offers, "{typed:?}");
    }
    // And that is what bash calls.
    let text = format!(". {}; complete -p uplift", script.display());
    let output = Command::new("bash").args(["--norc", "-c", &text]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("-F _uplift ") && said.trim_end().ends_with(" uplift"), "{said}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = page(&["completions", shell]);
        assert!(script.contains("restore-data") && script.contains("savepoint"), "{shell}");
    }
}
