//! Runbooks that run containers of the site's own.

use std::path::PathBuf;

use uplift::{
    Ending, Plan, World,
    ports::docker::{Container, RunContainer, Select, Stop},
    run::PlanEnd,
    sim::{Does, Fault},
};

use super::night::{Night, Told};

const BOOK: &str = "/srv/strata/own.rhai";
const DONE: &str = "/srv/strata/seeded";
const PRODUCT: &str = "registry.example/strata/server";

fn does(args: &[&str]) -> Does {
    Does { args: Some(args.iter().map(|one| (*one).to_owned()).collect()), ..Does::default() }
}

fn night(body: &str) -> Night {
    let night = Night::of(World::strata());
    night.world.put_image("caddy:2", 48 << 20, true);
    night.world.put_image("tools:1", 96 << 20, false);
    let made: Vec<PathBuf> = vec![DONE.into()];
    night.world.put_tasks(
        PRODUCT,
        &[
            Does {
                makes: made.clone(),
                stdout: "seeded with canary-of-the-task\n".to_owned(),
                takes: "30s".parse().ok(),
                ..does(&["bin/rails", "db:seed"])
            },
            Does { removes: made, ..does(&["bin/rails", "db:unseed"]) },
            Does {
                code: 1,
                stderr: "rails aborted! canary-of-the-task\n".to_owned(),
                ..does(&["bin/rails", "fails"])
            },
            Does {
                takes: "2h".parse().ok(),
                stdout: "waiting\n".to_owned(),
                ..does(&["bin/rails", "hangs"])
            },
        ],
    );
    night
        .world
        .put_tasks("caddy:2", &[Does { code: 4, stderr: "no such file\n".to_owned(), ..does(&["dies"]) }]);
    night.world.put_variable("TOKEN", "canary-of-the-task");
    night.settings("[grants]\nimages = [\"caddy:2\", \"tools:1\"]\n");
    write(&night, body);
    night
}

