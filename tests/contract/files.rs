use std::path::{Path, PathBuf};

use uplift::ports::files::{CopyFile, File, MakeFolder, Remove, Rename, WriteFile};

use super::{Fixture, code};

fn what() -> String {
    "a test's file".to_owned()
}

async fn write(fixture: &dyn Fixture, path: &Path, text: &str, mode: u32) {
    let (uid, gid) = fixture.owner();
    let file = File { bytes: text.as_bytes().to_vec(), mode, uid, gid };
    fixture.ports().files.write(&WriteFile { path: path.to_owned(), file, what: what() }).await.unwrap();
}

async fn text(fixture: &dyn Fixture, path: &Path) -> Option<String> {
    let file = fixture.ports().files.read(path).await.unwrap();
    file.map(|file| String::from_utf8(file.bytes).unwrap())
}

async fn folder(fixture: &dyn Fixture, name: &str) -> PathBuf {
    let (files, path) = (fixture.ports().files, fixture.scratch().join(name));
    files.remove(&Remove { path: path.clone(), what: what() }).await.unwrap();
    files.make_folder(&MakeFolder { path: path.clone(), what: what() }).await.unwrap();
    path
}

pub(super) async fn a_missing_file_is_none(fixture: &dyn Fixture) {
    let (files, path) = (fixture.ports().files, fixture.scratch().join("missing"));
    assert!(files.read(&path).await.unwrap().is_none());
    assert_eq!(files.hash(&path).await.unwrap(), None);
    assert_eq!(files.size(&path).await.unwrap(), None);
    assert!(files.list(&path).await.unwrap().is_empty());
}

pub(super) async fn a_written_file_has_its_content_and_mode(fixture: &dyn Fixture) {
    let (files, path) = (fixture.ports().files, folder(fixture, "written").await.join("a"));
    write(fixture, &path, "one", 0o640).await;
    let file = files.read(&path).await.unwrap().unwrap();
    assert_eq!(
        (file.bytes.as_slice(), file.mode, (file.uid, file.gid)),
        (&b"one"[..], 0o640, fixture.owner())
    );
    assert_eq!(files.size(&path).await.unwrap(), Some(3));
    let expected = blake3::hash(b"one").to_hex().to_string();
    assert_eq!(files.hash(&path).await.unwrap(), Some(expected));
}

pub(super) async fn a_file_is_replaced_as_a_whole(fixture: &dyn Fixture) {
    let folder = folder(fixture, "replaced").await;
    let path = folder.join("a");
    write(fixture, &path, "a long first text", 0o644).await;
    write(fixture, &path, "short", 0o600).await;
    assert_eq!(text(fixture, &path).await.as_deref(), Some("short"));
    let files = fixture.ports().files;
    assert_eq!(files.read(&path).await.unwrap().unwrap().mode, 0o600);
    assert_eq!(files.list(&folder).await.unwrap(), ["a"], "nothing lies beside it");
}

pub(super) async fn writing_into_a_missing_folder_fails(fixture: &dyn Fixture) {
    let (uid, gid) = fixture.owner();
    let file = File { bytes: Vec::new(), mode: 0o600, uid, gid };
    let path = fixture.scratch().join("no folder").join("a");
    let result = fixture.ports().files.write(&WriteFile { path, file, what: what() }).await;
    assert_eq!(code(result), "folder_missing");
}

pub(super) async fn a_copy_refuses_to_replace_other_content(fixture: &dyn Fixture) {
    let folder = folder(fixture, "copied").await;
    let files = fixture.ports().files;
    let (from, to) = (folder.join("from"), folder.join("to"));
    let copy = CopyFile { from: from.clone(), to: to.clone(), mode: 0o600, what: what() };
    assert_eq!(code(files.copy(&copy).await), "file_missing");
    write(fixture, &from, "one", 0o644).await;
    files.copy(&copy).await.unwrap();
    files.copy(&copy).await.expect("the same content is there already");
    let copied = files.read(&to).await.unwrap().unwrap();
    assert_eq!((copied.bytes.as_slice(), copied.mode), (&b"one"[..], 0o600));
    write(fixture, &from, "two", 0o644).await;
    assert_eq!(code(files.copy(&copy).await), "file_exists");
    assert_eq!(text(fixture, &to).await.as_deref(), Some("one"));
}

