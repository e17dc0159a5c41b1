//! Runbooks that put files in their places.

use std::path::Path;

use uplift::{Ending, Plan, World, event::Change, run::PlanEnd};

use super::night::{Night, Told};

const BOOK: &str = "/srv/strata/put.rhai";
const PAGE: &str = "/srv/strata/maintenance.html";
const TEMPLATE: &str = "/srv/strata/uplift/maintenance.html";

/// A site with a template and this in a step of its runbook, which then fails if it is told so.
fn night(body: &str) -> Night {
    let night = Night::of(World::strata());
    night.world.put_file(TEMPLATE, "<p>{{ what }} at {{ when }}</p>\n", 0o644);
    write(&night, body);
    night
}

fn write(night: &Night, body: &str) {
    let head = "const RUNBOOK = #{ api: 1, summary: \"put a page\", on_failure: \"undo\" };\n";
    night.world.put_file(BOOK, format!("{head}step \"page\" {{ {body} }}\n"), 0o644);
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

fn page(night: &Night) -> Option<(String, u32)> {
    let file = night.world.file(Path::new(PAGE))?;
    Some((String::from_utf8(file.bytes).unwrap(), file.mode))
}

const PUT: &str = "file_put(#{ path: \"maintenance.html\", content: \"soon\\n\", mode: \"0640\" });";
const MADE: &str = "template(#{ path: \"maintenance.html\", from: \"maintenance.html\", \
                    values: #{ what: \"1.1.0\", when: \"noon\" } });";
const FAIL: &str = "fail(\"enough\", \"enough\");";

#[tokio::test]
async fn a_file_is_put_in_its_place_and_taken_away_again() {
    for (call, text, mode) in [(PUT, "soon\n", 0o640), (MADE, "<p>1.1.0 at noon</p>\n", 0o644)] {
        let night = night(call);
        let planned = plan(&night).await;
        let added = &planned.steps[0].calls[0].writes;
        let is_added = |change: &Change| matches!(change, Change::Added { path, .. } if path == PAGE);
        assert!(added.iter().any(|write| is_added(&write.change)), "{added:?}");
        assert_eq!((planned.end, page(&night)), (PlanEnd::Complete, None));
        assert_eq!(run(&night).await.ending, Ending::Done);
        assert_eq!(page(&night), Some((text.to_owned(), mode)));
        // Once more it is there already.
        write(&night, &format!("{call} {FAIL}"));
        assert!(matches!(run(&night).await.ending, Ending::TakenBack { .. }));
        assert_eq!(page(&night), Some((text.to_owned(), mode)));
        night.world.remove_file(PAGE);
        assert!(matches!(run(&night).await.ending, Ending::TakenBack { .. }));
        assert_eq!(page(&night), None, "it was not there before");
    }
}

#[tokio::test]
async fn a_file_that_was_there_comes_back_with_its_mode() {
    let night = night(&format!("{MADE} {FAIL}"));
    night.world.put_file(PAGE, "of before\n", 0o600);
    let planned = plan(&night).await;
    let diff = format!("{:?}", planned.steps[0].calls[0].writes);
    assert!(diff.contains("-of before") && diff.contains("+<p>1.1.0 at noon</p>"), "{diff}");
    assert!(matches!(run(&night).await.ending, Ending::TakenBack { .. }));
    assert_eq!(page(&night), Some(("of before\n".to_owned(), 0o600)));
}

#[tokio::test]
async fn a_copy_is_made_of_a_file() {
    let night = night("file_put(#{ path: \"maintenance.html\", copy: \"uplift/maintenance.html\" });");
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(page(&night).unwrap().0, "<p>{{ what }} at {{ when }}</p>\n");
}

/// Somebody's edit is asked about, and a copy of it is kept.
#[tokio::test]
async fn an_edit_meanwhile_is_never_overwritten() {
    for (choice, stays) in [("restore", "of before\n"), ("keep-edit", "by hand\n")] {
        let night = night(PUT);
        night.world.put_file(PAGE, "of before\n", 0o600);
        assert_eq!(run(&night).await.ending, Ending::Done);
        night.edit_record("UPDATE run SET state = 'unfinished', ended_at = NULL, ending = NULL");
        night.world.put_file(PAGE, "by hand\n", 0o644);
        let told = night.rollback(None).await;
        let question = told.ending.question().unwrap_or_else(|| panic!("{:?}", told.ending));
        assert!(question.text.contains("edited by somebody else"), "{question:?}");
        assert_eq!(page(&night).unwrap().0, "by hand\n");
        let told = night.rollback(Some(choice)).await;
        let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
        assert_eq!(left.len(), usize::from(choice == "keep-edit"), "{left:?}");
        assert_eq!(page(&night).unwrap().0, stays);
        let kept =
            |path: &std::path::PathBuf| night.world.file(path).is_some_and(|file| file.bytes == b"by hand\n");
        assert_eq!(night.kept().iter().any(kept), choice == "restore");
    }
}

#[tokio::test]
async fn what_is_not_the_runbooks_to_touch_is_refused_while_it_is_planned() {
    let night = night("");
    night.world.put_file("/etc/haproxy/haproxy.cfg", "global\n", 0o644);
    let put = |path: &str| format!("file_put(#{{ path: \"{path}\", content: \"x\" }});");
    let template = |values: &str| {
        format!("template(#{{ path: \"x\", from: \"maintenance.html\", values: #{{ {values} }} }});")
    };
    write(&night, "file_put(#{ path: \"x\", content: \"x\", mode: \"u+x\" });");
    let error = night.host().await.runbook(BOOK, &[].into()).await.err().expect("it is no mode");
    assert!(format!("{:?}", error.failure().evidence).contains("`mode`"), "{error:?}");
    for (call, code, hint) in [
        (put("/etc/haproxy/haproxy.cfg"), "not_granted", "files = [\"/etc/haproxy/haproxy.cfg\"]"),
        (put("../x"), "bad_option", "without `..`"),
        (put("uplift.toml"), "not_granted", "another path"),
        (put("none/x"), "folder_missing", "make it"),
        ("file_put(#{ path: \"x\" });".to_owned(), "bad_option", "content"),
        ("file_put(#{ path: \"x\", copy: \"none\" });".to_owned(), "file_missing", "put it there"),
        (
            "file_put(#{ path: \"x\", copy: \"/etc/haproxy/haproxy.cfg\" });".to_owned(),
            "not_granted",
            "files = [",
        ),
        (template("what: \"a\""), "template_wrong", "known: `what`"),
        (template("what: \"a\", when: \"b\", where: \"c\""), "template_wrong", "take `where` out"),
    ] {
        write(&night, &call);
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, code, "{call}: {failure:?}");
        assert!(failure.hint.as_ref().is_some_and(|known| known.contains(hint)), "{call}: {failure:?}");
    }
    night.settings("[grants]\nfiles = [\"/etc/haproxy\"]\n");
    write(&night, &put("/etc/haproxy/haproxy.cfg"));
    assert_eq!(run(&night).await.ending, Ending::Done);
    // What a secret of the site stands in is not recorded.
    let secret = night.world.setting("DB_PASSWORD").unwrap();
    write(&night, &format!("file_put(#{{ path: \"x\", content: `{secret}` }});"));
    let told = run(&night).await;
    let all = format!("{:?}", told.ending);
    assert!(all.contains("secret_in_journal") || all.contains("would hold"), "{all}");
}

