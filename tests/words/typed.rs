//! The real binary: what it says about itself and about mistakes. No site is touched by any of these.

use std::process::{Command, Stdio};

use super::golden;

pub(super) fn uplift(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uplift"));
    command.args(words).stdin(Stdio::null()).current_dir(env!("CARGO_TARGET_TMPDIR"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UPLIFT_") {
            command.env_remove(name);
        }
    }
    command
}

pub(super) fn page(words: &[&str]) -> String {
    let output = uplift(words).output().unwrap();
    let mut page = String::new();
    for (name, bytes) in [("standard output", output.stdout), ("standard error", output.stderr)] {
        if !bytes.is_empty() {
            page.extend(["---- ", name, "\n", std::str::from_utf8(&bytes).unwrap()]);
        }
    }
    page.extend([format!("---- exit {}\n", output.status.code().unwrap())]);
    page
}

#[test]
fn mistakes_are_named() {
    for (name, words) in [
        ("typed_nothing", &[][..]),
        ("typed_no_tag", &["upgrade"]),
        ("typed_wrong_flag", &["upgrade", "--too", "1.1.0"]),
        ("typed_wrong_verb", &["upgrad", "--to", "1.1.0"]),
        ("typed_wrong_value", &["upgrade", "--to", "1.1.0", "--settle", "soon", "-y"]),
        ("typed_no_terminal", &["upgrade", "--to", "1.1.0"]),
        ("typed_unknown_runbook", &["run", "compose/upgrad", "--dry-run"]),
        ("typed_unknown_runbook_shown", &["runbook", "show", "upgrade"]),
        ("typed_json", &["upgrade", "--too", "1.1.0", "-o", "json"]),
        ("typed_wrong_outcome", &["resume", "--outcome", "aplied", "--reason", "because"]),
        ("runbook_list", &["runbook", "list"]),
    ] {
        golden(name, &page(words));
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(page(&["--version"]), "---- standard output\nuplift 0.1.0\n---- exit 0\n");
}

#[test]
fn variables_stand_for_flags() {
    let output =
        uplift(&["upgrade"]).env("UPLIFT_TO", "1.1.0").env("UPLIFT_OUTPUT", "json").output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.contains(r#""code":"no_terminal""#), "{line}");
    assert_eq!(output.status.code(), Some(2));
}

/// Nobody reads any more: that is no reason to panic, or to end otherwise.
#[test]
fn a_reader_that_is_gone_changes_nothing() {
    let mut child = uplift(&["runbook", "show", "compose/upgrade"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_runbook_is_shown_as_it_is() {
    let output = uplift(&["runbook", "show", "compose/upgrade"]).output().unwrap();
    assert_eq!(output.stdout, include_bytes!("../../runbooks/compose/upgrade.rhai"));
}

#[test]
fn a_parameter_may_be_written_either_way() {
    for words in [["--param", "to=1.1.0"], ["--to", "1.1.0"]] {
        let output = uplift(&["run", "compose/upgrade"]).args(words).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("there is no terminal to ask on"), "{text}");
    }
    golden("typed_no_param", &page(&["run", "compose/upgrade", "-y"]));
}