pub(super) async fn removing_nothing_is_fine(fixture: &dyn Fixture) {
    let files = fixture.ports().files;
    let folder = folder(fixture, "removed").await;
    write(fixture, &folder.join("a"), "one", 0o600).await;
    let remove = Remove { path: folder.clone(), what: what() };
    files.remove(&remove).await.unwrap();
    assert_eq!(text(fixture, &folder.join("a")).await, None);
    assert!(!files.list(&fixture.scratch()).await.unwrap().contains(&"removed".to_owned()));
    files.remove(&remove).await.expect("it is gone already");
}

pub(super) async fn a_folder_is_made_with_its_parents(fixture: &dyn Fixture) {
    let files = fixture.ports().files;
    let inner = folder(fixture, "made").await.join("b").join("c");
    let make = MakeFolder { path: inner.clone(), what: what() };
    files.make_folder(&make).await.unwrap();
    files.make_folder(&make).await.expect("it is there already");
    write(fixture, &inner.join("z"), "", 0o600).await;
    write(fixture, &inner.join("y"), "", 0o600).await;
    assert_eq!(files.list(&inner).await.unwrap(), ["y", "z"]);
}

pub(super) async fn a_rename_refuses_a_taken_name(fixture: &dyn Fixture) {
    let files = fixture.ports().files;
    let folder = folder(fixture, "renamed").await;
    let (from, to) = (folder.join("set.partial"), folder.join("set"));
    files.make_folder(&MakeFolder { path: from.clone(), what: what() }).await.unwrap();
    write(fixture, &from.join("a"), "one", 0o600).await;
    let rename = Rename { from: from.clone(), to: to.clone(), what: what() };
    files.rename(&rename).await.unwrap();
    assert_eq!(text(fixture, &to.join("a")).await.as_deref(), Some("one"));
    assert_eq!(files.list(&folder).await.unwrap(), ["set"]);
    assert_eq!(code(files.rename(&rename).await), "file_missing");
    files.make_folder(&MakeFolder { path: from, what: what() }).await.unwrap();
    assert_eq!(code(files.rename(&rename).await), "file_exists");
}

pub(super) async fn room_is_known_where_nothing_is_yet(fixture: &dyn Fixture) {
    let files = fixture.ports().files;
    let here = files.space(&fixture.scratch()).await.unwrap();
    let there = files.space(&fixture.scratch().join("not").join("yet")).await.unwrap();
    assert_eq!((here.device, here.total, here.network), (there.device, there.total, there.network));
    assert!(here.free <= here.total && here.total > 0, "{here:?}");
}

pub(super) async fn a_folder_is_no_file(fixture: &dyn Fixture) {
    let (files, path) = (fixture.ports().files, folder(fixture, "folder").await);
    assert_eq!(code(files.read(&path).await), "is_a_folder");
    assert_eq!(code(files.hash(&path).await), "is_a_folder");
    assert_eq!(files.size(&path).await.unwrap(), None);
    let (uid, gid) = fixture.owner();
    let file = File { bytes: Vec::new(), mode: 0o600, uid, gid };
    assert_eq!(code(files.write(&WriteFile { path, file, what: what() }).await), "is_a_folder");
}

pub(super) async fn a_log_grows_and_is_read_as_it_grows(fixture: &dyn Fixture) {
    let (files, path) = (fixture.ports().files, folder(fixture, "grows").await.join("logs/a.jsonl"));
    let log = files.log(&path);
    assert!(files.grown(&path, None).await.unwrap().is_none(), "it is made with its first line");
    log.line("one");
    let first = files.grown(&path, None).await.unwrap().unwrap();
    assert_eq!((first.bytes.as_slice(), first.again), (&b"one\n"[..], false));
    log.line("two");
    files.log(&path).line("three");
    let more = files.grown(&path, Some(first.position)).await.unwrap().unwrap();
    assert_eq!((more.bytes.as_slice(), more.again), (&b"two\nthree\n"[..], false));
    let none = files.grown(&path, Some(more.position)).await.unwrap().unwrap();
    assert!(none.bytes.is_empty() && none.position == more.position, "{none:?}");
    assert_eq!(files.read(&path).await.unwrap().unwrap().mode, 0o600);
}