fn write(night: &Night, body: &str) {
    night.world.put_file(
        BOOK,
        format!("const RUNBOOK = #{{ api: 1, summary: \"own\" }};\nstep \"own\" {{ {body} }}\n"),
        0o644,
    );
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

async fn containers(night: &Night) -> Vec<Container> {
    night.world.ports().docker.containers(&Select::All).await.unwrap()
}

async fn names(night: &Night) -> String {
    containers(night)
        .await
        .iter()
        .filter(|one| one.is_up())
        .map(|one| one.name.clone())
        .collect::<Vec<_>>()
        .join(" ")
}

const PAGE: &str =
    "docker_run(#{ image: \"caddy:2\", stays: true, name: \"maintenance\", publish: [\"3000:80\"] });";
const STOP: &str = "compose_stop(#{ services: [site::job, site::web] });";
const UP: &str = "compose_up(#{ services: [site::web, site::job] });";
const AWAY: &str = "docker_remove(#{ name: \"maintenance\" });";
const SEED: &str = "docker_run(#{ service: site::web, command: [\"bin/rails\", \"db:seed\"], undo: [\"bin/rails\", \"db:unseed\"], secrets: #{ TOKEN: \"env:TOKEN\" } })";
const FAILS: &str = "docker_run(#{ service: site::web, command: [\"bin/rails\", \"fails\"], leaves_nothing: true, secrets: #{ TOKEN: \"env:TOKEN\" } });";
const BOTH: &str = "strata-job-1 strata-web-1";

#[tokio::test]
async fn a_task_gives_what_it_said_and_its_container_goes() {
    let night = night(&format!("let told = {SEED}; print(`${{told.code}}: ${{told.stdout}}`);"));
    let planned = plan(&night).await;
    let PlanEnd::Unknown { why } = &planned.end else { panic!("{:?}", planned.end) };
    assert!(why.contains("`bin/rails db:seed` says is known once it has run"), "{why}");
    let call = &planned.steps[0].calls[0];
    assert_eq!(call.undo.as_deref(), Some("run `bin/rails db:unseed` in a container like it"));
    let shell = call.writes[1].shell.clone().unwrap_or_default();
    let all: Vec<_> = call.writes.iter().filter_map(|write| write.shell.clone()).collect();
    assert!(
        all.iter().any(|line| line
            .ends_with("docker compose run --rm --no-deps --env TOKEN=\"$TOKEN\" web bin/rails db:seed")),
        "{shell} {all:?}"
    );
    assert_eq!(night.world.writes(), 0);
    let told = run(&night).await;
    assert_eq!((&told.ending, names(&night).await.as_str()), (&Ending::Done, BOTH));
    assert_eq!(containers(&night).await.len(), 2, "the task's own is removed");
    assert!(night.world.file(DONE).is_some());
    let all = format!("{:?}", told.events);
    assert!(all.contains("0: seeded with [secret]") && !all.contains("canary"), "{all}");
    let logs = night.kept();
    assert!(logs.iter().any(|path| path.to_string_lossy().contains("/logs/strata-task-")), "{logs:?}");
    let record = night.record("SELECT group_concat(coalesce(e.intent, '') || e.input || coalesce(a.value, '')) FROM entry e JOIN attempt a USING (run, seq)");
    assert!(record.contains("env:TOKEN") && !record.contains("canary"), "{record}");
}

#[tokio::test]
async fn a_task_runs_in_the_release_that_is_named_with_the_site_s_own_settings() {
    let night = night(
        "compose_pull(#{ tag: \"1.1.0\" }); docker_run(#{ service: site::web, tag: \"1.1.0\", command: [\"bin/rails\", \"hangs\"], timeout: \"1m\", leaves_nothing: true });",
    );
    let planned = plan(&night).await;
    assert_eq!(planned.end, PlanEnd::Complete);
    assert!(
        planned.steps[0].calls[1]
            .summary
            .contains(&format!("`bin/rails hangs` in a container of `{PRODUCT}:1.1.0`"))
    );
    let Ending::TakenBack { failure, .. } = run(&night).await.ending else { panic!("it hangs") };
    assert_eq!(failure.code, "container_hangs");
    assert!(failure.message.contains("was still at work after 1m, and was stopped"), "{failure}");
    assert_eq!((names(&night).await.as_str(), containers(&night).await.len()), (BOTH, 2));
}

#[tokio::test]
async fn a_page_stands_in_web_s_place_and_goes_before_web_comes() {
    let night = night(&format!("{STOP} {PAGE} {AWAY} {UP}"));
    let planned = plan(&night).await;
    assert_eq!(planned.end, PlanEnd::Complete);
    let shells: Vec<_> = planned.steps[0]
        .calls
        .iter()
        .flat_map(|call| call.writes.iter().filter_map(|write| write.shell.clone()))
        .collect();
    assert!(
        shells.iter().any(|line| line == "docker run --detach --name maintenance --publish 3000:80 caddy:2"),
        "{shells:?}"
    );
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(names(&night).await, BOTH);
    assert_eq!(containers(&night).await.len(), 2);
}

/// Back by the same stages: web's place is never taken by two, and is free for web in the end.
#[tokio::test]
async fn whatever_fails_the_page_goes_back_by_the_stages_it_came_by() {
    let night = night(&format!("{STOP} {PAGE} {AWAY} {UP} {FAILS}"));
    let before = night.world.running();
    let told = run(&night).await;
    let Ending::TakenBack { failure, left } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!((failure.code.as_str(), left.as_slice()), ("container_failed", &[][..]), "{failure:?}");
    assert_eq!(failure.evidence, ["rails aborted! [secret]"]);
    let log = night.world.log();
    let at = |line: &str, from: usize| {
        from + log[from..]
            .iter()
            .position(|one| one.starts_with(line))
            .unwrap_or_else(|| panic!("{line}: {log:?}"))
    };
    let made = at("run container maintenance", 0);
    let gone = at("remove container of maintenance", made);
    let again = at("run container maintenance", gone);
    let last = at("remove container of maintenance", again);
    assert!(at("start web", last) > last, "{log:?}");
    assert_eq!(night.world.running(), before);
}

/// Calls that cannot be meant, each with the code of its refusal and a word of the hint.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "docker_run(#{ image: \"redis:7\" })",
        "not_granted",
        "images = [\"caddy:2\", \"tools:1\", \"redis:7\"]",
    ),
    ("docker_run(#{ image: \"registry.example/strata/server:1.0.0\" })", "bad_option", "service: site::web"),
    (
        "docker_run(#{ service: site::web, command: [\"x\"], stays: true, name: \"web2\" })",
        "bad_option",
        "service: site::web",
    ),
    ("docker_run(#{ service: site::web })", "bad_option", "command: ["),
    ("docker_run(#{ service: \"wbe\", command: [\"x\"] })", "no_such_service", "did you mean `web`?"),
    ("docker_run(#{ service: site::web, tag: \"9.9.9\", command: [\"x\"] })", "tag_not_found", ""),
    ("docker_run(#{})", "bad_option", "image: \"caddy:2\""),
    ("docker_run(#{ image: \"caddy:2\", tag: \"2\" })", "bad_option", "`caddy:2`"),
    ("docker_run(#{ image: \"caddy:2\", stays: true })", "bad_option", "name: \"maintenance\""),
    ("docker_run(#{ image: \"caddy:2\", stays: true, name: \"a b\" })", "bad_option", "letters"),
    ("docker_run(#{ image: \"caddy:2\", publish: [\"3001:80\"] })", "bad_option", "stays: true"),
    (
        "docker_run(#{ image: \"caddy:2\", stays: true, name: \"page\", publish: [\"80\"] })",
        "bad_option",
        "\"3000:80\"",
    ),
    (PAGE, "port_taken", "compose_stop"),
    (
        "docker_run(#{ image: \"caddy:2\", stays: true, name: \"strata-web-1\" })",
        "name_taken",
        "docker inspect strata-web-1",
    ),
    ("docker_run(#{ image: \"caddy:2\", network: \"nowhere\" })", "network_missing", "docker network ls"),
    (
        "docker_run(#{ image: \"caddy:2\", mounts: [#{ source: \"nothing\", target: \"/x\" }] })",
        "volume_missing",
        "docker volume ls",
    ),
    (
        "docker_run(#{ image: \"caddy:2\", mounts: [#{ source: \"/etc\", target: \"/x\" }] })",
        "not_granted",
        "files = [\"/etc\"]",
    ),
    (
        "docker_run(#{ image: \"caddy:2\", mounts: [#{ source: \"/srv/strata\", target: \"/x\" }] })",
        "not_granted",
        "below it",
    ),
    (
        "docker_run(#{ image: \"caddy:2\", mounts: [#{ source: \"./none\", target: \"/x\" }] })",
        "folder_missing",
        "make it",
    ),
    (
        "docker_run(#{ image: \"caddy:2\", mounts: [#{ source: \"./none\", target: \"x\" }] })",
        "bad_option",
        "/srv",
    ),
    (
        "docker_run(#{ image: \"caddy:2\", secrets: #{ A: \"env:NOT_SET\" } })",
        "secret_missing",
        "export NOT_SET",
    ),
    ("docker_run(#{ image: \"caddy:2\", undo: [\"x\"], leaves_nothing: true })", "bad_option", "take one"),
    (AWAY, "not_made_here", "stays: true"),
    ("docker_remove(#{ name: \"strata-web-1\" })", "not_made_here", "stays: true"),
];

