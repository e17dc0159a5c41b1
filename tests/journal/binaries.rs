//! What one binary has begun, in the hands of another that was built from a later commit: `tests/later/build` builds it. Each
//! command is a process of its own, on a simulated site that is kept between them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use uplift::{
    World,
    sim::{Origin, Picture},
};

/// Which binary is typed.
#[derive(Clone, Copy)]
enum By {
    Today,
    /// One primitive has version 2, and reads what version 1 wrote.
    Later,
    /// It has forgotten how.
    Forgetful,
}

impl By {
    fn path(self) -> PathBuf {
        match self {
            Self::Today => env!("CARGO_BIN_EXE_uplift").into(),
            Self::Later => built().join("later"),
            Self::Forgetful => built().join("forgetful"),
        }
    }
}

/// Where the others lie, once they are built.
fn built() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(Command::new(root.join("tests/later/build")).status().unwrap().success());
        root.join("target/later")
    });
    &BUILT
}

/// A folder with a simulated site.
struct Desk {
    folder: tempfile::TempDir,
    site: String,
}

impl Desk {
    /// Its machine dies right after the change whose line begins so, if there is one.
    fn dying_at(line: Option<&str>) -> Self {
        let fault = |at: &str| format!("[[fault]]\nat = \"{at}\"\nhow = \"kill_after\"\n");
        let head = "format = 1\nnow = \"2026-11-24T03:15:00Z\"\n";
        let site = format!("{head}{}", line.map(fault).unwrap_or_default());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.toml"), &site).unwrap();
        fs::write(folder.path().join("mine.rhai"), MINE).unwrap();
        Self { folder, site }
    }

    /// What has happened to it so far, for [`Desk::as_saved`].
    fn saved(&self) -> tempfile::TempDir {
        let saved = tempfile::tempdir().unwrap();
        copy(&self.kept(), &saved.path().join("kept"));
        saved
    }

    /// The same site once more, in the same place: a run that has begun knows its folders by their paths.
    fn as_saved(&self, saved: &tempfile::TempDir) {
        fs::remove_dir_all(self.kept()).unwrap();
        copy(&saved.path().join("kept"), &self.kept());
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("site.simulated")
    }

    /// The site as its file keeps it; as it begins, where nothing has happened yet.
    fn world(&self) -> World {
        let folder = std::path::absolute(self.kept()).unwrap();
        let origin = Origin { hash: blake3::hash(self.site.as_bytes()).to_hex().to_string(), folder };
        let text = fs::read_to_string(self.kept().join("world.json"));
        text.map_or_else(|_| World::written(&self.site), |text| World::kept(&text, &origin)).unwrap()
    }

    /// The words on the screen, and the exit code; `None` if it was killed.
    fn types(&self, by: By, line: &str) -> (String, Option<i32>) {
        let output = Command::new(by.path())
            .args(["--simulate", "site.toml", "-y"])
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .unwrap();
        let shown = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
        println!("$ {} {line}\n{shown}---- {:?}\n", by.path().display(), output.status.code());
        (shown, output.status.code())
    }

