//! Scripts that would hang, eat the machine, or take what is not theirs. Each was seen to do so on a plain engine.

use std::time::{Duration, Instant};

use super::stage::{Recorder, bundle, load, play, play_with};

/// Every one ends within seconds, as an error, and leaves the process alive.
#[test]
fn every_hostile_script_ends() {
    for script in [
        "loop { }",
        "loop { try { loop { } } catch { } }",
        "fn f(n) { f(n + 1) } f(0);",
        "let f = |f| f.call(f); f.call(f);",
        "let s = \"x\"; loop { s += s; }",
        "let a = []; loop { a.push(1); }",
        "let a = [1]; loop { a += a; }",
        "let a = [1]; loop { a = [a, a]; }",
        "let m = #{}; let n = 0; loop { m[`k${n}`] = [\"0123456789012345678901234567890123456789\", n]; n += 1; }",
        "exit(42);",
        "exit();",
        "sleep(1);",
        "sleep(1.0);",
        "let x = \"abc\"; x.pad(10, \"\"); x",
        "let x = [1]; x.pad(9223372036854775807, [1]); x",
        "let cfg = #{ a: 1 }; cfg.b.c = 2;",
        "const C = #{ a: 1 }; C.a = 2;",
        "let x = 9223372036854775807 + 1;",
        "let x = 1 / 0;",
        "let x = #{ a: 1 }; x.nope",
        "Fn(\"eval\").call(\"1\");",
        "Fn(\"no_such\").call();",
        "throw 5;",
    ] {
        let text = format!("step \"a\" {{ {script} }}");
        let text = if script.starts_with("fn ") { script.to_owned() } else { text };
        let bundle = bundle(&text, &[]);
        if load(&bundle).is_err() {
            continue;
        }
        let started = Instant::now();
        let played = play(&text);
        assert!(played.result.is_err(), "{script} gave {:?}", played.result);
        assert!(started.elapsed() < Duration::from_secs(30), "{script} took {:?}", started.elapsed());
    }
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
    let played = play_with(
        "import \"lib/a\" as a; a::f();",
        &[
            ("lib/a", "import \"lib/b\" as b; fn f() { b::g() }"),
            ("lib/b", "import \"lib/a\" as a; fn g() { a::f() }"),
        ],
        Recorder::default(),
    );
    assert!(played.error().message.contains("lib/a -> lib/b -> lib/a"), "{}", played.error().message);
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