#[tokio::test]
async fn what_cannot_be_run_is_refused_while_it_is_planned() {
    let night = night("");
    for (call, code, hint) in REFUSED {
        write(&night, &format!("{call};"));
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, *code, "{call}: {failure:?}");
        assert!(
            hint.is_empty() || failure.hint.as_ref().is_some_and(|said| said.contains(*hint)),
            "{call}: {failure:?}"
        );
    }
    let own = format!("mounts: [#{{ source: {:?}, target: \"/x\" }}]", night.folder());
    write(&night, &format!("docker_run(#{{ image: \"caddy:2\", {own} }});"));
    let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it is uplift's own") };
    assert_eq!(failure.code, "not_granted");
    assert_eq!(night.world.writes(), 0);
}

/// A container writes where it may: what is started on the host lies in no such place. The plan names what a task has.
#[tokio::test]
async fn no_container_writes_where_something_is_started() {
    let night = night("");
    night.settings("[grants]\nimages = [\"caddy:2\"]\nexec = [\"bin/smoke\"]\n");
    for path in ["bin/smoke", "uplift/page/index.html", "page/index.html"] {
        night.world.put_file(format!("/srv/strata/{path}"), "x", 0o755);
    }
    let mount = async |source: &str, read_only: bool| {
        let mounts = format!("[#{{ source: \"{source}\", target: \"/x\", read_only: {read_only} }}]");
        write(&night, &format!("docker_run(#{{ service: site::web, command: [\"x\"], mounts: {mounts} }});"));
        plan(&night).await
    };
    for source in ["./bin", "./uplift", "./uplift/page"] {
        let PlanEnd::Fails { failure, .. } = mount(source, false).await.end else { panic!("{source}") };
        assert_eq!(failure.code, "not_granted", "{source}");
        assert!(failure.hint.as_ref().unwrap().contains("read_only: true"), "{failure:?}");
        assert_eq!(mount(source, true).await.end, PlanEnd::Complete, "{source}");
    }
    let plan = mount("./page", false).await;
    assert_eq!(plan.end, PlanEnd::Complete);
    let summary = &plan.steps[0].calls[0].summary;
    assert!(summary.ends_with(", with `/srv/strata/./page` at `/x` to be written"), "{summary}");
}

