//! What somebody sees of the tests of runbooks: a line each, why one failed, and bundles that fail theirs.

use super::desk::Desk;

const HOOKS: &str = "/srv/strata/uplift/hooks/compose/upgrade.rhai";
const MANIFEST: &str = "name = \"patch\"\nversion = \"1.0.0\"\napi = 1\nproduct = \"strata\"\nserves = \">=1.0\"\nsummary = \"a look\"\n";
const LOOK: &str = "const RUNBOOK = #{ api: 1, summary: \"a look\" };\ncheck_host();\nprint(\"looked\");\n";

/// Without times.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.trim_end().strip_suffix(" s") {
        Some(rest) => rest
            .trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == ' ')
            .to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_a_line_each_and_a_page_where_one_fails() {
    let desk = Desk::new();
    desk.world.put_file(
        "/srv/strata/uplift/tests/own.rhai",
        "test \"sums\" {\n    expect(1 + 1, 2);\n}\n\ntest \"the release is there\" {\n    let site = simulated(\"plain\");\n    \
         print(\"upgrading\");\n    let run = site.run(\"compose/upgrade\", #{ to: \"1.2.0\", patience: \"1m\" });\n    \
         expect(run.ending, \"done\");\n}\n",
        0o644,
    );
    let seen = desk.types("uplift runbook test own").await;
    assert_eq!(seen.exit.code(), 1, "{}", seen.page());
    assert_eq!(seen.err, "");
    let page = timeless(&seen.out);
    let begins = "uplift/tests/own (the site's own)\n  ok    sums (looks at no site)\n  FAIL  the release is there\n\n\
                  FAIL uplift/tests/own: the release is there\n\
                  error: this is \"taken_back\", and \"done\" was expected\n --> uplift/tests/own:9:5\n";
    assert!(page.starts_with(begins), "{page}");
    assert!(page.contains("its runs    `compose/upgrade`: taken_back (6) at"), "{page}");
    assert!(page.contains("it printed  upgrading\n"), "{page}");
    assert!(page.ends_with("\n\n1 passed, 1 failed, in"), "{page}");

    let only = desk.types("uplift runbook test own --only sums").await;
    assert!(
        only.exit.code() == 0 && timeless(&only.out).ends_with("1 passed, 0 failed, in"),
        "{}",
        only.page()
    );
    let quiet = desk.types("uplift runbook test own --only sums -q").await;
    assert_eq!(quiet.page(), "---- exit 0\n");
    let none = desk.types("uplift runbook test own --only nothing").await;
    assert!(
        none.exit.code() == 2 && none.err.contains("`uplift runbook test --list` names all 2"),
        "{}",
        none.page()
    );
    let list = desk.types("uplift runbook test own --list").await;
    assert_eq!(list.out, "uplift/tests/own\n  sums\n  the release is there\n");

    let json = desk.types("uplift runbook test own -o json").await;
    let lines: Vec<serde_json::Value> =
        json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["test"], &lines[0]["passed"]), (&"sums".into(), &true.into()));
    assert_eq!((&lines[1]["code"], &lines[1]["at"]["line"]), (&"not_as_expected".into(), &9.into()));
    assert_eq!(
        (&lines[2]["passed"], &lines[2]["failed"], &lines[2]["exit"]),
        (&1.into(), &1.into(), &1.into())
    );
}

fn folder(desk: &Desk, test: &str) {
    for (name, text) in [("manifest.toml", MANIFEST), ("look.rhai", LOOK), ("tests/look.rhai", test)] {
        desk.world.put_file(format!("/vendor/patch/{name}"), text, 0o644);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_fails_its_tests_is_not_packed() {
    let desk = Desk::new();
    let out = "/vendor/patch.unsigned";
    let pack = format!("uplift runbook pack /vendor/patch --out {out}");
    folder(&desk, "test \"it looks\" { expect(simulated(\"plain\").run(\"look\").notes, [\"lokked\"]); }\n");
    let refused = desk.types(&pack).await;
    assert_eq!(refused.exit.code(), 2, "{}", refused.page());
    for words in [
        "1 failed and 0 passed",
        "this is [\"looked\"], and [\"lokked\"] was expected",
        "tests/look:1:19",
        "--untested",
    ] {
        assert!(refused.err.contains(words), "{words}: {}", refused.page());
    }
    assert!(desk.world.file(out).is_none());
    let all_the_same = desk.types(&format!("{pack} --untested")).await;
    assert!(
        all_the_same.exit.code() == 0 && all_the_same.err.contains("tests: not run"),
        "{}",
        all_the_same.page()
    );

    folder(&desk, "test \"it looks\" { expect(simulated(\"plain\").run(\"look\").notes, [\"looked\"]); }\n");
    let packed = desk.types(&pack).await;
    assert!(packed.exit.code() == 0 && packed.err.contains("tests: all 1 passed"), "{}", packed.page());
    for name in ["/vendor/patch", "/vendor/patch/tests/look.rhai"] {
        let alone = desk.types(&format!("uplift runbook test {name}")).await;
        assert!(alone.out.starts_with("tests/look (of the bundle)\n  ok    it looks"), "{}", alone.page());
    }
    folder(&desk, "test \"it looks\" { expct(1, 1); }\n");
    let invalid = desk.types(&pack).await;
    assert!(invalid.exit.code() == 2 && invalid.err.contains("did you mean `expect`?"), "{}", invalid.page());
}

/// The site's own tests are tried with what is offered, before anybody is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_fails_the_sites_tests_is_not_installed_unseen() {
    let desk = Desk::new();
    let bundle = include_bytes!("../runbooks/bundles/format-1.bundle");
    desk.world.put_file("/vendor/golden-1.2.3.bundle", bundle, 0o644);
    let key = include_str!("../runbooks/bundles/format-1.pub").lines().last().unwrap();
    desk.types(&format!("uplift init --trust {key}")).await;
    let test = |name: &str| {
        let text = format!(
            "test \"a runbook is there\" {{ expect(simulated(\"plain\").plan(\"{name}\").complete); }}"
        );
        desk.world.put_file("/srv/strata/uplift/tests/own.rhai", text, 0o644);
    };
    test("compose/nothing");
    let install = "uplift runbook install /vendor/golden-1.2.3.bundle";
    let looked = desk.types(&format!("{install} --dry-run")).await;
    assert!(looked.exit.code() == 1 && looked.out.contains("1 FAILED, 0 passed"), "{}", looked.page());
    assert!(looked.out.contains("there is no runbook `compose/nothing`"), "{}", looked.page());
    let refused = desk.types(&format!("{install} -y")).await;
    assert!(
        refused.exit.code() == 1 && refused.err.contains("so it was not installed"),
        "{}",
        refused.page()
    );
    assert!(desk.types("uplift runbook list").await.out.lines().all(|line| !line.contains("golden")));
    // One that only the bundle has is there for the site's tests.
    test("compose/look");
    let installed = desk.types(&format!("{install} -y")).await;
    assert!(installed.exit.code() == 0 && installed.err.contains("all 1 passed"), "{}", installed.page());
    assert!(desk.types("uplift runbook list").await.out.contains("golden"));
    let of_now = desk.types("uplift runbook test own").await;
    assert_eq!(of_now.exit.code(), 0, "{}", of_now.page());
    assert!(desk.world.file(HOOKS).is_none());
}
