//! The ready sites of `examples/sites`, tried as somebody would who has nothing but the binary: the commands that each file
//! names in its first lines, in that order, each in a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder whose name is as long everywhere, because lines break at it.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("s").rand_bytes(6).tempdir_in("/tmp").unwrap()
}

/// What is on the screen, and how it ended.
fn types(folder: &Path, words: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_uplift"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let text = [output.stderr, output.stdout].concat();
    (plain(folder, &String::from_utf8(text).unwrap()), output.status.code())
}

/// Without what differs from one try to the next.
pub(super) fn plain(folder: &Path, text: &str) -> String {
    let mut text = text.replace(&folder.display().to_string(), "/tmp/sites00");
    let by = uplift::who();
    text = text.replace(&format!(" by {by}:"), " by you@here:");
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let is_run = |id: &[u8]| {
        digits(&id[..8])
            && matches!(id[8], b'-' | b'_')
            && digits(&id[9..15])
            && id[15] == id[8]
            && id[16..20].iter().all(u8::is_ascii_hexdigit)
    };
    let mut bytes = text.into_bytes();
    for at in 0..bytes.len().saturating_sub(19) {
        if is_run(&bytes[at..at + 20]) {
            bytes[at + 16..at + 20].copy_from_slice(b"7f3a");
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn sites(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    all.sort();
    all
}

#[test]
fn every_ready_site_does_what_it_says() {
    let sites = sites("examples/sites");
    assert!(sites.len() >= 6, "{sites:?}");
    for site in &sites {
        tried("site", site);
    }
}

/// Whoever has only the screen after a crash knows what is true, and what to type.
#[test]
fn after_every_crash_the_screen_leads_on() {
    let crashes = sites("tests/words/crashes");
    assert!(crashes.len() >= 5, "{crashes:?}");
    for crash in crashes {
        tried("crash", &crash);
        let page = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("tests/words/screens/crash_{}.txt", crash.file_stem().unwrap().display())),
        );
        let page = page.unwrap();
        assert!(page.contains("---- killed"), "{}: it was to be killed", crash.display());
        assert!(page.trim_end().ends_with("---- exit 0"), "{}: it ends well", crash.display());
    }
}

/// Types the commands that the file names, and compares what is on the screen.
fn tried(kind: &str, site: &Path) {
    let (folder, file) = (folder(), site.file_name().unwrap().to_str().unwrap());
    fs::copy(site, folder.path().join(file)).unwrap();
    let text = fs::read_to_string(site).unwrap();
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# $ ")).collect();
    assert!(commands.len() >= 3, "{file} names no commands to try");
    let mut page = String::new();
    for command in commands {
        let words: Vec<_> = ["--simulate", file].into_iter().chain(command.split(' ')).collect();
        let (shown, exit) = types(folder.path(), &words);
        let ended = exit.map_or("killed".to_owned(), |code| format!("exit {code}"));
        page.extend([format!("$ uplift --simulate {file} {command}\n{shown}---- {ended}\n")]);
    }
    super::golden(&format!("{kind}_{}", site.file_stem().unwrap().display()), &page);
}

/// A plan and a look create no file, not even the folder of the simulated site.
#[test]
fn who_only_looks_leaves_nothing_behind() {
    let folder = folder();
    fs::write(folder.path().join("mine.toml"), "format = 1\n").unwrap();
    for command in ["status", "upgrade --to 1.1.0 --dry-run", "backup list", "history", "init --dry-run"] {
        let words: Vec<_> = ["--simulate", "mine.toml"].into_iter().chain(command.split(' ')).collect();
        let (shown, exit) = types(folder.path(), &words);
        assert_eq!(exit, Some(0), "{shown}");
        assert!(shown.starts_with("simulated: the site of `mine.toml`"), "{shown}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_world_file_that_cannot_be_meant_is_refused() {
    let folder = folder();
    let file = folder.path().join("mine.toml");
    let mut page = String::new();
    for text in [
        "",
        "format = 2",
        "format = 1\n[sit]\njob = \"job\"",
        "format = 1\n[site]\njob = \"web\"",
        "format = 1\n[site]\nstopped = [\"jop\"]",
        "format = 1\n[disk.\"/var/lib/dokcer\"]\nfree = \"5GiB\"",
        "format = 1\n[disk.\"/\"]\nfree = \"5 parsecs\"",
        "format = 1\n[[fault]]\nat = \"up web\"\nhow = \"kill\"",
        "format = 1\n[[release]]\ntag = \"2.0.0\"\nlike = \"1.1\"",
        "format = 1\n[[release]]\ntag = \"2.0.0\"\nraises = \"20261001080000_none.rb\"",
    ] {
        fs::write(&file, text).unwrap();
        let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "status"]);
        assert_eq!(exit, Some(2), "{text}: {shown}");
        page.extend([format!("{text}\n\n{shown}\n")]);
    }
    let (shown, exit) = types(folder.path(), &["--simulate", "nowhere.toml", "status"]);
    assert_eq!(exit, Some(2), "{shown}");
    page += &shown;
    super::golden("simulated_wrong", &page);
    for line in [
        "--simulate mine.toml -C /srv/strata status",
        "-C /srv/strata status --simulate mine.toml",
        "--simulate mine.toml restore X --into /tmp/x -y",
    ] {
        fs::write(&file, "format = 1").unwrap();
        let (shown, exit) = types(folder.path(), &line.split(' ').collect::<Vec<_>>());
        assert!(exit == Some(2) && shown.contains("simulate"), "{line}: {shown}");
    }
}

/// A runbook of one's own lies on the real disk, beside the world file.
#[test]
fn a_runbook_of_ones_own_runs_on_a_simulated_site() {
    let folder = folder();
    fs::write(folder.path().join("mine.toml"), "format = 1").unwrap();
    let text = "const RUNBOOK = #{ api: 1, summary: \"stop the worker\" };\nstep \"stop\" { compose_stop(#{ services: [site::job] }); }\n";
    fs::write(folder.path().join("mine.rhai"), text).unwrap();
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "run", "./mine.rhai", "-y"]);
    assert_eq!(exit, Some(0), "{shown}");
    let (shown, _) = types(folder.path(), &["--simulate", "mine.toml", "status"]);
    assert!(shown.contains("job         `server:1.0.0` stopped"), "{shown}");
}