/// The page is put on, changed and changed once more: what was there before all of it comes back, byte for byte.
#[tokio::test]
async fn a_file_that_is_put_more_than_once_is_what_it_was_before_the_first() {
    let put = |text: &str| format!("file_put(#{{ path: \"maintenance.html\", content: \"{text}\" }});");
    for mode in [0o600, 0o2664] {
        let night = night(&format!("{} {} {MADE} {FAIL}", put("one"), put("two")));
        night.world.put_file(PAGE, "as it was\n", mode);
        let told = run(&night).await;
        assert!(matches!(told.ending, Ending::TakenBack { .. }), "{:?}", told.ending);
        assert_eq!(page(&night), Some(("as it was\n".to_owned(), mode)));
    }
}

/// Somebody may have had good reasons for those permissions.
#[tokio::test]
async fn a_copy_is_no_more_open_than_what_it_was_made_from() {
    let night = night("file_put(#{ path: \"maintenance.html\", copy: \"own.txt\" });");
    night.world.put_file("/srv/strata/own.txt", "mine\n", 0o600);
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(page(&night), Some(("mine\n".to_owned(), 0o600)));
}

/// Whoever may put files must not say by one what is started, or granted, next.
#[tokio::test]
async fn what_says_what_is_started_is_not_put_by_a_runbook() {
    let night = night("");
    let settings = "[grants]\nexec = [\"bin/smoke\"]\n[notify]\ncommand = [\"bin/tell\"]\n";
    night.settings(settings);
    let put = async |path: &str| {
        write(&night, &format!("file_put(#{{ path: \"{path}\", content: \"x\" }});"));
        match plan(&night).await.end {
            PlanEnd::Fails { failure, .. } => failure.code,
            end => format!("{end:?}"),
        }
    };
    for folder in ["bin", "uplift/hooks/compose"] {
        night.world.put_file(format!("/srv/strata/{folder}/some"), "", 0o644);
    }
    for path in [
        "uplift/hooks/compose/upgrade.rhai",
        "uplift/own.rhai",
        "bin/smoke",
        "bin/tell",
        "docker-compose.yml",
        // Not there, and compose would read it.
        "docker-compose.override.yml",
        ".env",
    ] {
        assert_eq!(put(path).await, "not_granted", "{path}");
    }
    write(&night, "file_put(#{ path: \"leak.txt\", copy: \".env\", mode: \"0644\" });");
    let end = plan(&night).await.end;
    assert!(matches!(&end, PlanEnd::Fails { failure, .. } if failure.code == "not_granted"), "{end:?}");
    write(&night, "env_set(#{ COMPOSE_FILE: \"other.yml\" });");
    let end = plan(&night).await.end;
    assert!(
        matches!(&end, PlanEnd::Fails { failure, .. } if failure.message.contains("COMPOSE_FILE")),
        "{end:?}"
    );
    assert_eq!(put("bin/other").await, "Complete");
    // Who wants it all the same says so by the very file.
    night.settings("[grants]\nfiles = [\"docker-compose.yml\"]\n");
    assert_eq!(put("docker-compose.yml").await, "Complete");
}
