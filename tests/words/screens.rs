use std::{collections::BTreeMap, time::Duration};

use uplift::{
    event::Event,
    ports::docker::State,
    sim::{Exit, Fault, Release},
};

use super::{asking, crashed::CRASHED, desk::Desk, golden, screen};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_run() {
    let desk = Desk::new().answering("y");
    screen("good", &desk, "uplift upgrade --to 1.1.0").await;
    screen("good_status", &desk, "uplift status").await;
    screen("good_history", &desk, "uplift history").await;
    screen("good_show", &desk, "uplift show").await;
    screen("good_rollback", &desk, "uplift rollback").await;
    screen("good_again", &desk, "uplift upgrade --to 1.1.0").await;
    screen("good_resume", &desk, "uplift resume").await;
    desk.world.edit_container("strata-job-1", |job| job.state = State::Restarting);
    screen("good_dying", &desk, "uplift status").await;
}

/// A page for people, all of it for programs, unless they say how much.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_shortened() {
    let desk = Desk::new();
    for _ in 0..23 {
        assert_eq!(desk.types("uplift backup create -y").await.exit.code(), 0);
    }
    for (line, lines, ends) in [
        ("uplift history", 22, "and 3 older runs: `uplift history --all`"),
        ("uplift history -n 1", 3, "and 22 older runs: `uplift history --all`"),
        ("uplift history -n 22", 24, "and 1 older run: `uplift history --all`"),
        ("uplift history -n 23", 24, "backup create -y"),
        ("uplift history -n 2 --all", 24, "backup create -y"),
        ("uplift history -o json", 23, "}"),
        ("uplift history -o json -n 4", 4, "}"),
    ] {
        let seen = desk.types(line).await;
        assert_eq!((seen.exit.code(), seen.out.lines().count()), (0, lines), "{line}: {}", seen.page());
        assert!(seen.out.trim_end().ends_with(ends), "{line}: {}", seen.page());
    }
    let none = desk.types("uplift history -n 0").await;
    assert!(none.exit.code() == 2 && none.err.contains("`--all` shows all runs"), "{}", none.page());
}

