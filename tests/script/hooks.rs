//! What a site changes in single steps of a runbook that it leaves as it is.

use serde_json::json;

use super::stage::{Played, Recorder, hung, load, play_bundle};

const STEPS: &str = r#"let x = step "switch web" with #{ retries: 3 } { switch_on(#{ services: ["web"] }); 1 };
    step "verify" { look(); if true { return; } look(); } x"#;

fn play(hooks: &str) -> Played {
    play_bundle(hung(STEPS, hooks), Recorder::default())
}

/// Line by line, with the hint.
fn problems(hooks: &str) -> Vec<String> {
    let main = format!("step \"a-b\" {{ look(); }} step \"a b\" {{ look(); }}\n{STEPS}");
    let problems = load(&hung(&main, hooks)).map_or_else(|problems| problems, |_| Vec::new());
    let line = |problem: &uplift::script::ScriptError| {
        let place = problem.places.first().map(|place| format!("{}:{}", place.file, place.line));
        let hint = problem.hint.clone().unwrap_or_default();
        format!("{} {}: {} [{hint}]", place.unwrap_or_default(), problem.code, problem.message)
    };
    problems.iter().map(line).collect()
}

#[test]
fn hooks_stand_before_after_and_in_the_place_of_a_step() {
    let played = play(
        r#"import "lib/own" as own;
        const WHERE = "before";
        fn helper(where) { switch_on(#{ services: [where] }); }
        fn before_switch_web() { helper(global::WHERE); own::twice(); }
        fn after_switch_web() { helper("after"); }
        fn replace_verify() { look(); helper(site::web); 7 }
        fn after_verify() { look(); }"#,
    );
    assert_eq!(played.result, Ok(json!(1)), "a hook after a step leaves its value");
    assert_eq!(
        played.addresses(),
        [
            "switch web/before/switch_on#1",
            "switch web/before/switch_on#2",
            "switch web/before/switch_on#3",
            "switch web/switch_on#1",
            "switch web/after/switch_on#1",
            "verify/look#1",
            "verify/switch_on#1",
            "verify/after/look#1",
        ]
    );
    let asked = played.recorder.asked.lock().unwrap();
    let retries: Vec<_> = asked.iter().map(|asked| asked.budget.retries).collect();
    assert_eq!(
        retries[..5],
        [None, None, None, Some(3), None],
        "what a step allows its calls is not for hooks"
    );
    assert_eq!(asked[0].place.file, "uplift/hooks/test");
    assert_eq!(asked[0].place.line, 3);
    assert_eq!(*played.recorder.steps.lock().unwrap(), ["+switch web", "-switch web", "+verify", "-verify"]);
}

#[test]
fn the_value_of_a_replaced_step_is_that_of_the_hook() {
    let played = play("fn replace_switch_web() { if true { return 5; } 6 }");
    assert_eq!((played.result.clone(), played.addresses()), (Ok(json!(5)), vec!["verify/look#1".to_owned()]));
}

/// `return` in a step leaves its own lines, and what stands after them still happens.
#[test]
fn a_step_that_returns_is_followed_by_its_hook() {
    assert_eq!(play("fn after_verify() { look(); }").addresses().last().unwrap(), "verify/after/look#1");
}

#[test]
fn a_hook_that_fails_is_told_of_with_its_place() {
    let played = play("fn before_verify() {\n  let n = 0;\n  fail(\"not_now\", \"jobs are running\");\n}");
    let error = played.error();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("not_now", "jobs are running"));
    let places: Vec<_> = error.places.iter().map(|place| (place.file.as_str(), place.line)).collect();
    assert_eq!(places, [("uplift/hooks/test", 3), ("site/test", 3)]);
    assert_eq!(played.addresses(), ["switch web/switch_on#1"], "nothing of the step itself has happened");
    assert_eq!(played.recorder.steps.lock().unwrap()[2..], ["+verify", "!verify"]);
}

#[test]
fn what_is_wrong_with_hooks_is_found_before_anything_runs() {
    for (hooks, said) in [
        (
            "\nfn before_switch_wbe() { }",
            "uplift/hooks/test:2 no_such_step: this runbook has no step `switch_wbe` that a hook could stand at [did you mean `switch_web`?]",
        ),
        (
            "fn befor_verify() { look(); }",
            "uplift/hooks/test:1 hook_unused: nothing calls `befor_verify` [did you mean `before_verify`?]",
        ),
        (
            "fn before_verify(x) { look(); }",
            "uplift/hooks/test:1 hook_arguments: `before_verify` is called with nothing, and takes 1 [`params::` and `site::` are there in it]",
        ),
        (
            "fn before_a_b() { }",
            "uplift/hooks/test:1 hook_ambiguous: `before_a_b` could mean step `a-b` or `a b` [copy the runbook instead: `uplift runbook show NAME > FILE.rhai`]",
        ),
        (
            "fn before_verify() { step \"mine\" { look(); } }",
            "uplift/hooks/test:1 step_in_hook: step `mine` cannot stand inside a hook [leave `step` out: what a hook does stands in the step that it belongs to]",
        ),
        (
            "look();\nfn before_verify() { }",
            "uplift/hooks/test:1 hooks_top_level: outside of its functions a file of hooks has imports and constants only [move this into `before_NAME`, `replace_NAME` or `after_NAME`]",
        ),
        (
            "let x = 1; fn before_verify() { }",
            "uplift/hooks/test:1 hooks_top_level: outside of its functions a file of hooks has imports and constants only [move this into `before_NAME`, `replace_NAME` or `after_NAME`]",
        ),
        (
            "fn before_verify() { swich_on(#{ services: [] }); }",
            "uplift/hooks/test:1 no_such_function: there is no function `swich_on` [did you mean `switch_on`?]",
        ),
        (
            "fn look() { }",
            "uplift/hooks/test:1 name_taken: `look` is uplift's own: no file may define a function of that name [use another name]",
        ),
        (
            "import \"lib/onw\" as own; fn before_verify() { }",
            "uplift/hooks/test:1 no_such_module: there is no file `lib/onw` to import [did you mean `lib/own`?]",
        ),
    ] {
        let found = problems(hooks);
        assert!(found.contains(&said.to_owned()), "{hooks}\n{said}\n{found:#?}");
    }
}

/// A step that has another name in a newer release of the runbook.
#[test]
fn the_new_name_of_a_renamed_step_is_told() {
    let bundle = hung("step \"exchange web\" { look(); }", "\n\nfn replace_switch_web() { }");
    let header =
        "const RUNBOOK = #{ api: 1, summary: \"x\", renamed: #{ \"switch web\": \"exchange web\" } };\n";
    let text = format!("{header}{}", bundle.main.text.lines().skip(1).collect::<Vec<_>>().join("\n"));
    let main = uplift::script::Source { text, ..bundle.main.clone() };
    let error = load(&uplift::script::Bundle { main, ..bundle }).unwrap_err().remove(0);
    assert_eq!((error.code.as_str(), error.places[0].line), ("no_such_step", 3));
    let hint = error.hint.unwrap();
    assert!(hint.contains("`exchange web` now") && hint.contains("`replace_exchange_web`"), "{hint}");
}

#[test]
fn hooks_stand_on_each_host_of_a_step() {
    let main = r#"for host in site::hosts { on host { step "b" { look(); } } }"#;
    let played = play_bundle(hung(main, "fn before_b() { look(); }"), Recorder::default());
    assert_eq!(
        played.addresses(),
        ["host:a/b/before/look#1", "host:a/b/look#1", "host:b/b/before/look#1", "host:b/b/look#1"]
    );
}

#[test]
fn a_hook_looks_at_what_earlier_calls_have_given() {
    let played = play(
        r#"fn after_switch_web() { let web = outcome("switch web/switch_on#1"); switch_on(#{ services: web.services }); }
        fn after_verify() {
            look(#{ at: outcome("switch web/after/switch_on#1").services[0] });
            try { outcome("verify/look#3"); } catch (e) { look(#{ at: e.code }); }
        }"#,
    );
    assert_eq!(played.result, Ok(json!(1)));
    let asked = played.recorder.asked.lock().unwrap();
    let inputs: Vec<_> = asked.iter().map(|asked| asked.input.to_string()).collect();
    assert_eq!(
        inputs,
        [
            r#"{"services":["web"]}"#,
            r#"{"services":["web"]}"#,
            "{}",
            r#"{"at":"web"}"#,
            r#"{"at":"no_such_call"}"#
        ]
    );
}

/// The engine tells no line of a function that uses up too much: the hook is shown, and the step that it belongs to.
#[test]
fn a_hook_without_an_end_is_shown_and_not_only_its_step() {
    for (body, code) in [
        ("loop { }", "too_many_operations"),
        ("let s = \"x\"; loop { s += s; }", "too_large"),
        ("deep(1);", "too_deep"),
        ("loop { look(); }", "too_many_calls"),
    ] {
        let played = play(&format!("fn deep(n) {{ deep(n + 1) }}\n\nfn before_verify() {{\n    {body}\n}}"));
        let error = played.error();
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.places[0].file.contains("hooks") && error.places[0].line >= 3, "{body}: {error:?}");
        assert!(error.places.iter().any(|place| !place.file.contains("hooks")), "{body}: {error:?}");
    }
}

#[test]
fn what_was_given_side_by_side_is_there_by_address_too() {
    let steps = r#"step "a" { together { switch_on(#{ services: ["x"] }); switch_on(#{ services: ["y"] }); } }
        step "b" { look(#{ at: outcome("a/switch_on#2").services[0] }); }"#;
    let played = play_bundle(hung(steps, ""), Recorder::default());
    assert!(played.result.is_ok(), "{:?}", played.result);
    assert_eq!(played.recorder.asked.lock().unwrap()[2].input, json!({ "at": "y" }));
}

#[test]
fn a_call_that_is_looked_back_at_has_to_be_one() {
    let told = problems(
        r#"fn after_verify() { outcome("switch wbe/switch_on#1").services; outcome("verify/lok#1"); }"#,
    );
    assert!(told[0].contains("there is no step `switch wbe` [did you mean `switch web`?]"), "{told:?}");
    assert!(told[1].contains("there is no call `lok` [did you mean `look`?]"), "{told:?}");
}

#[test]
fn who_is_called_like_a_method_is_called_and_a_header_belongs_to_the_runbook() {
    assert_eq!(
        problems("fn before_verify() { site::web.tell(); } fn tell() { print(this); }"),
        Vec::<String>::new()
    );
    let told = problems("const RUNBOOK = #{ api: 1, summary: \"x\" };\nfn before_verify() { }");
    assert!(told[0].contains("uplift/hooks/test:1 hooks_top_level"), "{told:?}");
}
