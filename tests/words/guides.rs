//! The guides in `docs/`, followed as somebody would who has nothing but the binary and a simulated site: each command that
//! they name is typed, each file that they show is put where they say, and what they show of a screen has to be on it.
//!
//! In a `console` block a line that begins with `$ ` is typed, one behind the other in the same folder; `# exit 7` behind it says how it ends where
//! that is not with 0; the lines below it are what is seen, with `...` for any number of others. A block whose first line is
//! a comment with nothing but a path is a file. `<!-- site: NAME.toml -->` begins anew on another ready site.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use minisign::KeyPair;

use super::sites::{folder, plain};

const GUIDES: [&str; 3] = ["operating", "changing", "shipping"];

#[test]
fn every_command_of_the_guides_does_what_they_say() {
    for guide in GUIDES {
        let typed = followed(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{guide}.md")));
        assert!(typed >= 6, "{guide}: only {typed} commands were typed");
    }
}

/// What sites ask for, in ten lines at most, and its own test says that it does it.
#[test]
fn every_change_of_the_examples_is_small_and_does_what_it_says() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/changes");
    let mut changes: Vec<_> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    changes.retain(|path| path.is_dir());
    assert!(changes.len() >= 10, "{changes:?}");
    for change in changes {
        let text = |file: &str| fs::read_to_string(change.join(file)).unwrap_or_default();
        let lines =
            text("uplift.toml").lines().count() + text("uplift/hooks/compose/upgrade.rhai").lines().count();
        assert!((1..=10).contains(&lines), "{}: {lines} lines", change.display());
        for words in
            [["runbook", "check", "compose/upgrade"], ["runbook", "test", "uplift/tests/change.rhai"]]
        {
            let output =
                Command::new(env!("CARGO_BIN_EXE_uplift")).args(words).current_dir(&change).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{}: {}", change.display(), String::from_utf8_lossy(&said));
        }
    }
}

/// Goes through a guide; says how many commands it has.
fn followed(guide: &Path) -> usize {
    let text = fs::read_to_string(guide).unwrap();
    let mut desk = Desk::new("plain.toml");
    let (mut block, mut typed): (Option<(usize, Vec<&str>)>, usize) = (None, 0);
    for (at, line) in text.lines().enumerate() {
        let place = || format!("{}:{}", guide.display(), at + 1);
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(_)) => block = Some((at + 1, vec![line])),
            (Some((from, lines)), Some(_)) => {
                let place = format!("{}:{from}", guide.display());
                match lines[0] {
                    "```console" => typed += desk.types(&place, &lines[1..]),
                    _ => desk.puts(&lines[1..]),
                }
                block = None;
            }
            (Some((_, lines)), None) => lines.push(line),
            (None, None) => {
                if let Some(site) =
                    line.strip_prefix("<!-- site: ").and_then(|rest| rest.strip_suffix(" -->"))
                {
                    assert!(Path::new(site).extension().is_some(), "{}: {site}", place());
                    desk = Desk::new(site);
                }
            }
        }
    }
    assert!(block.is_none(), "{}: a block has no end", guide.display());
    typed
}

/// Of the vendor's key.
const PASSWORD: &str = "a password of the guide";

/// Where somebody sits: a folder with the ready sites in it, and a key of a vendor's.
struct Desk {
    folder: tempfile::TempDir,
    site: String,
}

impl Desk {
    fn new(site: &str) -> Self {
        let folder = folder();
        let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sites");
        for entry in fs::read_dir(sites).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let key = KeyPair::generate_encrypted_keypair(Some(PASSWORD.to_owned())).unwrap();
        fs::write(folder.path().join("vendor.key"), key.sk.to_box(None).unwrap().into_string()).unwrap();
        fs::write(folder.path().join("vendor.pub"), key.pk.to_box().unwrap().into_string()).unwrap();
        Self { folder, site: site.to_owned() }
    }

    /// Writes the file that a block shows, if it shows one.
    fn puts(&self, lines: &[&str]) {
        let Some(name) = lines.first().and_then(|line| {
            let name = line.strip_prefix("// ").or_else(|| line.strip_prefix("# "))?;
            let path = !name.contains(' ') && Path::new(name).extension().is_some();
            path.then_some(name)
        }) else {
            return;
        };
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    fn types(&self, place: &str, lines: &[&str]) -> usize {
        let mut typed = 0;
        let mut lines = lines.iter().peekable();
        while let Some(line) = lines.next() {
            let command =
                line.strip_prefix("$ ").unwrap_or_else(|| panic!("{place}: `{line}` belongs to no command"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(*line);
            }
            let (command, exit) = match command.split_once(" # exit ") {
                Some((command, code)) => (command.trim_end(), code.trim().parse().unwrap()),
                None => (command, 0),
            };
            let (shown, ended) = self.sh(command);
            assert_eq!(ended, Some(exit), "{place}: $ {command}\n{shown}");
            let lines: Vec<_> = on_a_real_site(&shown).lines().map(str::trim_end).collect();
            assert!(
                expected.is_empty() || fits(&expected, &lines),
                "{place}: $ {command}\n--- shows\n{shown}--- and not\n{}",
                expected.join("\n")
            );
            typed += 1;
        }
        typed
    }

    fn sh(&self, command: &str) -> (String, Option<i32>) {
        let bin = PathBuf::from(env!("CARGO_BIN_EXE_uplift"));
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("{{ {command}\n}} 2>&1")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.parent().unwrap().display()))
            .env("UPLIFT_SIMULATE", &self.site)
            .env("UPLIFT_KEY_PASSWORD", PASSWORD)
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        (plain(self.folder.path(), &String::from_utf8(output.stdout).unwrap()), output.status.code())
    }
}

/// Whether the lines are those that are expected, `...` standing for any number of them.
fn fits(expected: &[&str], lines: &[&str]) -> bool {
    match (expected, lines) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=lines.len()).any(|skip| fits(rest, &lines[skip..])),
        ([first, rest @ ..], [line, more @ ..]) => first.trim_end() == *line && fits(rest, more),
        _ => false,
    }
}

/// What a screen says on a real site: without the notice that this one is simulated.
fn on_a_real_site(shown: &str) -> &str {
    let Some(rest) = shown.strip_prefix("simulated: ") else { return shown };
    rest.split_once("nothing real is touched\n").map_or(shown, |(_, rest)| rest.trim_start_matches('\n'))
}
