//! The ready sites of `examples/sites`, tried as somebody would who has nothing but the binary: the commands that each file
//! names in its first lines, in that order, each in a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder whose name is as long everywhere, because lines break at it.
fn folder() -> tempfile::TempDir {
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
fn plain(folder: &Path, text: &str) -> String {
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

fn sites() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sites");
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    all.sort();
    all
}

#[test]
fn every_ready_site_does_what_it_says() {
    let sites = sites();
    assert!(sites.len() >= 6, "{sites:?}");
    for site in sites {
        let (folder, file) = (folder(), site.file_name().unwrap().to_str().unwrap());
        fs::copy(&site, folder.path().join(file)).unwrap();
        let text = fs::read_to_string(&site).unwrap();
        let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# $ ")).collect();
        assert!(commands.len() >= 3, "{file} names no commands to try");
        let mut page = String::new();
        for command in commands {
            let words: Vec<_> = ["--simulate", file].into_iter().chain(command.split(' ')).collect();
            let (shown, exit) = types(folder.path(), &words);
            let ended = exit.map_or("killed".to_owned(), |code| format!("exit {code}"));
            page.extend([format!("$ uplift --simulate {file} {command}\n{shown}---- {ended}\n")]);
        }
        super::golden(&format!("site_{}", site.file_stem().unwrap().display()), &page);
    }
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
    let (shown, exit) = types(folder.path(), &["--simulate", "mine.toml", "-C", "/srv/strata", "status"]);
    assert!(exit == Some(2) && shown.contains("cannot be used with"), "{shown}");
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
