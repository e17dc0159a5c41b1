//! Scripts that would hang, eat the machine, or take what is not theirs. Each was seen to do so on a plain engine.

use std::time::{Duration, Instant};

use super::stage::{Recorder, bundle, load, play, play_with};

/// The script, or nested parts of it that are too long to be written out, with the code it must end with.
fn table() -> Vec<(String, &'static str)> {
    let deep =
        |open: &str, close: &str| format!("let x = {}1{};", open.repeat(100_000), close.repeat(100_000));
    let mut all: Vec<_> = WRITTEN.iter().map(|(script, code)| ((*script).to_owned(), *code)).collect();
    all.extend([
        (deep("(", ")"), "cannot_be_read"),
        (deep("[", "]"), "cannot_be_read"),
        (deep("#{ a: ", " }"), "cannot_be_read"),
        (deep("!", ""), "cannot_be_read"),
        (format!("let x = 1{};", " + 1".repeat(200_000)), "cannot_be_read"),
        (format!("let x = \"{}\";", "x".repeat(4 << 20)), "too_large"),
        ("let x = 1;\n".repeat(500_000), "too_large"),
    ]);
    all
}

const WRITTEN: &[(&str, &str)] = &[
    // Without an end.
    ("loop { }", "too_many_operations"),
    ("loop { try { loop { } } catch { } }", "too_many_operations"),
    ("fn f(n) { f(n + 1) } f(0);", "too_deep"),
    ("let f = |f| f.call(f); f.call(f);", "too_deep"),
    ("fn f(n) { [n].map(|m| f(m)) } f(0);", "too_deep"),
    // What only grows.
    ("let s = \"x\"; loop { s += s; }", "too_large"),
    ("let s = \"x\"; loop { s = `${s}${s}`; }", "too_large"),
    ("let s = \"x\"; loop { s.replace(\"x\", \"xx\"); }", "too_large"),
    ("let s = \"abc\"; s.pad(4000000000, \"x\");", "not_in_runbooks"),
    ("let s = \"abc\"; s.pad(10, \"\");", "not_in_runbooks"),
    ("let a = []; loop { a.push(1); }", "too_large"),
    ("let a = [1]; loop { a += a; }", "too_large"),
    ("let a = [1]; loop { a.append(a); }", "too_large"),
    ("let a = [1]; loop { a = [a, a]; }", "too_large"),
    ("let a = [1]; a.pad(2000000000, 1);", "not_in_runbooks"),
    ("let a = [1]; a.pad(9223372036854775807, [1]);", "not_in_runbooks"),
    ("let b = blob(4000000000);", "no_such_function"),
    ("let m = #{}; let n = 0; loop { m[`k${n}`] = n; n += 1; }", "too_many_operations"),
    ("let a = []; let add = |x| a.push(x); loop { add.call(\"x\"); }", "too_large"),
    ("loop { let m = #{}; let f = || m.len(); m.f = f; }", "too_many_operations"),
    // What is not there.
    ("eval(\"1\");", "cannot_be_read"),
    ("Fn(\"eval\").call(\"1\");", "no_such_function"),
    ("Fn(\"no_such\").call();", "no_such_function"),
    ("import \"../../../etc/passwd\" as p;", "no_such_module"),
    ("import \"/etc/passwd\" as p;", "no_such_module"),
    ("import \"lib/\" + \"a\" as p;", "computed_import"),
    ("exit(42);", "not_in_runbooks"),
    ("exit();", "not_in_runbooks"),
    ("sleep(1);", "not_in_runbooks"),
    ("sleep(1.0);", "not_in_runbooks"),
    ("timestamp();", "not_in_runbooks"),
    // Names of uplift's own.
    ("fn look(x) { 1 }", "name_taken"),
    ("fn look() { 1 }", "name_taken"),
    ("fn string.look() { 1 }", "name_taken"),
    ("fn fail(code, message) { 1 }", "name_taken"),
    // What a comparison throws.
    ("[3, 1, 2].sort(|a, b| throw 1);", "thrown"),
    ("[3, 1, 2].sort(|a, b| \"after\");", "thrown"),
    // Numbers and constants.
    ("let x = 9223372036854775807 + 1;", "script_error"),
    ("let x = 1 / 0;", "script_error"),
    ("let x = (-9223372036854775807 - 1) / -1;", "script_error"),
    ("let x = (-9223372036854775807 - 1).abs();", "script_error"),
    ("for n in range(0, 9, 0) { }", "script_error"),
    ("let cfg = #{ a: 1 }; cfg.b.c = 2;", "script_error"),
    ("const C = #{ a: 1 }; C.a = 2;", "assign_to_constant"),
    ("let x = #{ a: 1 }; x.nope", "script_error"),
    ("throw 5;", "thrown"),
];

