//! What an impatient person types.

use std::fs;

use super::Table;

const HEADER: &str = "const RUNBOOK = #{ api: 1, summary: \"a test\", on_failure: \"undo\", params: #{} };\n";

#[test]
fn of_words() {
    let table = Table::new();
    for (what, words, says) in [
        ("no release", "upgrade -y", "--to"),
        ("a flag that there is not", "upgrade --to 1.1.1 --sort-of -y", "--sort-of"),
        ("a verb that there is not", "upgrad --to 1.1.1", "upgrade"),
        ("an answer without a reason", "resume --outcome applied", "--reason"),
    ] {
        table.row(what, words).refused(2, "usage", &[says]);
    }
    for (what, words, says) in [
        ("a time that is none", "upgrade --to 1.1.1 --settle soon -y", "soon"),
        ("a choice that there is not", "upgrade --to 1.1.1 --savepoint maybe -y", "auto"),
    ] {
        table.row(what, words).refused(2, "bad_parameter", &[says]);
    }
    table.row("nobody to ask", "upgrade --to 1.1.1").refused(2, "no_terminal", &["-y", "--dry-run"]);
    table.row("nothing to take back", "rollback -y").refused(2, "no_run", &["none was ever made", "-C DIR"]);
    table.row("nothing to go on with", "resume -y").refused(2, "no_run", &["none was ever made"]);
    table.row("a run where there is none", "show 2020").refused(2, "no_run", &["none was ever made"]);
    table.row("a set that there is not", "restore 2020 -y").refused(1, "no_such_set", &["backup create"]);
    table.row("a set to be proved that there is not", "backup verify 2020").refused(
        2,
        "no_such_set",
        &["2020"],
    );
    table.row("a runbook that there is not", "run compose/upgrad -y").refused(
        2,
        "runbook_not_found",
        &["compose/upgrade"],
    );
    table.row("a file that there is not", "run ./mine.rhai -y").refused(
        2,
        "runbook_not_found",
        &["mine.rhai"],
    );
    runbooks(&table);
    table.end();
}

/// Misspelt, wrong, or written to do harm: each is refused with its line before anything of the site is touched.
fn runbooks(table: &Table) {
    let path = table.field.dir().parent().unwrap().join(format!("{}.rhai", table.field.stack.project()));
    let wrong: &[(&str, &str, &str, &str)] = &[
        (
            "a misspelt primitive",
            "step \"stop\" { compose_stopp(#{ services: [site::web] }); }",
            "",
            "compose_stop",
        ),
        ("a misspelt option", "step \"stop\" { compose_stop(#{ servicess: [site::web] }); }", "", "services"),
        (
            "a primitive that is shadowed",
            "fn backup(x) { }\nstep \"a\" { backup(#{ config: true }); }",
            "",
            "backup",
        ),
        ("a change outside a step", "compose_stop(#{ services: [site::web] });", "", "step"),
        ("a text that is not closed", "step \"a\" { print(\"x }", "", "has no end"),
        ("`eval`", "step \"a\" { eval(\"1\"); }", "", "eval"),
        ("a file of somebody else", "import \"../../../etc/passwd\" as p;", "", "etc/passwd"),
        ("`exit`", "step \"a\" { exit(0); }", "", "exit"),
        ("a number that is too large", "let x = 9223372036854775807 + 1;", "script_error", "overflow"),
        ("a division by nothing", "let x = 1 / 0;", "script_error", "division by zero"),
        ("an endless loop", "loop { try { loop { } } catch { } }", "too_many_operations", "never stops"),
        ("an endless recursion", "fn f(n) { f(n + 1) } f(0);", "too_deep", "without end"),
        ("a text without an end", "let s = \"x\"; loop { s += s; }", "too_large", "too large"),
        ("a list without an end", "let a = [1]; loop { a += a; }", "too_large", "too large"),
        (
            "a map without an end",
            "let m = #{}; let n = 0; loop { m[`k${n}`] = n; n += 1; }",
            "too_many_operations",
            "never stops",
        ),
        ("a comparison that fails", "let a = [3, 1, 2]; a.sort(|a, b| throw \"no\");", "thrown", "no"),
        ("a filler that is empty", "let x = \"abc\"; x.pad(10, \"\");", "", "pad"),
    ];
    for (what, body, code, says) in wrong {
        fs::write(&path, format!("{HEADER}{body}\n")).unwrap();
        let (exit, code) = if code.is_empty() { (2, "runbook_invalid") } else { (1, *code) };
        table.row(what, &format!("run {} -y", path.display())).refused(exit, code, &[says, ".rhai"]);
    }
    fs::remove_file(path).unwrap();
}
