//! Nothing that this process made stays on the machine when it is gone: not after a failed test, nor after Ctrl-C,
//! nor after `kill -9`. No destructor can promise that, so a shell outlives the process for a moment.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ChildStdin, Stdio},
    sync::Mutex,
};

use super::{Result, Shell, Tools, stack::PREFIX};

const SCRIPT: &str = include_str!("janitor.sh");

/// The pipe that closes when this process ends.
static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Sets it to wait for the end of this process, and takes away what others have left.
pub(super) fn hire(tools: &Tools) -> Result<()> {
    let Ok(mut pipe) = PIPE.lock() else { return Err("the janitor's pipe is lost".to_owned()) };
    if pipe.is_some() {
        return Ok(());
    }
    for dead in leftovers(tools)? {
        script(tools, &dead).output()?;
    }
    let mut janitor = script(tools, &std::process::id().to_string())
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of the terminal's group, where Ctrl-C goes.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the janitor cannot be started: {error}"))?;
    *pipe = janitor.stdin.take();
    Ok(())
}

fn script(tools: &Tools, owner: &str) -> Shell {
    let folder = tools.folder.display().to_string();
    let sites = std::env::temp_dir().display().to_string();
    let bash = Shell::new("bash").envs(&tools.env).arg("-c").arg(SCRIPT).arg("janitor");
    bash.arg(owner).arg(folder).arg(sites)
}

/// Ids of processes that are gone while something of theirs is still there. An id may be used again: then its
/// leftovers wait for another day.
fn leftovers(tools: &Tools) -> Result<BTreeSet<String>> {
    let list =
        tools.docker().args("ps -a --format {{.Names}}").arg("--filter").arg(format!("name=^{PREFIX}-"));
    let mut names: Vec<_> = list.output()?.lines().map(str::to_owned).collect();
    for folder in [tools.folder.clone(), std::env::temp_dir()] {
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
        names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    let mut found = BTreeSet::new();
    for name in names {
        let mut parts = name.split('-');
        let ours = matches!(parts.next(), Some(PREFIX | "registry"));
        if let (true, Some(pid)) = (ours, parts.next())
            && pid.chars().all(|digit| digit.is_ascii_digit())
            && !Path::new("/proc").join(pid).exists()
        {
            found.insert(pid.to_owned());
        }
    }
    Ok(found)
}
