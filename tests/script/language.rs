use serde_json::json;

use super::stage::{Recorder, bundle, load, play, play_with};

#[test]
fn calls_are_counted_per_path_and_verb() {
    let played = play(
        r#"look();
        step "a" { look(); look(); switch_on(#{ services: ["x"] }); step "inner" { look(); } }
        for host in site::hosts { on host { step "b" { switch_on(#{ services: [host] }); } } }"#,
    );
    assert_eq!(
        played.addresses(),
        [
            "look#1",
            "a/look#1",
            "a/look#2",
            "a/switch_on#1",
            "a/inner/look#1",
            "host:a/b/switch_on#1",
            "host:b/b/switch_on#1"
        ]
    );
    assert_eq!(played.recorder.steps.lock().unwrap()[..2], ["+a", "+a/inner"]);
}

#[test]
fn return_leaves_the_step_and_not_the_run() {
    let played = play(
        r#"let x = step "a" { if true { return 5; } switch_on(#{ services: [] }); 6 }; step "b" { look(); } x"#,
    );
    assert_eq!(played.result, Ok(json!(5)));
    assert_eq!(played.addresses(), ["b/look#1"]);
    assert_eq!(*played.recorder.steps.lock().unwrap(), ["+a", "-a", "+b", "-b"]);
}

#[test]
fn return_outside_a_step_ends_the_run_well() {
    let played = play(r#"if true { return "enough"; } step "a" { look(); }"#);
    assert_eq!(played.result, Ok(json!("enough")));
    assert!(played.addresses().is_empty());
}

#[test]
fn break_and_continue_pass_through_steps() {
    let played =
        play(r#"for h in site::hosts { on h { step "x" { if h == "a" { continue; } look(); break; } } }"#);
    assert_eq!(played.addresses(), ["host:b/x/look#1"]);
}

#[test]
fn only_hosts_of_the_site_can_be_worked_on() {
    let played = play(r#"on "aa" { step "x" { look(); } }"#);
    assert_eq!(played.error().code, "bad_host");
    assert!(played.addresses().is_empty());
}

#[test]
fn together_hands_over_all_at_once_and_gives_the_outcomes_in_order() {
    let played = play(
        r#"step "a" { let r = together { let v = switch_on(#{ services: ["x"] }); if v != () { fail("x", "y"); } switch_on(#{ services: ["y"] }); }; r[1].services[0] }"#,
    );
    assert_eq!(played.result, Ok(json!("y")));
    assert_eq!(*played.recorder.blocks.lock().unwrap(), [2]);
    assert_eq!(played.addresses(), ["a/switch_on#1", "a/switch_on#2"]);
}

#[test]
fn together_takes_no_reads_and_no_other_block() {
    for (inner, code) in [
        ("look();", "read_in_together"),
        ("together { switch_on(#{ services: [] }); }", "nested_together"),
        ("step \"x\" { }", "step_in_together"),
    ] {
        let written = load(&bundle(&format!("step \"a\" {{ together {{ {inner} }} }}"), &[])).unwrap_err();
        assert_eq!(written[0].code, code);
        // Behind a function nobody sees it before it runs.
        let played = play(&format!("step \"a\" {{ together {{ inside(); }} }} fn inside() {{ {inner} }}"));
        assert_eq!(played.error().code, code);
    }
}

#[test]
fn budgets_reach_the_effects_inside_and_inner_ones_win() {
    let played = play(
        r#"step "a" with #{ timeout: "5m", retries: 2 } { look(); switch_on(#{ services: [] }); step "b" with #{ retries: 0 } { switch_on(#{ services: [] }); } }
        step "c" { switch_on(#{ services: [] }); }"#,
    );
    let budgets: Vec<_> = played
        .recorder
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|asked| (asked.budget.timeout_ms, asked.budget.retries))
        .collect();
    assert_eq!(budgets, [(None, None), (Some(300_000), Some(2)), (Some(300_000), Some(0)), (None, None)]);
    let wrong = r#"let with_these = #{ timout: "5m" }; step "a" with with_these { }"#;
    assert_eq!(play(wrong).error().code, "bad_option");
}

#[test]
fn a_failure_is_caught_with_its_fields_and_thrown_again_as_it_was() {
    let failing = || Recorder { fails: vec!["a/look#1".into()], ..Recorder::default() };
    let caught = play_with(
        r#"step "a" { try { look(); } catch (e) { return [e.code, e.retryable, e.hint]; } }"#,
        &[],
        failing(),
    );
    assert_eq!(caught.result, Ok(json!(["went_wrong", true, "try another"])));
    let again = play_with("step \"a\" {\n  try { look(); } catch (e) { throw e; }\n}", &[], failing());
    let error = again.error();
    assert_eq!(error.failure().unwrap().message, "`a/look#1` went wrong");
    assert!(error.failure().unwrap().retryable);
    assert_eq!((error.places[0].line, error.places[0].column), (3, 9), "the call itself, not the `throw`");
}

#[test]
fn nothing_catches_an_end() {
    let ending = Recorder { ends: Some("a/look#1".into()), ..Recorder::default() };
    let played = play_with(r#"step "a" { try { look(); } catch { } look(); }"#, &[], ending);
    assert_eq!(played.error().code, "ended");
    assert_eq!(played.addresses(), ["a/look#1"]);
}

#[test]
fn what_cannot_be_known_may_be_handed_on_but_not_looked_into() {
    let unknown = || Recorder { unknown: vec!["a/look#1".into()], ..Recorder::default() };
    assert!(play_with(r#"step "a" { let x = look(); look(); }"#, &[], unknown()).result.is_ok());
    for inside in ["x.status", "x == 200", "`${x}`", "if x == 5 { 1 }"] {
        let played = play_with(
            &format!("step \"a\" {{ let x = look(); try {{ {inside} }} catch {{ }} look(); }}"),
            &[],
            unknown(),
        );
        assert!(played.result.is_err(), "{inside}");
        assert_eq!(played.error().code, "unknown_outcome", "{inside}");
        assert_eq!(played.addresses().len(), 1, "{inside}");
    }
}

#[test]
fn an_error_shows_every_file_on_the_way() {
    let failing = Recorder { fails: vec!["a/look#1".into()], ..Recorder::default() };
    let lib = "fn outer() {\n    inner(\"x\")\n}\nprivate fn inner(n) {\n    look(#{ at: n })\n}\n";
    let played =
        play_with("import \"lib/up\" as up;\nstep \"a\" {\n    up::outer();\n}", &[("lib/up", lib)], failing);
    let shown = played.error().render(&played.bundle);
    assert_eq!(
        shown,
        "error: `a/look#1` went wrong
 --> lib/up:5:5
  |
5 |     look(#{ at: n })
  |     ^^^^
  |
  = help: try another
note: called from here
 --> lib/up:2:5
  |
2 |     inner(\"x\")
  |     ^^^^^
note: called from here
 --> site/test:4:9
  |
4 |     up::outer();
  |         ^^^^^"
    );
}

#[test]
fn a_closure_may_use_what_stands_around_it() {
    let script = "let least = 2; let add = |a, b| a + b; let zero = || 0; \
                  [[1, 2, 3].filter(|n| n >= least), add.call(1, 2), zero.call()]";
    assert_eq!(play(script).result.unwrap(), json!([[2, 3], 3, 0]));
}

#[test]
fn a_closure_is_found_in_its_own_file() {
    let failing = Recorder { fails: vec!["a/look#1".into()], ..Recorder::default() };
    let lib = "fn each(list, f) {\n    for item in list { f.call(item); }\n}\n";
    let played = play_with(
        "import \"lib/each\" as each;\nstep \"a\" {\n    each::each([1], |n| {\n        look()\n    });\n}",
        &[("lib/each", lib)],
        failing,
    );
    let first = &played.error().places[0];
    assert_eq!((first.file.as_str(), first.line), ("site/test", 5));
}

#[test]
fn parameters_are_read_by_their_types() {
    let header = r#"const RUNBOOK = #{ api: 1, summary: "x", on_failure: "pause", params: #{
        to: #{ type: "tag", help: "the tag" }, wait: #{ type: "duration", initial: "10s" },
        how: #{ type: "choice", of: ["auto", "never"], initial: "auto" } } };"#;
    let bundle = uplift::script::Bundle {
        main: uplift::script::Source { name: "x".into(), text: header.into() },
        libs: vec![],
        hooks: None,
    };
    let runbook = load(&bundle).unwrap();
    let given = |pairs: &[(&str, &str)]| {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        runbook.header().validate(&given).map_err(|error| (error.message, error.hint.unwrap_or_default()))
    };
    assert_eq!(given(&[("to", "1.1.0")]), Ok(json!({ "to": "1.1.0", "wait": "10s", "how": "auto" })));
    for (pairs, said, hint) in [
        (&[][..], "parameter `to` is missing: the tag", "add `--to VALUE`"),
        (&[("to", "1"), ("hwo", "x")], "this runbook has no parameter `hwo`", "did you mean `how`?"),
        (&[("to", "a b")], "parameter `to`: `a b` is no image tag", "e.g. `1.1.0`"),
        (
            &[("to", "1"), ("wait", "5 fortnights")],
            "parameter `wait`: `5 fortnights` is no duration: write e.g. `10s`, `5m`, `1h 30m`",
            "",
        ),
        (
            &[("to", "1"), ("how", "autoo")],
            "parameter `how`: `autoo` is none of its words",
            "did you mean `auto`?",
        ),
    ] {
        assert_eq!(given(pairs), Err((said.to_owned(), hint.to_owned())));
    }
}

#[test]
fn steps_are_listed_without_running() {
    let runbook =
        load(&bundle(r#"step "one" { step "two" { } } if site::name == "x" { step "three" { } }"#, &[]))
            .unwrap();
    assert_eq!(runbook.steps(), ["one", "two", "three"]);
}