/// What one command has done is not written over by another that has read the site before.
#[test]
fn two_commands_do_not_undo_each_other() {
    let folder = folder();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "format = 1").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let open = || runtime.block_on(uplift::Simulated::open(&file)).unwrap();
    let slow = open();
    let made = types(folder.path(), &["--simulate", "mine.toml", "backup", "create", "-y"]);
    assert_eq!(made.1, Some(0), "{}", made.0);
    let begun = runtime.block_on(async {
        let host = slow.host().open().await.unwrap();
        let runbook = host.runbook("compose/backup", &std::collections::BTreeMap::new()).await.unwrap();
        let plan = runbook.plan().await;
        runbook.start(plan, "uplift backup create").await.map(drop)
    });
    let failure = begun.expect_err("it has read another site").failure();
    assert_eq!(failure.code, "world_changed", "{failure:?}");
    drop(slow);
    let listed = types(folder.path(), &["--simulate", "mine.toml", "backup", "list"]);
    assert!(listed.0.contains("by reading"), "{}", listed.0);
    // Under another name in another place it is the same site.
    fs::create_dir(folder.path().join("moved")).unwrap();
    for name in ["mine.toml", "mine.simulated"] {
        fs::rename(folder.path().join(name), folder.path().join("moved").join(name)).unwrap();
    }
    let listed = types(folder.path(), &["--simulate", "moved/mine.toml", "backup", "list"]);
    assert!(listed.0.contains("by reading"), "{}", listed.0);
}

