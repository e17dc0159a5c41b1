//! The state folder: whose it is, who may open it, and what is not taken for it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
};

use uplift::{
    event::{ExitClass, Failure},
    journal::{Folder, JournalError, Lock, Reader},
    site::Scrubber,
};

use super::{
    child::{self, Player},
    story::{RUN, Story, holder, names, open, run},
};

/// Two numbers that belong to nobody else here.
const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("not tried: giving files to others needs root");
    }
    root
}

#[test]
fn folder_and_files_are_for_their_owner_alone() {
    let story = Story::begun();
    let state = story.folder.path();
    assert_eq!(mode(state), 0o700);
    let names = names(state);
    assert_eq!(
        names,
        [
            "children.lock",
            "journal.db",
            "journal.db-shm",
            "journal.db-wal",
            "journal.mark",
            "journal.reserve",
            "lock",
            "lock.json"
        ]
    );
    for name in names {
        assert_eq!(mode(&state.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_folder_open_to_others_is_closed_to_them() {
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join(".uplift");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    Folder::prepare(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
}

#[test]
fn root_leaves_everything_to_the_owner_of_the_site() {
    if !root() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join(".uplift");
    chown(site.path(), Some(NOBODY), Some(NOBODY - 1)).unwrap();
    let (_folder, _lock, writer) = open(&state, Scrubber::default());
    writer.begin(run(RUN)).unwrap();
    for path in names(&state).iter().map(|name| state.join(name)).chain([state.clone()]) {
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid()), (NOBODY, NOBODY - 1), "{}", path.display());
    }
}

#[test]
fn a_folder_that_is_there_keeps_its_own_owner() {
    if !root() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join("elsewhere");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let _open = open(&state, Scrubber::default());
    assert_eq!(fs::metadata(&state).unwrap().uid(), NOBODY);
    assert_eq!(fs::metadata(state.join("journal.db")).unwrap().uid(), NOBODY);
}

#[test]
fn a_link_or_a_file_in_place_of_the_folder_is_refused() {
    let site = tempfile::tempdir().unwrap();
    let (state, other) = (site.path().join(".uplift"), site.path().join("other"));
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&other, &state).unwrap();
    let refused = |what: &str| {
        let error = Folder::prepare(&state).unwrap_err();
        let path = state.display();
        assert_eq!(
            error.to_string(),
            format!("`{path}` is {what}: the journal's own files and folder must lie there themselves")
        );
        assert_eq!((error.code(), error.exit()), ("not_a_folder", ExitClass::Refused));
        fs::remove_file(&state).unwrap();
    };
    refused("a link");
    assert_eq!((mode(&other), names(&other).len()), (0o755, 0), "what the link leads to is not touched");
    fs::write(&state, "mine").unwrap();
    refused("a file");
    symlink(site.path().join("nowhere"), &state).unwrap();
    refused("a link");
}

#[test]
fn a_link_in_place_of_a_file_is_refused_and_not_followed() {
    for name in ["lock", "children.lock", "journal.db", "lock.json", "journal.reserve"] {
        let site = tempfile::tempdir().unwrap();
        let victim = site.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let folder = Folder::prepare(&site.path().join(".uplift")).unwrap();
        symlink(&victim, folder.path().join(name)).unwrap();
        let begun = Lock::take(&folder, holder(RUN)).and_then(|lock| {
            let writer = uplift::journal::Writer::open(&folder, &lock, Scrubber::default())?;
            writer.begin(run(RUN))
        });
        let error = begun.expect_err(name);
        assert!(
            matches!(&error, JournalError::NotOurs { what, .. } if what == "a link"),
            "{name}: {error:?}"
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
    }
}

/// What another user is told, a line each.
fn as_another(state: &Path) {
    let error = Folder::prepare(state).expect_err("somebody else's folder was taken");
    child::say(&error.to_string());
    child::say(&Failure::from(&error).hint.unwrap());
    let looked = Folder::find(state).map(|folder| Reader::open(&folder).unwrap_err().to_string());
    child::say(&looked.unwrap_or_default());
}

#[test]
fn another_user_is_refused_with_the_line_to_type() {
    if let Some((_, state)) = child::part() {
        return as_another(&state);
    }
    if !root() {
        let error = Folder::prepare(Path::new("/.uplift")).unwrap_err();
        assert_eq!(error.code(), "not_owner");
        return;
    }
    let site = tempfile::tempdir().unwrap();
    fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = site.path().join(".uplift");
    let test = "folder::another_user_is_refused_with_the_line_to_type";
    let by = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(OsStr::new);
    for (made, place) in [(false, site.path()), (true, &state)] {
        if made {
            Folder::prepare(&state).unwrap();
        }
        let mut other = Player::begin(&by, test, "another", &state);
        let Some(words) = other.hear() else {
            println!("not tried: the test binary lies where others may not start it");
            return;
        };
        assert!(
            words.starts_with(&format!("`{}` belongs to user `root`, and you are user", place.display())),
            "{words}"
        );
        let hint = other.hear().unwrap();
        assert!(hint.starts_with("type `sudo /") && hint.ends_with("--nocapture`"), "{hint}");
        assert_eq!(
            other.hear().unwrap(),
            if made { words } else { String::new() },
            "a reader is told the same"
        );
        assert!(other.ended_well());
    }
    assert!(names(&state).is_empty());
}

#[test]
fn readers_make_nothing() {
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join(".uplift");
    assert!(Folder::find(&state).is_none());
    assert!(names(site.path()).is_empty());
    fs::create_dir(&state).unwrap();
    let folder = Folder::find(&state).unwrap();
    assert!(Reader::open(&folder).unwrap().is_none());
    fs::write(folder.journal(), "").unwrap();
    assert!(Reader::open(&folder).unwrap().is_none());
    assert_eq!(names(&state), ["journal.db"]);
    fs::write(site.path().join("file"), "").unwrap();
    assert!(Folder::find(&site.path().join("file")).is_none());
}