/// Every one ends within seconds with its code, the line that it stands in, and what to write instead; and the process
/// is alive.
#[test]
fn every_hostile_script_is_named_with_its_line_and_a_way_out() {
    let mut wrong = Vec::new();
    for (script, code) in table() {
        let started = Instant::now();
        let bundle = bundle(&script, &[("lib/a", "fn f() { 1 }")]);
        let error = match load(&bundle) {
            Err(mut problems) => problems.swap_remove(0),
            Ok(_) => match play(&script).result {
                Err(error) => error,
                Ok(value) => panic!("{script} gave {value}"),
            },
        };
        let shown: String = script.chars().take(60).collect();
        // A file that is too large is not read to any line.
        let has_line = !error.places.is_empty() || script.len() > 1 << 20;
        let has_hint = error.hint.is_some();
        if error.code != code || !has_line || !has_hint || started.elapsed() > Duration::from_secs(30) {
            wrong.push(format!("{shown}: {:?} after {:?}, not {code}", error, started.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Bit operations have no end to run over.
#[test]
fn a_shift_by_more_bits_than_there_are_is_zero() {
    assert_eq!(play("1 << 1000").result.unwrap(), 0);
}

/// No count of operations bounds the time that they take.
#[test]
fn what_is_slow_inside_is_ended_by_the_clock() {
    let played = play("let s = \"x\"; for n in 0..19 { s += s; } loop { s.index_of(\"y\"); }");
    assert_eq!(played.error().code, "over_limit");
    assert!(!played.error().places.is_empty() && played.error().hint.is_some());
    assert!(played.took < Duration::from_secs(30), "{:?}", played.took);
}

/// Also one outside every step: whoever wrote it must see which line it is.
#[test]
fn a_script_without_an_end_is_shown_where_it_hangs() {
    for script in ["loop { }", "fn f(n) { f(n + 1) } f(0);", "step \"a\" { loop { } }"] {
        let played = play(script);
        assert!(!played.error().places.is_empty(), "{script}: {:?}", played.error());
    }
}

#[test]
fn exit_sleep_and_clock_are_closed_under_every_name() {
    for (script, said) in [
        ("exit(42)", "`exit` is not there"),
        ("sleep(1)", "`sleep` is not there"),
        ("timestamp()", "there is no function `timestamp`"),
    ] {
        let bundle = bundle(&format!("step \"a\" {{ {script}; }}"), &[]);
        let message = match load(&bundle) {
            Ok(_) => play(&format!("step \"a\" {{ {script}; }}")).error().message.clone(),
            Err(problems) => problems[0].message.clone(),
        };
        assert!(
            message.contains(said) || message.contains("is not there in runbooks"),
            "{script}: {message}"
        );
    }
}

#[test]
fn eval_and_files_outside_the_bundle_are_out_of_reach() {
    for script in [
        "eval(\"1\");",
        "import \"/etc/passwd\" as p;",
        "import \"../x\" as p;",
        "import \"lib/\" + \"a\" as p;",
    ] {
        assert!(load(&bundle(script, &[("lib/a", "fn f() { 1 }")])).is_err(), "{script}");
    }
}

#[test]
fn memory_that_the_engine_does_not_count_is_counted() {
    let played = play(
        "let m = #{}; let n = 0; let s = \"x\"; for i in 0..12 { s += s; } loop { m[`k${n}`] = s + n; n += 1; }",
    );
    assert!(
        ["over_limit", "too_large", "too_many_operations"].contains(&played.error().code.as_str()),
        "{:?}",
        played.error()
    );
}

#[test]
fn imports_in_a_circle_are_named() {
    let circle = bundle(
        "import \"lib/a\" as a; a::f();",
        &[
            ("lib/a", "import \"lib/b\" as b; fn f() { b::g() }"),
            ("lib/b", "import \"lib/a\" as a; fn g() { a::f() }"),
        ],
    );
    let problems = load(&circle).unwrap_err();
    assert!(problems[0].message.contains("lib/a -> lib/b -> lib/a"), "{}", problems[0].message);
    assert_eq!(problems[0].places[0].file, "lib/b", "where the circle closes");
}

#[test]
fn a_cancel_arrives_within_a_second() {
    let recorder =
        Recorder { cancel_at: Some(Instant::now() + Duration::from_millis(5)), ..Recorder::default() };
    let played = play_with("step \"a\" { try { loop { } } catch { } }", &[], recorder);
    assert_eq!(played.error().code, "ended");
    assert!(played.took < Duration::from_secs(1), "{:?}", played.took);
}

#[test]
fn a_step_that_calls_itself_through_a_function_is_stopped() {
    let played = play("fn again() { step \"a\" { again(); } } again();");
    assert_eq!(played.error().code, "steps_too_deep");
}

#[test]
fn a_panic_becomes_an_error() {
    struct Panics;
    impl uplift::script::Conduct for Panics {
        fn call(&self, _: uplift::script::Asked) -> Result<uplift::script::Answer, uplift::script::Stop> {
            panic!("on purpose")
        }
        fn together(
            &self,
            _: Vec<uplift::script::Asked>,
        ) -> Result<Vec<uplift::script::Answer>, uplift::script::Stop> {
            panic!("on purpose")
        }
        fn step_started(&self, _: &str) {}
        fn step_ended(&self, _: &str, _: bool) {}
        fn print(&self, _: &str, _: uplift::script::Place) {}
        fn cancelled(&self) -> bool {
            false
        }
    }
    let runbook = load(&bundle("look();", &[])).unwrap();
    let catalogue = std::sync::Arc::new(super::stage::catalogue());
    let result = uplift::script::perform(
        &runbook,
        catalogue,
        serde_json::json!({}),
        serde_json::json!({ "name": "x", "web": "w", "hosts": [] }),
        std::sync::Arc::new(Panics),
    );
    assert_eq!(result.unwrap_err().code, "internal");
}