/// Its past belongs to the world that it began with.
#[test]
fn a_simulated_site_is_not_taken_up_by_another_beginning() {
    let folder = folder();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "format = 1\n").unwrap();
    let made = types(folder.path(), &["--simulate", "mine.toml", "backup", "create", "-y"]);
    assert_eq!(made.1, Some(0), "{}", made.0);
    let listed = types(folder.path(), &["--simulate", "mine.toml", "backup", "list"]);
    assert!(listed.0.contains("by reading"), "the next command finds it: {}", listed.0);
    fs::write(&file, "format = 1\n[site]\njob = \"worker\"\n").unwrap();
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "status"]);
    assert!(exit == Some(2) && shown.contains("begin anew: `rm -r /tmp/sites00/mine.simulated`"), "{shown}");
    fs::write(folder.path().join("mine.simulated/world.json"), "{").unwrap();
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "status"]);
    assert!(exit == Some(2) && shown.contains("it is damaged"), "{shown}");
}

/// Web is gone, and the run waits: whoever starts it by hand lets users write what no copy has.
#[test]
fn a_site_without_its_web_is_called_down() {
    let folder = folder();
    let text = "format = 1\n[[fault]]\nat = \"up web: create\"\nhow = \"fail_before\"\n";
    fs::write(folder.path().join("mine.toml"), text).unwrap();
    let words = ["--simulate", "mine.toml", "upgrade", "--to", "1.1.0", "-y"];
    assert_eq!(types(folder.path(), &words).1, Some(7));
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "status"]);
    assert!(exit == Some(7) && shown.contains("\nDOWN "), "{shown}");
    // A hint from far below names this site too.
    let (shown, _) = types(folder.path(), &["--simulate", "mine.toml", "restore", "none", "-y"]);
    assert!(!shown.contains("`uplift s") && !shown.contains("`uplift b"), "{shown}");
}

/// A plan of which only a part reached its file is none: whoever keeps it learns that at once.
#[test]
fn what_cannot_be_written_ends_a_command_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("plain.toml");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sites/plain.toml"), &site).unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let plan = Command::new(env!("CARGO_BIN_EXE_uplift"))
        .arg("--simulate")
        .arg(&site)
        .args(["upgrade", "--to", "1.1.0", "--dry-run", "-o", "json"])
        .stdout(full)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&plan.stderr);
    assert_eq!(plan.status.code(), Some(1), "{said}");
    assert!(said.contains("could not be written: no space left on device"), "{said}");
}

/// What lies beside a world file as it would in a site's folder is the site's own; what the file itself puts there comes first.
#[test]
fn what_lies_beside_the_file_is_the_sites_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let own = "[site]\nproject = \"another\"\n[params.\"compose/upgrade\"]\npatience = \"21m\"\n[grants]\nexec = [\"/bin/note\"]\n";
    put("uplift.toml", own);
    let token = put("uplift/token", "token-of-many-letters\n");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let hook =
        "exec(#{ command: [\"/bin/note\"], secrets: #{ A: \"file:uplift/token\" }, leaves_nothing: true });";
    put("uplift/hooks/compose/upgrade.rhai", &format!("fn before_check() {{ {hook} }}"));
    put("mine.toml", "format = 1\n[[program]]\npath = \"/bin/note\"\n");
    put("other.toml", "format = 1\n[[file]]\npath = \"/srv/strata/uplift.toml\"\ntext = \"\"\n");
    let plan =
        |file: &str| types(folder.path(), &["--simulate", file, "upgrade", "--to", "1.1.0", "--dry-run"]);
    let (shown, exit) = plan("mine.toml");
    assert!(shown.contains("patience=21m") && shown.contains("/bin/note"), "{shown}");
    assert_eq!(exit, Some(0), "a secret keeps its permissions: {shown}");
    let (shown, exit) = plan("other.toml");
    assert!(shown.contains("patience=10m") && shown.contains("does not let runbooks start"), "{shown}");
    assert_eq!(exit, Some(1), "{shown}");
    put("uplift/large", &"x".repeat(17 << 20));
    let (shown, exit) = plan("mine.toml");
    assert!(shown.contains("more than 16 MiB"), "{shown}");
    assert_eq!(exit, Some(2), "{shown}");
}