/// The first thing to type on any host is read at a glance.
#[test]
fn a_site_is_told_in_ten_lines() {
    for name in ["good", "decide", "kept", "stopped", "crashed", "status_database_down"] {
        let name = if name.contains("status") { name.to_owned() } else { format!("{name}_status") };
        let path = format!("{}/tests/words/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(path).unwrap();
        let lines = page.lines().filter(|line| !line.starts_with("----")).count();
        assert!(lines <= 10, "{lines} lines:\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_new() {
    let desk = Desk::new();
    let own = std::path::Path::new("/srv/strata/uplift.toml");
    screen("init_plan", &desk, "uplift init --dry-run").await;
    assert!(desk.world.file(own).is_none(), "only looked");
    screen("init", &desk, "uplift init").await;
    let written = desk.world.file(own).unwrap().bytes;
    screen("init_again", &desk, "uplift init").await;
    assert_eq!(desk.world.file(own).unwrap().bytes, written);
    desk.types("uplift status").await;
    desk.world.put_file(own, "[site]\nproject = \"strata\"\nfiles = [\".env\"]\n", 0o644);
    screen("init_differs", &desk, "uplift init").await;
    desk.world.put_file(own, "[rollback]\ncompatible = [\"1.1.0\"]\n", 0o644);
    desk.types("uplift init").await;
    let added = String::from_utf8(desk.world.file(own).unwrap().bytes).unwrap();
    assert!(added.starts_with("[rollback]\ncompatible = [\"1.1.0\"]\n\n# Which"), "{added}");
    assert_eq!(desk.types("uplift status").await.exit.code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_from_a_finished_upgrade() {
    let desk = Desk::new();
    desk.world.put_job("SendInvoice", Some("worker 7"));
    desk.types("uplift upgrade --to 1.1.0 -y").await;
    desk.world.advance(Duration::from_mins(9));
    desk.world.place_orders(12);
    screen("return_list", &desk, "uplift rollback --list").await;
    screen("return_never", &desk, "uplift rollback --restore-data never -y").await;
    screen("return_jobs", &desk, "uplift rollback --restore-data always -y").await;
    screen("return_resumed", &desk, "uplift resume --choose hold --reason later").await;
    // Nobody is to start the worker unawares: not by the look of the site, and not by what another command says of it.
    screen("return_held_status", &desk, "uplift status").await;
    screen("return_held_upgrade", &desk, "uplift upgrade --to 1.1.1 -y").await;
    let shown = desk.types("uplift show").await.out;
    assert!(
        shown.contains("`job` STOPPED") && shown.contains("docker compose up -d --no-deps job"),
        "{shown}"
    );
    desk.world.advance(Duration::from_mins(1));
    let now = desk.host().await.now();
    desk.world.edit_container("strata-job-1", |job| {
        job.state = State::Running;
        job.started = Some(now);
    });
    let status = desk.types("uplift status").await.out;
    assert!(!status.contains("held"), "somebody has started it: {status}");
    desk.world.edit_container("strata-job-1", |job| job.state = State::Exited);
    let status = desk.types("uplift status").await.out;
    assert!(!status.contains("held"), "what stopped since was not stopped by that run: {status}");
}

/// Whoever copies what a screen tells them to type has nothing more to decide.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_screen_tells_to_type_goes_through() {
    for asked in ["rollback", "rollback --list", "restore"] {
        let desk = Desk::new();
        desk.world.put_job("SendInvoice", None);
        desk.types("uplift upgrade --to 1.1.0 -y").await;
        let run = desk.host().await.show(None).unwrap().run.id;
        let set = if asked == "restore" { format!(" {run}") } else { String::new() };
        let page = desk.types(&format!("uplift {asked}{set}")).await.page();
        let line = page.lines().find(|line| line.contains("--restore-data always --jobs hold"));
        let line = line.unwrap_or_else(|| panic!("{asked}: {page}")).trim_start_matches("type").trim();
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("`--jobs run` lets it"), "{asked}: {page}");
        let line = line.replace(CRASHED, &run);
        // Who leaves it out is told before anything begins.
        let without = line.replace(" --jobs hold", " --dry-run");
        let plan = desk.types(&without).await.page();
        assert!(plan.contains("WARN") && plan.contains("`--jobs hold` keeps"), "{asked}: {plan}");
        let told = desk.types(&format!("{line} -y")).await;
        assert_eq!(told.exit.code(), 0, "{asked}: {}", told.page());
        assert!(told.err.contains("`job` STOPPED"), "{asked}: {}", told.page());
        // Said already, it is not said once more.
        let page = desk.types(&format!("uplift restore {run} --jobs run")).await.page();
        assert!(page.contains("--restore-data always") && !page.contains("--jobs hold"), "{page}");
    }
}

/// Under `always` the engine would start the worker by itself, so that it is told at the end how to mend that.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_held_that_would_start_by_itself() {
    let desk = Desk::new();
    desk.world.put_job("SendInvoice", None);
    assert_eq!(desk.types("uplift upgrade --to 1.1.0 -y").await.exit.code(), 0);
    desk.world.edit_container("strata-job-1", |job| "always".clone_into(&mut job.restart_policy));
    let set = desk.host().await.sets().all().await.unwrap()[0].set.clone();
    let told = desk.types(&format!("uplift restore {set} --restore-data always --jobs hold -y")).await.err;
    let end = told.split("DONE:").nth(1).expect("it is done");
    assert!(end.contains("docker update --restart always strata-job-1"), "{end}");
}

/// What was done since and left the release as it is does not stand in the way of `rollback` without a name.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_is_from_the_last_upgrade_whatever_else_was_done_since() {
    let desk = Desk::new();
    let upgrade = desk.types("uplift upgrade --to 1.1.1 -y").await;
    assert_eq!(upgrade.exit.code(), 0, "{}", upgrade.page());
    let backup = desk.types("uplift backup create -y").await;
    assert_eq!(backup.exit.code(), 0, "{}", backup.page());
    let refused = desk.types("uplift upgrade --to 9.9.9 -y").await;
    assert_eq!(refused.exit.code(), 1, "{}", refused.page());
    let back = desk.types("uplift rollback --dry-run").await;
    assert!(back.exit.code() != 2 && back.page().contains("1.0.0"), "{}", back.page());
}

/// Four databases are one thing to a reader; programs get each.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_told_by_the_run_that_made_it() {
    let desk = Desk::new();
    desk.types("uplift upgrade --to 1.1.0 -y").await;
    let run = desk.host().await.show(None).unwrap().run.id;
    desk.world.advance(Duration::from_mins(9));
    desk.world.put_file(desk.folder().join("backups/20261123-031500-7f3a/dump"), "no backup", 0o600);
    desk.types("uplift rollback --restore-data always --jobs run -y").await;
    screen("kept_status", &desk, "uplift status").await;
    screen("kept_prune", &desk, "uplift backup prune -y").await;
    let kept = desk.types("uplift status -o json").await;
    let kept: serde_json::Value = serde_json::from_str(&kept.out).unwrap();
    let kept = kept["site"]["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(kept.iter().all(|one| one["kind"] == "failed" && one["run"] != run.as_str()), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan() {
    screen("plan", &Desk::new(), "uplift upgrade --to 1.1.0 --dry-run").await;
    screen("plan_fails", &Desk::new(), "uplift upgrade --to 9.9.9 --dry-run").await;
    screen("refused_before", &Desk::new(), "uplift upgrade --to 9.9.9 -y").await;
}

/// Whether a release migrates stands in its image.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_the_image_on_the_host() {
    let desk = Desk::new();
    assert_eq!(desk.types("uplift upgrade --to 1.1.0 -y --quiet").await.exit.code(), 0);
    let before = desk.world.running();
    let assumed = desk.types("uplift upgrade --to 1.1.1 --dry-run").await.out;
    assert!(
        assumed.contains("migrate in the dark") && assumed.contains("uplift upgrade --pull"),
        "{assumed}"
    );

    // What is kept is the plan alone, and there is none where the image cannot be brought.
    let kept = desk.types("uplift upgrade --to 1.1.1 --pull --dry-run -o json").await;
    let plan: serde_json::Value = serde_json::from_str(&kept.out).unwrap();
    assert_eq!((kept.exit.code(), plan["runbook"].as_str()), (0, Some("compose/upgrade")));
    let failed = desk.types("uplift upgrade --to 9.9.9 --pull --dry-run -o json").await;
    assert!(failed.exit.code() == 1 && failed.out.contains("tag_not_found"), "{}", failed.out);
    assert!(!failed.out.contains("compose/upgrade"), "{}", failed.out);

    let known = desk.types("uplift upgrade --to 1.1.1 --pull --dry-run").await.out;
    assert!(!known.contains("migrate in the dark") && !known.contains("--pull"), "{known}");
    assert_eq!(desk.world.running(), before, "nothing that runs is touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_ends_at_once_is_taken_back() {
    screen("taken_back", &Desk::new(), "uplift upgrade --to 1.7.0 -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_never_healthy() {
    screen("never_healthy", &Desk::new(), "uplift upgrade --to 1.2.0 -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides() {
    let desk = Desk::new();
    screen("decide", &desk, "uplift upgrade --to 1.6.0 -y").await;
    screen("decide_status", &desk, "uplift status").await;
    screen("decide_upgrade", &desk, "uplift upgrade --to 1.1.0 -y").await;
    screen("decide_dry_run", &desk, "uplift rollback --dry-run").await;
    screen("decide_tried", &desk, "uplift rollback --choose return-code --reason x --dry-run").await;
    let other = desk.types("uplift rollback --choose keep-calm --reason x --dry-run").await;
    assert!(
        other.exit.code() == 2 && other.err.contains("`keep-calm` is none of the answers"),
        "{}",
        other.page()
    );
    let flag = desk.types("uplift rollback --restore-data always -y").await;
    assert!(flag.exit.code() == 2 && flag.err.contains("`--restore-data`"), "{}", flag.page());
    for planned in ["upgrade --to 1.1.0 --dry-run", "backup create --dry-run"] {
        let planned = desk.types(&format!("uplift {planned}")).await;
        assert!(planned.exit.code() == 7 && planned.err.contains("is not over"), "{}", planned.page());
    }
    screen("decide_no_terminal", &desk, "uplift rollback").await;
    let desk = desk.answering("go away");
    screen("decide_asked", &desk, "uplift rollback").await;
    assert_eq!(desk.types("uplift status").await.exit.code(), 7, "it waits on");
    screen("decided", &desk, "uplift rollback --choose return-code --reason users_wait").await;
    screen("decided_history", &desk, "uplift history").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_listed_and_proved() {
    let desk = Desk::new();
    screen("backup_none", &desk, "uplift backup list").await;
    let none = desk.types("uplift backup verify").await;
    assert!(none.exit.code() == 2 && none.err.contains("uplift backup create"), "{}", none.page());
    screen("backup_plan", &desk, "uplift backup create --dry-run").await;
    screen("backup_no_terminal", &desk, "uplift backup create").await;
    screen("backup_create", &desk, "uplift backup create -y").await;
    let sets = desk.folder().join("backups");
    let half = sets.join("20261123-031500-7f3a.partial/strata_production.dump.zst");
    desk.world.put_file(half, "half a dump", 0o600);
    screen("backup_list", &desk, "uplift backup list").await;
    let all = desk.host().await.sets().all().await.unwrap();
    let name = all[0].set.clone();
    screen("backup_show", &desk, &format!("uplift backup show {name}")).await;
    let newest = desk.types("uplift backup verify").await;
    assert_eq!(newest.exit.code(), 0, "{}", newest.page());
    assert!(
        newest.err.contains(&name[..13]) && newest.out.contains("rows are what was counted"),
        "{}",
        newest.page()
    );
    screen("backup_verify", &desk, &format!("uplift backup verify {name} --restore")).await;
    screen("backup_status", &desk, "uplift status").await;
    let own = desk.types("uplift status -o json").await.out;
    let own = &serde_json::from_str::<serde_json::Value>(&own).unwrap()["own"];
    assert!(
        own["old"] == true && own["runs"].as_u64() > Some(0) && own["backups"].as_u64() > Some(10_000),
        "{own}"
    );
    desk.world.advance(Duration::from_hours(48));
    screen("backup_prune_plan", &desk, "uplift backup prune --dry-run").await;
    screen("backup_prune", &desk, "uplift backup prune -y").await;
    screen("backup_prune_nothing", &desk, "uplift backup prune -y").await;
    desk.world.move_folder(&sets, desk.folder().join("moved"));
    screen("backup_moved", &desk, "uplift status").await;
    desk.world.move_folder(desk.folder().join("moved"), &sets);
    let dump = sets.join(&name).join("strata_production.dump.zst");
    let mut file = desk.world.file(&dump).unwrap();
    file.bytes[200] ^= 1;
    desk.world.put_file(&dump, &file.bytes, 0o600);
    screen("backup_damaged", &desk, &format!("uplift backup verify {name}")).await;
    screen("backup_list_damaged", &desk, "uplift backup list").await;
    screen("restore_damaged", &desk, &format!("uplift restore {name} --dry-run")).await;
    screen("restore_damaged_all", &desk, &format!("uplift restore {name} --restore-data always -y")).await;
    screen("restore_unknown", &desk, "uplift restore 20261124-031600 --dry-run").await;
    screen("backup_unknown", &desk, "uplift backup show 20250101").await;
}

/// Stopped in good order with job down.
async fn stopped() -> Desk {
    let desk = Desk::new();
    asking::hold(&desk);
    let half = desk.host().await.runbook(asking::HALF, &BTreeMap::new()).await.unwrap();
    let plan = half.plan().await;
    let mut run = half.start(plan, "uplift run half.rhai").await.unwrap();
    while let Some(event) = run.next().await {
        if matches!(&event, Event::CallStarted { address, .. } if address.contains("wait_for_go")) {
            run.cancel().cancel();
        }
    }
    run.ended().await;
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped() {
    let desk = stopped().await;
    screen("stopped_show", &desk, "uplift show").await;
    screen("stopped_status", &desk, "uplift status").await;
    screen("stopped_upgrade", &desk, "uplift upgrade --to 1.1.0 -y").await;
    asking::planned(&desk);
    screen("stopped_resume_dry_run", &desk, "uplift resume --dry-run").await;
    screen("stopped_no_terminal", &desk, "uplift rollback").await;
    asking::go(&desk);
    screen("stopped_resume", &desk, "uplift resume").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_read() {
    let desk = Desk::new();
    desk.world.set_server(false, false);
    screen("status_database_down", &desk, "uplift status").await;
    desk.world.set_engine(false);
    screen("status_engine_down", &desk, "uplift status").await;
    let desk = Desk::new();
    desk.world.remove_file("/srv/strata/docker-compose.yml");
    screen("status_no_compose_file", &desk, "uplift status").await;
    let desk = stopped().await;
    desk.world.set_engine(false);
    screen("status_engine_down_and_unfinished", &desk, "uplift status").await;
    screen("history_engine_down", &desk, "uplift history").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_in_the_database() {
    let desk = Desk::new();
    desk.world.hold_lock("uplift 20261124-021500-7f3a ann@web2");
    screen("lock_held", &desk, "uplift upgrade --to 1.1.1 -y").await;
    // Its run has stopped the site, or has come as far as the release that is asked for.
    screen("lock_held_same", &desk, "uplift upgrade --to 1.0.0 -y").await;
    desk.world.edit_container("strata-web-1", |web| web.state = State::Exited);
    screen("lock_held_down", &desk, "uplift upgrade --to 1.1.1 -y").await;
    desk.world.edit_container("strata-web-1", |web| web.state = State::Running);
    desk.world.deny_lock(true);
    screen("lock_denied", &desk, "uplift upgrade --to 1.1.1 -y").await;
    desk.world.deny_lock(false);
    desk.world.fault(32, Fault::LosesLock);
    screen("lock_lost", &desk, "uplift upgrade --to 1.1.1 -y").await;
    let desk = Desk::new();
    desk.world.fault(32, Fault::StopsServer);
    let stopped_server = desk.types("uplift upgrade --to 1.1.1 -y").await;
    let page = stopped_server.page();
    assert_eq!(stopped_server.exit.code(), 9, "{page}");
    let (_, ending) = page.split_once("STOPPED IN THE MIDDLE").unwrap();
    golden("lock_server_stopped", ending);
    assert!(!page.contains("another machine"), "nobody else can have begun: {page}");
    let desk = stopped().await;
    desk.world.set_server(false, false);
    screen("lock_server_down", &desk, "uplift rollback -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_programs_read() {
    let desk = Desk::new();
    let seen = desk.types("uplift upgrade --to 1.1.1 -y -o json").await;
    assert!(seen.err.is_empty(), "{}", seen.err);
    let kinds: Vec<_> = seen
        .out
        .lines()
        .map(|line| serde_json::from_str::<Event>(line).unwrap())
        .filter(|event| !matches!(event, Event::CallProgress { .. }))
        .collect();
    assert!(matches!(kinds.first(), Some(Event::RunStarted { .. })));
    assert!(matches!(kinds.last(), Some(Event::RunEnded { .. })));
    screen("json_refused", &desk, "uplift upgrade --to 9.9.9 -y -o json").await;
    screen("json_no_terminal", &desk, "uplift upgrade --to 1.1.0 -o json").await;
    let failed = Desk::new().types("uplift upgrade --to 1.7.0 -y -o json").await;
    golden("json_taken_back", failed.out.lines().last().unwrap());
    let status = desk.types("uplift status -o json").await;
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["site"]["version"], "1.1.1");
    assert_eq!(status["run"]["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_and_declined() {
    let desk = Desk::new().answering("n");
    screen("declined", &desk, "uplift upgrade --to 1.1.0 --quiet").await;
    screen("quiet_taken_back", &desk, "uplift upgrade --to 1.7.0 -y --quiet").await;
    screen("verbose_nothing", &desk, "uplift upgrade --to 1.0.0 -v").await;
}

/// However wide the terminal is, lines for people fit; only what may be copied is left whole.
#[tokio::test(flavor = "multi_thread")]
async fn words_fit_the_terminal() {
    for width in [60, 80, 200] {
        let desk = Desk::new().wide(width);
        for line in ["uplift upgrade --to 1.7.0 -y", "uplift status", "uplift history", "uplift show"] {
            let seen = desk.types(line).await;
            for line in seen.out.lines().chain(seen.err.lines()) {
                let copied = ["  uplift ", "wait_healthy(#{", "/srv/s/", "bin/rails", "__failed_", "__pre_"]
                    .iter()
                    .any(|word| line.contains(word));
                assert!(copied || line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

/// Our own words for how things are made mean nothing to an operator.
#[test]
fn inner_words_are_never_shown() {
    let folder = format!("{}/tests/words/screens", env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap().to_lowercase();
        for word in ["intent", "effect", "guard", "twin", "conductor", "seq", "frontier"] {
            let shown = page.split(|letter: char| !letter.is_alphanumeric()).any(|found| found == word);
            assert!(!shown, "{} says `{word}`", path.display());
        }
    }
}

/// What a release says when it ends may hold anything; no secret of the site comes to a screen.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown() {
    let desk = Desk::new();
    let password = desk.world.setting("DB_PASSWORD").unwrap();
    let mut release = Release::new("6.6.6", &[]);
    let lines = vec![format!("cannot connect with {password}")];
    release.exits = Some(Exit { code: 1, lines, after: Duration::ZERO });
    desk.world.push(release);
    for line in [
        "uplift upgrade --to 6.6.6 --dry-run",
        "uplift upgrade --to 6.6.6 -y -v",
        "uplift show",
        "uplift show -o json",
        "uplift history -o json",
        "uplift status -o json",
        "uplift upgrade --to 6.6.6 -y -o json",
    ] {
        let seen = desk.types(line).await;
        assert!(!seen.out.contains(&password) && !seen.err.contains(&password), "{line}");
    }
    assert!(desk.types("uplift show").await.out.contains("cannot connect with [secret]"));
}