    /// It ends so, and says all this. Lines that were broken for the screen count as one.
    fn says(&self, by: By, line: &str, exit: Option<i32>, words: &[&str]) {
        let (shown, ended) = self.types(by, line);
        assert_eq!(ended, exit, "{line}: {shown}");
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in words {
            assert!(flat.contains(words), "`{words}` is not in what `{line}` says: {shown}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// The running site, but for what merely lies beside it.
fn runs(world: &World) -> Picture {
    let mut picture = world.running();
    picture.files.retain(|path, _| !path.starts_with(env::temp_dir()));
    picture
}

/// A runbook that never asked for what is gone by now.
const MINE: &str = r#"
const RUNBOOK = #{ api: 1, summary: "a savepoint, and another value" };

step "savepoint" {
    compose_stop(#{ services: [site::job, site::web], hold: true });
    pg_savepoint();
}
step "settings" { env_set(#{ WEB_CONCURRENCY: "7" }); }
step "start" { compose_up(#{ services: [site::web, site::job] }); }
"#;

const UPGRADE: &str = "upgrade --to 1.1.0";

/// Killed while the new release was tried in the dark, and after users could reach it.
#[test]
#[ignore = "builds another binary"]
fn an_upgrade_that_was_killed_is_taken_back_by_the_later_one() {
    for (line, asks) in [("run strata-trial", false), ("up web", true)] {
        let desk = Desk::dying_at(Some(line));
        let before = runs(&desk.world());
        desk.says(By::Today, UPGRADE, None, &[]);
        let killed = runs(&desk.world());
        assert_ne!(killed, before);
        desk.says(
            By::Later,
            "status",
            Some(9),
            &["is not finished (interrupted)", "take it back: uplift --simulate site.toml rollback"],
        );
        let saved = desk.saved();
        not_resumed(&desk);
        back(&desk, By::Later, &before, asks);
        desk.as_saved(&saved);
        desk.says(By::Today, "resume", Some(0), &[]);
        desk.as_saved(&saved);
        read_by_nobody_who_forgot(&desk, &before, asks);
        desk.as_saved(&saved);
        desk.says(By::Later, "rollback --dry-run", Some(0), &["copy 4 databases on their server"]);
        assert_eq!(runs(&desk.world()), killed, "a look changes nothing");
        back(&desk, By::Later, &before, asks);
    }
}

/// Taken back, by a person's word where users could write, and as before.
fn back(desk: &Desk, by: By, before: &Picture, asks: bool) {
    if asks {
        desk.says(by, "rollback", Some(7), &["--choose restore-data"]);
        desk.says(by, "rollback --choose restore-data --reason tried", Some(0), &[]);
    } else {
        desk.says(by, "rollback", Some(0), &[]);
    }
    assert_eq!(runs(&desk.world()), *before);
    desk.says(By::Later, "status", Some(0), &[]);
}

/// The option that its runbook asks for is gone.
fn not_resumed(desk: &Desk) {
    let stands = runs(&desk.world());
    let words =
        ["does not understand the runbook that the run began with", "`pg_savepoint` has no option `mode`"];
    desk.says(By::Later, "resume --dry-run", Some(1), &words);
    desk.says(By::Later, "resume", Some(1), &words);
    desk.says(By::Later, "resume", Some(1), &["rollback", "or resume with uplift 0.1.0, which began it"]);
    assert_eq!(runs(&desk.world()), stands, "nothing was done");
}

fn read_by_nobody_who_forgot(desk: &Desk, before: &Picture, asks: bool) {
    let stands = runs(&desk.world());
    let words = [
        "`pg_savepoint` cannot read what its version 1 wrote",
        "take the run back with uplift 0.1.0, which began it: `uplift --simulate site.toml rollback 2026",
    ];
    desk.says(By::Forgetful, "rollback --dry-run", Some(1), &words);
    desk.says(By::Forgetful, "rollback", Some(1), &words);
    assert_eq!(runs(&desk.world()), stands, "nothing was touched");
    back(desk, By::Today, before, asks);
}

/// The same call with the same options: the versions alone differ.
#[test]
#[ignore = "builds another binary"]
fn a_run_of_another_version_is_shown_side_by_side_and_goes_back() {
    let desk = Desk::dying_at(Some("write /srv/strata/.env"));
    let before = runs(&desk.world());
    desk.says(By::Today, "run ./mine.rhai", None, &[]);
    let stands = runs(&desk.world());
    let words = [
        "journal: savepoint/pg_savepoint#1 {} (version 1)",
        "now: savepoint/pg_savepoint#1 {} (version 2)",
        "rollback",
    ];
    desk.says(By::Later, "resume", Some(9), &words);
    assert_eq!(runs(&desk.world()), stands, "nothing was done");
    desk.says(By::Today, "status", Some(9), &["rollback"]);
    back(&desk, By::Later, &before, false);
}

/// What the later binary makes of a finished upgrade is what today's would have made of it.
#[test]
#[ignore = "builds another binary"]
fn a_finished_upgrade_is_returned_from_by_the_later_one() {
    const RETURN: &str = "rollback --restore-data always --jobs run";
    let desk = Desk::dying_at(None);
    let before = runs(&desk.world());
    desk.says(By::Today, UPGRADE, Some(0), &[]);
    let (saved, upgraded) = (desk.saved(), runs(&desk.world()));
    desk.says(By::Today, RETURN, Some(0), &[]);
    let returned = runs(&desk.world());
    desk.as_saved(&saved);
    desk.says(By::Later, "rollback --list", Some(0), &["1.0.0"]);
    desk.says(By::Later, &format!("{RETURN} --dry-run"), Some(0), &[]);
    assert_eq!(runs(&desk.world()), upgraded, "a look changes nothing");
    desk.says(By::Later, RETURN, Some(0), &[]);
    assert_eq!(runs(&desk.world()), returned);
    assert_eq!(runs(&desk.world()).databases, before.databases, "the data is that of before");
    let words = [
        "`pg_savepoint` cannot read what its version 1 wrote",
        "return from it with uplift 0.1.0, which made it: `uplift --simulate site.toml rollback 2026",
    ];
    desk.as_saved(&saved);
    desk.says(By::Forgetful, RETURN, Some(1), &words);
    assert_eq!(runs(&desk.world()), upgraded, "nothing was touched");
}
