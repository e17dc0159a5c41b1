//! Tests of runbooks, written in their own language: what ships passes its own, a site's hooks are tried as they will run,
//! and what is wrong with a test is told.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use uplift::{Host, HostBuilder, HostError, Proof, Start, Suite, Summary, World, stock, stock_tests};

const HOOKS: &str = "/srv/strata/uplift/hooks/compose/upgrade.rhai";
const TESTS: &str = "/srv/strata/uplift/tests/balancer.rhai";

/// A site's folder, which is all that there is of it.
fn host(world: &World) -> HostBuilder {
    Host::at(Start { dir: Some("/srv/strata".into()), ..Start::default() }).ports(world.ports())
}

async fn run(suite: &Suite) -> (Summary, Vec<Proof>) {
    let mut proofs = Vec::new();
    let summary = suite.run(&CancellationToken::new(), |proof| proofs.push(proof.clone())).await.unwrap();
    for proof in proofs.iter().filter_map(|proof| proof.failing.as_ref()) {
        crate::reasons::stand_on_the_page(&format!("\"code\":\"{}\"", proof.code));
    }
    (summary, proofs)
}

/// One file of tests in a site's folder that has nothing else.
async fn tried(text: &str) -> (Summary, Vec<Proof>) {
    let world = World::strata();
    world.put_file(TESTS, text, 0o644);
    run(&host(&world).tests(&["balancer".to_owned()]).await.unwrap()).await
}

/// Why the one test of a text fails: code, and all that is told.
async fn fails(body: &str) -> (String, String) {
    let (summary, proofs) = tried(&format!("test \"one\" {{ {body} }}\n")).await;
    assert_eq!((summary.passed, summary.failed), (0, 1), "{body}");
    let failing = proofs[0].failing.clone().unwrap();
    let told = format!("{}\n{}\n{}", failing.text, failing.evidence.join("\n"), failing.runs.join("\n"));
    (failing.code, told)
}

async fn refused(world: &World, names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let error = host(world).tests(&names).await.err().expect("they are refused");
    assert!(matches!(error, HostError::Invalid(_)), "{error:?}");
    let failure = error.failure();
    let hint = failure.hint.clone().unwrap_or_default();
    (failure.code.clone(), format!("{failure}\n{}\n{hint}", failure.evidence.join("\n")))
}

/// A test that fails, and prints where its record lies.
const TELLS: &str = "test \"tells\" { let site = simulated(\"plain\"); expect(site.run(\"compose/backup\").ending, \"done\"); \
                     print(site.log.filter(|line| line.contains(\"uplift-tests-\"))[0]); expect(false); }\n";