pub(super) async fn a_log_that_is_moved_away_grows_at_its_place(fixture: &dyn Fixture) {
    let (files, folder) = (fixture.ports().files, folder(fixture, "moved").await);
    let path = folder.join("logs/a.jsonl");
    let log = files.log(&path);
    log.line("a line of before");
    let before = files.grown(&path, None).await.unwrap().unwrap();
    let to = folder.join("logs/a.jsonl.1");
    files.rename(&Rename { from: path.clone(), to: to.clone(), what: what() }).await.unwrap();
    log.line("after");
    assert_eq!(text(fixture, &path).await.as_deref(), Some("after\n"));
    assert_eq!(text(fixture, &to).await.as_deref(), Some("a line of before\n"));
    let after = files.grown(&path, Some(before.position)).await.unwrap().unwrap();
    assert_eq!((after.bytes.as_slice(), after.again), (&b"after\n"[..], true));
    files.remove(&Remove { path: folder.join("logs"), what: what() }).await.unwrap();
    log.line("and again");
    assert_eq!(text(fixture, &path).await.as_deref(), Some("and again\n"));
}

pub(super) async fn what_lies_in_a_folder_is_measured(fixture: &dyn Fixture) {
    let (files, folder) = (fixture.ports().files, folder(fixture, "measured").await);
    assert_eq!(files.lies(&folder.join("none")).await.unwrap(), None);
    assert_eq!(files.owner(&folder.join("none")).await.unwrap(), None);
    let empty = files.lies(&folder).await.unwrap().expect("it is there");
    assert_eq!(files.owner(&folder).await.unwrap(), Some(empty.owner));
    assert_eq!((empty.bytes, empty.owner), (0, fixture.owner()));
    let inner = folder.join("b").join("c");
    files.make_folder(&MakeFolder { path: inner.clone(), what: what() }).await.unwrap();
    write(fixture, &folder.join("a"), "one", 0o600).await;
    write(fixture, &inner.join("d"), "four", 0o600).await;
    let found = files.lies(&folder).await.unwrap().expect("it is there");
    assert_eq!((found.bytes, found.owner, found.strange), (7, fixture.owner(), Vec::new()));
    let one = files.lies(&inner.join("d")).await.unwrap().expect("it is there");
    assert_eq!(files.owner(&inner.join("d")).await.unwrap(), Some(one.owner));
    assert_eq!((one.bytes, one.owner), (4, fixture.owner()));
}

pub(super) async fn a_path_without_links_is_the_real_one(fixture: &dyn Fixture) {
    let (files, path) = (fixture.ports().files, folder(fixture, "real").await.join("a"));
    assert_eq!(files.real(&path).await.unwrap(), path, "nothing is there");
    write(fixture, &path, "one", 0o600).await;
    let real = files.real(&path).await.unwrap();
    assert_eq!(text(fixture, &real).await.as_deref(), Some("one"));
    assert_eq!(files.real(&real).await.unwrap(), real);
}

pub(super) async fn what_cannot_be_replaced_is_known_before(fixture: &dyn Fixture) {
    let (files, folder) = (fixture.ports().files, folder(fixture, "replaceable").await);
    files.replaceable(&folder.join("none")).await.expect("it can be made");
    assert_eq!(files.list(&folder).await.unwrap(), Vec::<String>::new(), "it was not made for that");
    write(fixture, &folder.join("a"), "one", 0o640).await;
    files.replaceable(&folder.join("a")).await.expect("another can take its place");
    assert_eq!(text(fixture, &folder.join("a")).await.as_deref(), Some("one"));
    assert_eq!(files.list(&folder).await.unwrap(), ["a"]);
    assert_eq!(code(files.replaceable(&folder).await), "is_a_folder");
}
