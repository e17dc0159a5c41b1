//! Who may write: the kernel's word alone.

use std::{
    fs,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use uplift::{
    event::ExitClass,
    journal::{Folder, JournalError, Lock, Orphan, orphans},
    site::Scrubber,
};

use super::{
    child::{self, Player},
    story::{RUN, Story, holder, names, open, reader, run},
};

#[test]
fn the_second_is_told_who_has_the_site() {
    let mut story = Story::begun();
    let epoch = story.lock.as_ref().unwrap().epoch();
    let held = |line: &str| {
        let error = Lock::take(&story.folder, holder("")).unwrap_err();
        assert_eq!(error.to_string(), format!("another run holds the site: {line}"));
        assert_eq!((error.code(), error.exit()), ("site_held", ExitClass::Held));
        let watch = format!("wait for it, or watch it: `uplift show {RUN} --follow`");
        assert_eq!(error.hint().unwrap(), watch);
    };
    let by = format!(
        "`uplift upgrade --to 1.2.3` by `alice` on `app1`, process {}, since 2026-11-24 03:15:00 UTC",
        std::process::id()
    );
    held(&format!("run `{RUN}`, {by}"));
    story.lock.as_mut().unwrap().name("another");
    let held_now = Lock::take(&story.folder, holder("")).unwrap_err().to_string();
    assert!(held_now.contains("run `another`,"), "{held_now}");
    story.lock = None;
    let next = Lock::take(&story.folder, holder("")).unwrap();
    assert_eq!(next.epoch(), epoch + 1, "a taking that was refused does not count");
}

/// Holds the site until it is killed.
fn hold(state: &Path) -> ! {
    let (_folder, _lock, writer) = open(state, Scrubber::default());
    writer.begin(run(RUN)).unwrap();
    child::say("held");
    child::wait()
}

#[test]
fn a_killed_run_frees_the_site_at_once() {
    if let Some((_, state)) = child::part() {
        hold(&state);
    }
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join(".uplift");
    let mut run = Player::begin(&[], "lock::a_killed_run_frees_the_site_at_once", "run", &state);
    assert_eq!(run.hear().as_deref(), Some("held"));
    let folder = Folder::find(&state).unwrap();
    let reader = reader(&folder);
    let JournalError::Held { holder: Some(seen) } = Lock::take(&folder, holder("")).unwrap_err() else {
        panic!("not held");
    };
    assert_eq!((seen.pid, &*seen.run), (run.pid(), RUN));
    assert_eq!(reader.holder(), Some(*seen));
    assert!(!reader.run(RUN).unwrap().interrupted);
    run.kill();
    assert_eq!(reader.holder(), None);
    assert!(reader.run(RUN).unwrap().interrupted);
    Lock::take(&folder, holder("")).unwrap();
}

/// Begins a command that inherits the descriptor, as every command of a run does, and waits to be killed.
fn begin_sleep(state: &Path) {
    let (_folder, lock, _writer) = open(state, Scrubber::default());
    let mut sleep = sleep(lock.children().unwrap());
    child::say(&sleep.id().to_string());
    sleep.wait().unwrap();
}

fn sleep(children: OwnedFd) -> std::process::Child {
    Command::new("sleep").arg("600").stdin(Stdio::from(children)).stdout(Stdio::null()).spawn().unwrap()
}

/// Ends a process that is nobody's child any more.
struct End(u32);

impl Drop for End {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.cast_signed()).unwrap();
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
fn a_command_that_outlives_a_killed_run_keeps_the_next_one_out() {
    if let Some((_, state)) = child::part() {
        return begin_sleep(&state);
    }
    let site = tempfile::tempdir().unwrap();
    let state = site.path().join(".uplift");
    let test = "lock::a_command_that_outlives_a_killed_run_keeps_the_next_one_out";
    let mut run = Player::begin(&[], test, "run", &state);
    let pid: u32 = run.hear().unwrap().parse().unwrap();
    let sleep = End(pid);
    let folder = Folder::find(&state).unwrap();
    assert_eq!(Lock::take(&folder, holder("")).unwrap_err().code(), "site_held");
    run.kill();

    let error = Lock::take(&folder, holder("")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("a command of an earlier run is still at work: `sleep 600` (process {pid})")
    );
    assert_eq!((error.code(), error.exit()), ("still_working", ExitClass::Held));
    assert_eq!(error.hint().unwrap(), format!("let it finish, or stop it: `kill {pid}`"));
    assert_eq!(orphans(&folder).unwrap(), [Orphan { pid, command: "sleep 600".to_owned() }]);
    drop(sleep);
    let free = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Lock::take(&folder, holder("")).is_ok()
    });
    assert!(free, "the site is free once the command has ended");
    assert!(orphans(&folder).unwrap().is_empty());
}