/// One runbook that is not in order hides none of the others; and a plan that ends early says so of each of its figures.
#[test]
fn what_is_not_known_is_not_said() {
    let folder = folder();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("mine.toml", "format = 1\n[[program]]\npath = \"/bin/ask\"\n");
    put("uplift.toml", "[grants]\nexec = [\"/bin/ask\"]\n");
    put("uplift/broken.rhai", "const RUNBOOK = ");
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "runbook", "list"]);
    assert!(shown.contains("compose/prune") && shown.contains("runbook check broken` says why"), "{shown}");
    assert_eq!(exit, Some(2), "{shown}");
    put("uplift/broken.rhai", "const RUNBOOK = #{ api: 1, summary: \"whole\" };");
    let looks = "fn before_check() { if exec(#{ command: [\"/bin/ask\"] }).stdout == \"no\" { fail(\"no\", \"no\"); } }";
    put("uplift/hooks/compose/upgrade.rhai", looks);
    let words = ["--simulate", "mine.toml", "upgrade", "--to", "1.1.0", "--dry-run"];
    let (shown, _) = types(folder.path(), &words);
    assert!(shown.contains("away        as far as it is planned: no service"), "{shown}");
    assert!(shown.contains("way back    not known beyond the place where the plan ends"), "{shown}");
    assert!(!shown.contains("is taken back by itself"), "{shown}");
}

/// What was well when a run began is asked again, and the screen names that look and no other call.
#[test]
fn a_run_that_is_not_to_go_on_says_what_has_changed_since() {
    let folder = folder();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let world =
        "format = 1\n[[program]]\npath = \"/bin/quiet\"\n[[fault]]\nat = \"pull\"\nhow = \"kill_after\"\n";
    put("mine.toml", world);
    put("uplift.toml", "[grants]\nexec = [\"/bin/quiet\"]\n");
    put(
        "uplift/hooks/compose/upgrade.rhai",
        "fn before_check() { wait_until(#{ exec: [\"/bin/quiet\"] }); }",
    );
    let types = |line: &str| {
        let words: Vec<_> = ["--simulate", "mine.toml"].into_iter().chain(line.split(' ')).collect();
        types(folder.path(), &words)
    };
    assert_eq!(types("upgrade --to 1.1.0 -y").1, None, "it is killed");
    put("uplift.toml", "");
    for line in ["resume --dry-run", "resume"] {
        let (shown, exit) = types(line);
        assert!(shown.contains("when this run began it was well, and is no more"), "{line}: {shown}");
        assert!(!shown.contains("failed      prepare"), "{line}: nothing has failed there: {shown}");
        assert_eq!(exit, Some(1), "{line}: {shown}");
    }
    assert!(types("status").0.contains("refused"), "and it is over");
}

/// Who let a run go on, and why, is what somebody asks a week later.
#[test]
fn a_pause_shows_a_question_and_then_who_has_answered_it() {
    let folder = folder();
    let file = folder.path().join("uplift/hooks/compose/upgrade.rhai");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "fn before_switch_web() { pause(#{ question: \"is it drained?\" }); }").unwrap();
    fs::write(folder.path().join("mine.toml"), "format = 1\n").unwrap();
    let types = |words: &[&str]| types(folder.path(), &[&["--simulate", "mine.toml"], words].concat());
    assert_eq!(types(&["upgrade", "--to", "1.1.0", "-y"]).1, Some(7));
    let (shown, _) = types(&["show"]);
    assert!(shown.contains("  ?     is it drained?") && !shown.contains("FAIL"), "{shown}");
    assert!(!shown.contains("counted"), "nothing was: {shown}");
    assert_eq!(types(&["resume", "--choose", "go", "--reason", "OPS-12"]).1, Some(0));
    let (shown, _) = types(&["show"]);
    assert!(shown.contains("is it drained?:") && shown.contains("said `go`: OPS-12"), "{shown}");
}