/// Another run's container is somebody else's.
#[tokio::test]
async fn only_what_this_run_has_made_is_removed() {
    let night = night("docker_run(#{ image: \"caddy:2\", stays: true, name: \"maintenance\" });");
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(names(&night).await, "maintenance strata-job-1 strata-web-1", "it stays when the run is over");
    write(&night, AWAY);
    let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it is another run's") };
    assert_eq!(failure.code, "not_made_here");
    assert_eq!(names(&night).await, "maintenance strata-job-1 strata-web-1");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_pulled_in_the_run_and_in_no_plan() {
    let night = night("docker_run(#{ image: \"tools:1\", command: [\"x\"], leaves_nothing: true });");
    let planned = plan(&night).await;
    assert_eq!(planned.end, PlanEnd::Complete);
    let call = &planned.steps[0].calls[0];
    assert!(call.summary.ends_with("(pulled first)"), "{}", call.summary);
    assert!(
        call.writes.iter().any(|write| write.shell.as_deref() == Some("docker pull tools:1")),
        "{call:?}"
    );
    assert_eq!(night.world.writes(), 0);
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert!(night.world.log().iter().any(|line| line == "pull tools:1"));
}

#[tokio::test]
async fn what_was_to_stay_and_dies_is_a_failure_with_its_last_lines() {
    let night =
        night("docker_run(#{ image: \"caddy:2\", stays: true, name: \"page\", command: [\"dies\"] });");
    let told = run(&night).await;
    let Ending::TakenBack { failure, .. } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(
        (failure.code.as_str(), failure.evidence.as_slice()),
        ("container_died", &["no such file".to_owned()][..])
    );
    assert_eq!(containers(&night).await.len(), 2);
}

#[tokio::test]
async fn a_task_of_which_nobody_has_heard_is_waited_for_and_not_run_twice() {
    for at in
        ["make container strata-task-", "run container strata-task-", "remove container of strata-task-"]
    {
        let night = night("");
        let head = "const RUNBOOK = #{ api: 1, summary: \"own\", on_failure: \"pause\" };\n";
        night.world.put_file(BOOK, format!("{head}step \"own\" {{ {STOP} {SEED}; {UP} }}\n"), 0o644);
        night.world.fault_at(at, Fault::TimeoutAfter);
        let first = run(&night).await.ending;
        let ending = if first == Ending::Done { first } else { night.resume(None).await.ending };
        assert_eq!(ending, Ending::Done, "{at}");
        let log = night.world.log();
        let runs = log.iter().filter(|line| line.starts_with("run container strata-task-")).count();
        assert_eq!((runs, containers(&night).await.len()), (1, 2), "{at}: {log:?}");
    }
}

/// Each command is a process of its own, and the first is killed in the middle.
#[test]
fn a_task_goes_on_where_uplift_is_killed_and_is_found_by_the_next_command() {
    let site = "format = 1\n[[file]]\npath = \"/srv/strata/.keep\"\ntext = \"\"\n\
        [[task]]\nimage = \"registry.example/strata/server\"\n\
        [[task.does]]\nargs = [\"bin/rails\", \"db:seed\"]\ntakes = \"90s\"\nmakes = [\"/srv/strata/seeded\"]\nstdout = \"seeded\"\n\
        [[task.does]]\nargs = [\"bin/rails\", \"db:unseed\"]\nremoves = [\"/srv/strata/seeded\"]\n";
    let book = "const RUNBOOK = #{ api: 1, summary: \"seed\" };\nstep \"seed\" { let told = docker_run(#{ service: site::web, \
        command: [\"bin/rails\", \"db:seed\"], undo: [\"bin/rails\", \"db:unseed\"] }); print(told.stdout); }\n";
    for (at, next, seeded) in [
        ("run container strata-task-", "resume", true),
        ("run container strata-task-", "rollback", false),
        ("make container strata-task-", "resume", true),
        ("make container strata-task-", "rollback", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let fault = format!("[[fault]]\nat = {at:?}\nhow = \"kill_after\"\n");
        std::fs::write(folder.path().join("site.toml"), format!("{site}{fault}")).unwrap();
        std::fs::write(folder.path().join("seed.rhai"), book).unwrap();
        let typed = |words: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_uplift"));
            command.current_dir(folder.path()).env("NO_COLOR", "1").args(["--simulate", "site.toml"]);
            command.args(words).output().unwrap()
        };
        assert_eq!(typed(&["run", "./seed.rhai", "-y"]).status.code(), None, "it was killed");
        let status = typed(&["status"]);
        let said = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(said.contains("task") && said.contains("strata-task-"), "{at}: {said}");
        let ended = typed(&[next, "-y"]);
        let said =
            [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(ended.status.code(), Some(0), "{at} {next}: {said}");
        assert_eq!(said.contains("seeded"), seeded, "{at} {next}: {said}");
        let world = std::fs::read_to_string(folder.path().join("site.simulated/world.json")).unwrap();
        let runs = world.matches("run container strata-task-").count();
        assert_eq!((world.contains("\"/srv/strata/seeded\":"), runs >= 1), (seeded, true), "{at} {next}");
        assert!(!String::from_utf8_lossy(&typed(&["status"]).stdout).contains("strata-task-"), "{at} {next}");
    }
}

#[tokio::test]
async fn a_task_that_is_taken_back_while_it_is_at_work_is_stopped_and_undone() {
    let night = night(&format!("{SEED}; {STOP} {FAILS}"));
    let before = night.world.running();
    let told = run(&night).await;
    assert!(matches!(told.ending, Ending::TakenBack { .. }), "{:?}", told.ending);
    assert!(night.world.file(DONE).is_none(), "what it had made is taken back");
    assert_eq!(night.world.running(), before);
}

/// A task of the product writes to what would be copied: one that is at work meanwhile, as beside it in a `together` block.
#[tokio::test]
async fn no_databases_are_moved_while_a_task_of_the_product_is_at_work() {
    let night = night(&format!("{STOP} pg_savepoint(#{{ mode: \"always\" }}); {UP}"));
    let docker = night.world.ports().docker;
    let image = format!("{PRODUCT}:1.0.0");
    let task = RunContainer {
        name: "strata-task-20261124-000000-0001-00000000".to_owned(),
        image_id: docker.image(&image).await.unwrap().unwrap().id,
        image,
        entrypoint: Vec::new(),
        command: vec!["bin/rails".to_owned(), "hangs".to_owned()],
        variables: [].into(),
        secrets: [].into(),
        settings: [].into(),
        networks: Vec::new(),
        extra_hosts: Vec::new(),
        mounts: Vec::new(),
        ports: Vec::new(),
        user: None,
        workdir: None,
        stays: false,
        like: None,
    };
    let id = docker.run(&task).await.unwrap();
    let Ending::TakenBack { failure, .. } = run(&night).await.ending else { panic!("it writes") };
    assert_eq!(failure.code, "still_running");
    assert!(failure.message.contains("strata-task-20261124-000000-0001-00000000"), "{failure}");
    docker.stop(&Stop { id, service: "task".to_owned(), timeout: None }).await.unwrap();
    assert_eq!(run(&night).await.ending, Ending::Done);
}

/// Nobody knows what it has written, and no user has: the copies of before are what the site goes on with.
#[tokio::test]
async fn what_a_task_has_written_goes_back_by_the_savepoint_before_it() {
    for (task, swapped) in [(format!("{SEED};"), true), (String::new(), false)] {
        let night =
            night(&format!("{STOP} pg_savepoint(#{{ mode: \"always\" }}); {task} fail(\"own\", \"here\");"));
        let before = night.world.running();
        let ending = run(&night).await.ending;
        assert!(matches!(ending, Ending::TakenBack { .. }), "{ending:?}");
        let log = night.world.log();
        let back =
            log.iter().any(|line| line.starts_with("rename strata_production to strata_production__failed_"));
        assert_eq!(back, swapped, "{log:?}");
        assert_eq!(night.world.running(), before);
    }
}