/// A run that ends in good order does not free the site in the hands of what it has left behind either.
#[test]
fn a_lock_that_is_dropped_leaves_the_descriptor_with_the_command() {
    let mut story = Story::locked(Scrubber::default());
    let mut sleep = sleep(story.lock.as_ref().unwrap().children().unwrap());
    story.lock = None;
    let refused = Lock::take(&story.folder, holder(""));
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    assert_eq!(refused.unwrap_err().code(), "still_working");
    Lock::take(&story.folder, holder("")).unwrap();
}

#[test]
fn a_stale_name_is_never_believed() {
    let mut story = Story::begun();
    let shown = story.folder.path().join("lock.json");
    let alive = fs::read(&shown).unwrap();
    story.lock = None;
    assert_eq!(fs::read(&shown).unwrap(), b"", "a run that ends takes its name away");
    let elsewhere = |text: &[u8]| {
        let mut holder: serde_json::Value = serde_json::from_slice(text).unwrap();
        holder["space"] = json!("pid:[1]");
        holder.to_string().into_bytes()
    };
    let reader = reader(&story.folder);
    for stale in [alive.clone(), elsewhere(&alive), b"{\"run\": ".to_vec()] {
        fs::write(&shown, &stale).unwrap();
        let text = String::from_utf8(stale).unwrap();
        assert_eq!(reader.holder(), None, "{text}");
        assert!(reader.run(RUN).unwrap().interrupted, "{text}");
        Lock::take(&story.folder, holder("")).unwrap();
    }
}

/// The file says another process than the one that has the lock: nobody is named rather than the wrong one.
#[test]
fn a_name_that_does_not_fit_the_kernels_word_is_left_out() {
    let story = Story::begun();
    let shown = story.folder.path().join("lock.json");
    let mut other: serde_json::Value = serde_json::from_slice(&fs::read(&shown).unwrap()).unwrap();
    other["pid"] = json!(1);
    fs::write(&shown, other.to_string()).unwrap();
    let error = Lock::take(&story.folder, holder("")).unwrap_err();
    assert_eq!(error.to_string(), "another run holds the site");
    assert_eq!(reader(&story.folder).holder(), None);
}

/// The kernel's table is read in pieces, and moves up whenever any lock of the host ends.
#[test]
fn a_holder_is_seen_whatever_else_is_locked_and_freed_meanwhile() {
    let mut story = Story::begun();
    let reader = reader(&story.folder);
    let stop = AtomicBool::new(false);
    let others = tempfile::tempdir().unwrap();
    let churn = |name: &str| {
        let file = fs::File::create(others.path().join(name)).unwrap();
        while !stop.load(Ordering::Relaxed) {
            file.lock().unwrap();
            file.unlock().unwrap();
        }
    };
    let unseen = std::thread::scope(|scope| {
        for name in ["a", "b"] {
            scope.spawn(move || churn(name));
        }
        let unseen =
            (0..500).filter(|_| reader.run(RUN).unwrap().interrupted || reader.holder().is_none()).count();
        stop.store(true, Ordering::Relaxed);
        unseen
    });
    assert_eq!(unseen, 0, "of 500 looks");
    story.lock = None;
    assert_eq!(reader.holder(), None);
}

#[test]
fn looking_takes_no_lock() {
    let mut story = Story::begun();
    let reader = reader(&story.folder);
    let before = names(story.folder.path());
    story.lock = None;
    reader.runs().unwrap();
    let _lock = Lock::take(&story.folder, holder("")).unwrap();
    reader.runs().unwrap();
    assert_eq!(names(story.folder.path()), before);
}