/// The folder of the moment that such a test has told.
fn folder(proof: &Proof) -> PathBuf {
    let printed = &proof.failing.as_ref().unwrap().printed[0];
    let begins = printed.find('/').unwrap();
    let name = printed.find("uplift-tests-").unwrap();
    let ends = name + printed[name..].find('/').unwrap();
    printed[begins..ends].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ships_keeps_what_it_promises() {
    for book in stock() {
        let tests = format!("tests/{}", book.name);
        assert!(stock_tests().iter().any(|known| known.name == tests), "`{}` has no tests", book.name);
    }
    let suite = Host::at(Start::default()).ports(World::strata().ports()).tests(&[]).await.unwrap();
    let (summary, proofs) = run(&suite).await;
    let failing: Vec<_> = proofs.iter().filter_map(|proof| Some(&proof.failing.as_ref()?.text)).collect();
    assert!(summary.is_good(), "{failing:#?}");
    assert!(summary.passed >= 29, "only {summary:?}");
    assert!(proofs.iter().all(|proof| proof.sites > 0), "one looks at no site");
}

/// A balancer that is drained first and enabled again in any case.
const DRAINS: &str = r#"
const LB = "/usr/local/bin/haproxyctl";
fn before_stop() { exec(#{ command: [global::LB, "drain", site::web], undo: [global::LB, "enable", site::web] }); }
fn after_verify() { exec(#{ command: [global::LB, "enable", site::web], leaves_nothing: true }); }
"#;
const BALANCER: &str = r#"
test "it is drained before anything stops" {
    let plan = site().plan("compose/upgrade", #{ to: "1.1.0" });
    expect(plan.complete);
    expect(plan.own.len(), 2);
    expect(plan.calls.index_of("stop/before/exec#1") < plan.calls.index_of("stop/compose_stop#1"));
}
test "it is enabled again where the release fails" {
    let site = site();
    expect(site.run("compose/upgrade", #{ to: "1.2.0", patience: "1m" }).ending, "taken_back");
    expect(site.started, ["/usr/local/bin/haproxyctl drain web", "/usr/local/bin/haproxyctl enable web"]);
}
fn site() { simulated("plain", #{ program: [#{ path: "/usr/local/bin/haproxyctl" }] }) }
"#;

fn with_a_balancer(hooks: &str) -> World {
    let world = World::strata();
    world.put_file(HOOKS, hooks, 0o644);
    world.put_file(TESTS, BALANCER, 0o644);
    // What is said of this very host is not true of the simulated one.
    let settings = "[site]\nproject = \"elsewhere\"\n[grants]\nexec = [\"/usr/local/bin/haproxyctl\"]\n";
    world.put_file("/srv/strata/uplift.toml", settings, 0o644);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sites_hooks_are_tried_as_they_will_run() {
    let names = ["balancer".to_owned()];
    let world = with_a_balancer(DRAINS);
    let before = (world.running(), world.writes(), world.started().len());
    let (summary, _) = run(&host(&world).tests(&names).await.unwrap()).await;
    assert_eq!((summary.passed, summary.failed), (2, 0));
    assert_eq!(
        (world.running(), world.writes(), world.started().len()),
        before,
        "the site itself was touched"
    );

    let world = with_a_balancer(&DRAINS.replace(", undo: [global::LB, \"enable\", site::web]", ""));
    let (summary, proofs) = run(&host(&world).tests(&names).await.unwrap()).await;
    assert_eq!((summary.passed, summary.failed), (1, 1));
    let failing = proofs[1].failing.as_ref().unwrap();
    assert_eq!((failing.code.as_str(), failing.at.as_ref().unwrap().line), ("not_as_expected", 11));
    assert!(
        failing.text.contains("[1] is missing: \"/usr/local/bin/haproxyctl enable web\""),
        "{}",
        failing.text
    );
    assert!(
        failing.runs[0].contains("taken_back (6)") && failing.runs[0].contains("`not_healthy`"),
        "{failing:?}"
    );

    let world = with_a_balancer(&DRAINS.replace("before_stop", "before_stpo"));
    let (_, proofs) = run(&host(&world).tests(&names).await.unwrap()).await;
    let failing = proofs[0].failing.as_ref().unwrap();
    assert_eq!(failing.code, "runbook_invalid");
    assert!(failing.evidence[0].contains("did you mean `stop`?"), "{failing:?}");

    // What is not granted there is not granted here.
    world.put_file(HOOKS, DRAINS, 0o644);
    world.put_file("/srv/strata/uplift.toml", "[grants]\nexec = [\"/usr/bin/true\"]\n", 0o644);
    let (_, proofs) = run(&host(&world).tests(&names).await.unwrap()).await;
    assert!(proofs[1].failing.as_ref().unwrap().runs[0].contains("not_granted"), "{proofs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runbooks_libraries_and_templates_of_the_site_are_there_too() {
    let world = World::strata();
    let put = |name: &str, text: &str| world.put_file(format!("/srv/strata/uplift/{name}"), text, 0o644);
    put("lib/own.rhai", "fn greeting() { \"hello\" }");
    put("page.txt", "{{ word }} from the template\n");
    let book = "import \"uplift/lib/own\" as own;\nconst RUNBOOK = #{ api: 1, summary: \"a page\" };\n\
                step \"page\" { template(#{ from: \"page.txt\", path: \"/srv/strata/page\", values: #{ word: own::greeting() } }); }";
    put("page.rhai", book);
    put(
        "tests/page.rhai",
        "import \"uplift/lib/own\" as own;\ntest \"the page is put\" { let site = simulated(\"plain\"); \
         expect(site.run(\"page\").ending, \"done\"); \
         expect(site.file(\"page\"), own::greeting() + \" from the template\\n\"); expect_in(\"page/template#1\", site.run(\"page\").did); }",
    );
    let (summary, proofs) = run(&host(&world).tests(&["page".to_owned()]).await.unwrap()).await;
    assert_eq!((summary.passed, summary.failed), (1, 0), "{proofs:?}");
    // They are no runbooks of the site.
    assert_eq!(host(&world).own_runbooks().await.unwrap(), ["page"]);
}

/// A file of one's own, where it lies, with what lies beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_tried_where_it_lies() {
    let world = World::strata();
    let book = "import \"lib/own\" as own;\nconst RUNBOOK = #{ api: 1, summary: \"a look\" };\nown::look();";
    for (name, text) in [
        ("ours.rhai", book),
        ("lib/own.rhai", "fn look() { check_host(); print(\"looked\"); }"),
        ("tests/two.toml", "format = 1\n[users]\norders_per_second = 2\n"),
        (
            "tests/ours.rhai",
            "test \"it looks\" { let site = simulated(\"./two.toml\"); site.wait(\"1m\"); \
             let run = site.run(\"../ours.rhai\"); expect(run.notes, [\"looked\"]); \
             expect(site.databases.strata_production.rows.orders > 1300); }",
        ),
    ] {
        world.put_file(format!("/home/ops/{name}"), text, 0o644);
    }
    let (summary, proofs) =
        run(&host(&world).tests(&["/home/ops/tests/ours.rhai".to_owned()]).await.unwrap()).await;
    assert_eq!((summary.passed, summary.failed), (1, 0), "{proofs:?}");
}

/// What stands in a test, the code that it fails with, and words of it.
const FAILS: &[(&str, &str, &str)] = &[
    ("expect(1, 2);", "not_as_expected", "this is 1, and 2 was expected"),
    ("expect(#{ a: 1 }, #{ a: 1, b: 2 });", "not_as_expected", "this is #{ a: 1 }, and #{ a: 1, b: 2 } was"),
    ("expect(1 == 2);", "not_as_expected", "this does not hold"),
    (
        "expect_in(\"nothing of it\", simulated(\"plain\").file(\".env\"));",
        "not_as_expected",
        "STRATA_VERSION=1.0.0",
    ),
    ("let own = || 1; own.call();", "nothing_expected", "it cannot fail"),
    ("expect(simulated(\"plain\"), 1);", "not_comparable", "a site cannot be compared"),
    ("expect(simulated(\"plian\").version, 1);", "no_such_site", "did you mean `plain`?"),
    (
        "expect(simulated(\"./none.toml\").version, 1);",
        "no_such_site",
        "/srv/strata/uplift/tests/./none.toml",
    ),
    ("expect(simulated(\"plain\", #{ user: 1 }).version, 1);", "world_invalid", "did you mean `users`?"),
    (
        "expect(simulated(\"plain\", #{ release: [#{ tag: \"2.0.0\", bot: \"1s\" }] }).version, 1);",
        "world_invalid",
        "release[0].bot",
    ),
    (
        "expect(simulated(\"plain\").run(\"compose/upgrad\").code, 0);",
        "runbook_not_found",
        "`compose/upgrade`",
    ),
    (
        "expect(simulated(\"plain\").run(\"compose/upgrade\", #{ too: \"1\" }).code, 0);",
        "unknown_parameter",
        "`to`",
    ),
    (
        "expect(simulated(\"plain\").run(\"compose/upgrade\", 1).code, 0);",
        "bad_option",
        "parameters are a map",
    ),
    ("simulated(\"plain\").fault(\"up web\", \"explode\"); expect(true);", "bad_option", "fail_before"),
    (
        "let site = simulated(\"plain\"); site.fault(\"up wbe\", \"fail_before\"); \
             expect(site.run(\"compose/backup\").ending, \"done\");",
        "fault_unmet",
        "nothing went wrong at `up wbe`",
    ),
    ("simulated(\"plain\").wait(\"soon\"); expect(true);", "bad_option", "`wait`"),
    ("expect(simulated(\"plain\").resume().code, 0);", "no_run", "there is no run to resume"),
    (
        "expect(simulated(\"plain\").rollback(#{ choose: \"x\" }).code, 0);",
        "nothing_asked",
        "`choose: \"x\"`",
    ),
    ("loop { simulated(\"plain\"); }", "too_many_calls", "makes 100 sites"),
    ("let a = 0; loop { a += 1; } expect(a, 1);", "too_many_operations", "does not come to an end"),
    ("let a = [1]; expect(a[3], 1);", "script_error", "list.len()"),
    ("throw \"gave up\"; expect(true);", "thrown", "gave up"),
];

/// A test that fails says where, with both values; and one that cannot fail does.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_test_fails_with_is_told() {
    for (body, code, words) in FAILS {
        let (found, told) = fails(body).await;
        assert_eq!(found, *code, "{body}: {told}");
        assert!(told.contains(words), "{body}: {told}");
        assert!(told.contains("uplift/tests/balancer:1:"), "no place: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_sees_nothing_of_another_and_the_others_go_on() {
    let (summary, proofs) = tried(
        "test \"first\" { let site = simulated(\"plain\"); site.put(\".env\", \"\"); expect(site.file(\".env\"), \"\"); }\n\
         test \"endless\" { fn_of_its_own(); expect(true); }\n\
         test \"leaves\" { expect(true); if true { return; } expect(false); }\n\
         test \"last\" { expect_in(\"STRATA_VERSION\", simulated(\"plain\").file(\".env\")); }\n\
         test \"alone\" { expect(1 + 1, 2); }\n\
         fn fn_of_its_own() { fn_of_its_own(); }",
    )
    .await;
    let passed: Vec<_> =
        proofs.iter().map(|proof| (proof.test.as_str(), proof.passed, proof.sites)).collect();
    assert_eq!(
        passed,
        [
            ("first", true, 1),
            ("endless", false, 0),
            ("leaves", true, 0),
            ("last", true, 1),
            ("alone", true, 0)
        ]
    );
    assert_eq!((summary.passed, summary.failed), (4, 1));
    assert_eq!(proofs[1].failing.as_ref().unwrap().code, "too_deep");
    let (_, proofs) = tried(TELLS).await;
    assert!(!folder(&proofs[0]).exists(), "a folder was left behind");
}

/// The variables of whoever runs the tests are nobody's business.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_those_that_the_test_gives() {
    let body = "let site = simulated(\"plain\", #{ program: [#{ path: \"/bin/lb\" }], file: [#{ path: \"/srv/strata/uplift.toml\", \
                text: \"[grants]\\nexec = [\\\"/bin/lb\\\"]\\n\" }] }); \
                site.put(\"/srv/strata/uplift/x.rhai\", \"const RUNBOOK = #{ api: 1, summary: \\\"x\\\" }; step \\\"x\\\" { exec(#{ command: \
                [\\\"/bin/lb\\\"], secrets: #{ A: \\\"env:PATH\\\" } }); }\");";
    let (summary, proofs) = tried(&format!(
        "test \"none\" {{ {body} let run = site.run(\"x\"); expect(run.ending, \"refused\"); expect(run.reason, \"secret_missing\"); }}\n\
         test \"given\" {{ {body} site.variable(\"PATH\", \"a long secret\"); expect(site.run(\"x\").ending, \"done\"); \
         expect(site.started, [\"/bin/lb\"]); }}"
    ))
    .await;
    assert_eq!((summary.passed, summary.failed), (2, 0), "{proofs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_leaves_what_another_finds() {
    let (summary, proofs) = tried(
        "test \"before\" { let site = simulated(\"plain\"); site.fault(\"pull \", \"kill_before\"); \
         let run = site.run(\"compose/pull\", #{ to: \"1.1.0\" }); expect(run.ending, \"killed\"); expect(run.code, 137); \
         expect(site.unfinished, run.run); let pulled = site.log.filter(|line| line.starts_with(\"pull \")).len(); \
         let rest = site.resume(); expect(rest.ending, \"done\"); expect(rest.run, run.run); \
         expect(site.log.filter(|line| line.starts_with(\"pull \")).len(), pulled + 1); }\n\
         test \"of a world file\" { let site = simulated(\"killed\"); \
         expect(site.run(\"compose/upgrade\", #{ to: \"1.1.0\" }).ending, \"killed\"); \
         expect(site.services.web.version, \"1.1.0\"); expect(site.resume().ending, \"done\"); }",
    )
    .await;
    assert_eq!((summary.passed, summary.failed), (2, 0), "{proofs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_it_leaves_nothing_behind() {
    let world = World::strata();
    let long = "test \"long\" { for _day in 0..500 { expect(simulated(\"plain\").run(\"compose/backup\").code, 0); } }\n\
                test \"next\" { expect(true); }";
    world.put_file(TESTS, format!("{TELLS}{long}"), 0o644);
    let suite = host(&world).tests(&["balancer".to_owned()]).await.unwrap();
    let cancel = CancellationToken::new();
    let told = std::sync::Mutex::new(Vec::new());
    let work = suite.run(&cancel, |proof| told.lock().unwrap().push(folder(proof)));
    let stop = async {
        while told.lock().unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(told.lock().unwrap()[0].exists(), "it is at work no more");
        cancel.cancel();
        std::time::Instant::now()
    };
    let (summary, since) = tokio::join!(work, stop);
    assert!(since.elapsed() < std::time::Duration::from_secs(20), "{:?}", since.elapsed());
    let summary = summary.unwrap();
    assert_eq!((summary.passed, summary.failed), (0, 1), "what was stopped has neither passed nor failed");
    let told = told.into_inner().unwrap();
    assert!(told.len() == 1 && !told[0].exists(), "a folder was left behind");
}

/// All that is wrong is told at once, and nothing is run.
#[tokio::test]
async fn files_that_do_not_pass_are_refused() {
    let world = World::strata();
    world.put_file(TESTS, "test \"a\" { expct(1, 1); }", 0o644);
    world.put_file(
        "/srv/strata/uplift/tests/other.rhai",
        "test \"b\" { expect(simulated(\"plain\").versoin, 1); }",
        0o644,
    );
    let (code, told) = refused(&world, &[]).await;
    assert_eq!(code, "tests_invalid");
    for words in [
        "uplift/tests/balancer:1:12",
        "did you mean `expect`?",
        "uplift/tests/other:1:",
        "did you mean `version`?",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (code, told) = refused(&world, &["balancr"]).await;
    assert!(code == "no_tests" && told.contains("did you mean `balancer`?"), "{told}");
    let (code, told) = refused(&world, &["/srv/strata/none.rhai"]).await;
    assert!(code == "no_tests" && told.contains("--list"), "{told}");
    assert_eq!(refused(&world, &["/srv/strata/uplift"]).await.0, "no_tests");
}

#[tokio::test]
async fn tests_are_named_without_being_run() {
    let world = with_a_balancer(DRAINS);
    let suite = host(&world).tests(&[]).await.unwrap();
    let own: Vec<_> = suite.names().filter(|(file, _)| *file == "uplift/tests/balancer").collect();
    assert_eq!(own.len(), 2);
    assert!(suite.names().count() > 30);
    assert_eq!(suite.only("enabled again where").names().count(), 1);
    let of_upgrade = host(&world).tests(&["compose/upgrade".to_owned()]).await.unwrap();
    assert!(of_upgrade.names().all(|(file, _)| file == "tests/compose/upgrade"));
    let checked = host(&world).check(TESTS).await.unwrap();
    assert_eq!(
        (checked.tests, checked.errors(), checked.warnings()),
        (Some(2), 0, 0),
        "{:?}",
        checked.problems
    );
    assert!(Path::new(TESTS).is_absolute());
}
