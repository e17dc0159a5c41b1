//! What the kernel says about locks and processes, read from `/proc`: nothing here takes a lock.
#![expect(clippy::disallowed_methods, reason = "the journal asks the kernel who holds its locks")]

use std::{
    fs::{self, File},
    io::Read as _,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{Folder, JournalError, lock::CHILDREN};
use crate::ports::mount;

/// A process that a run began and that has outlived it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    pub pid: u32,
    /// Its command line; secrets never stand in one.
    pub command: String,
}

/// Every other process that holds the descriptor which a run hands to its commands. While the run lives these are
/// its helpers; after its end they are orphans, and the site is theirs until they end. Empty as well where such a
/// process cannot be seen from here.
pub fn orphans(folder: &Folder) -> Result<Vec<Orphan>, JournalError> {
    let path = folder.path().join(CHILDREN);
    let Ok(ours) = fs::metadata(&path) else { return Ok(Vec::new()) };
    let processes = fs::read_dir("/proc").map_err(JournalError::io("read", "/proc"))?;
    let mut found: Vec<Orphan> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id() && holds(*pid, (ours.dev(), ours.ino())))
        .map(|pid| Orphan { pid, command: command_of(pid) })
        .collect();
    found.sort_by_key(|orphan| orphan.pid);
    Ok(found)
}

fn holds(pid: u32, file: (u64, u64)) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.filter_map(|entry| fs::metadata(entry.ok()?.path()).ok()).any(|at| (at.dev(), at.ino()) == file)
}

/// The command line of a process, or its short name where there is none.
pub(super) fn command_of(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    }
    words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

/// Processes that hold a `flock` on the file at `path`, by the kernel's own table. Taking the lock to see whether
/// it is free would make a run that starts at this moment believe that the site is held.
pub(super) fn lockers(path: &Path) -> Vec<u32> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let Some((_, device, inode)) = mount_of(&file) else { return Vec::new() };
    let Some(device) = device
        .split_once(':')
        .and_then(|(major, minor)| Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?)))
    else {
        return Vec::new();
    };
    // The kernel gives the table in pieces of a page. When a lock ends between two of them the later ones move up,
    // and one of them is in neither: whoever is not found is looked for again.
    let look = || table().lines().filter_map(|line| locker(line, device, &inode)).collect::<Vec<_>>();
    (0..LOOKS).map(|_| look()).find(|found| !found.is_empty()).unwrap_or_default()
}

const LOOKS: usize = 4;

/// In as few pieces as can be: without room made first it would be asked for a line and then for the rest.
fn table() -> String {
    let mut text = String::with_capacity(64 << 10);
    let _ = File::open("/proc/locks").and_then(|mut file| file.read_to_string(&mut text));
    text
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:123 0 EOF`, device numbers in hex. A line with `->` waits for the lock.
fn locker(line: &str, device: (u64, u64), inode: &str) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let mut id = words.next()?.split(':');
    let hex = |word: Option<&str>| u64::from_str_radix(word?, 16).ok();
    let at = (hex(id.next())?, hex(id.next())?);
    (at == device && id.next() == Some(inode)).then_some(pid)
}

/// The file system's type, its device as `major:minor` and the inode number as the kernel counts them for an open
/// file. `stat` is no substitute: on btrfs and overlays it gives other numbers than the lock table.
pub(super) fn mount_of(file: &File) -> Option<(String, String, String)> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let field = |name: &str| about.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (kind, device) = mount::entry(&table, &field("mnt_id:")?)?;
    let inode = field("ino:").or_else(|| Some(file.metadata().ok()?.ino().to_string()))?;
    Some((kind, device, inode))
}

/// The kernel's name of this boot: a process id means something only together with it.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Names the space in which this process's id means something.
pub(super) fn pid_space() -> String {
    fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// `name` of the user where the host's own list has it, else the number.
pub(super) fn user_name(uid: u32) -> String {
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.map_or_else(|| uid.to_string(), |name| format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_held_flock_on_this_very_file_counts() {
        let at = |line| locker(line, (0xfe, 0), "123");
        assert_eq!(at("1: FLOCK  ADVISORY  WRITE 4711 fe:00:123 0 EOF"), Some(4711));
        assert_eq!(at("1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:123 0 EOF"), None);
        assert_eq!(at("1: POSIX  ADVISORY  WRITE 4711 fe:00:123 0 EOF"), None);
        assert_eq!(at("1: FLOCK  ADVISORY  WRITE 4711 fe:01:123 0 EOF"), None);
        assert_eq!(at("1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF"), None);
    }
}
