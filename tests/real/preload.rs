//! Libraries that are loaded before uplift's own: one ends it at an exact commit of its journal, one moves its clock.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::field::lab;
use crate::lab::Shell;

pub(super) fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| compiled("preload", include_str!("preload.c"))).clone()
}

pub(super) fn clock() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| compiled("clock", include_str!("clock.c"))).clone()
}

/// Compiled once a process, by the compiler that Rust links with.
fn compiled(name: &str, text: &str) -> PathBuf {
    let folder = &lab().tools.folder;
    let source = folder.join(format!("{name}-{}.c", std::process::id()));
    fs::write(&source, text).unwrap();
    let library = folder.join(format!("{name}.so"));
    let made = source.with_extension("so");
    let cc = Shell::new("cc").args("-shared -fPIC -O1 -o").arg(made.display().to_string());
    cc.arg(source.display().to_string()).arg("-ldl").output().unwrap();
    // Another process may be using the one that is there.
    fs::rename(made, &library).unwrap();
    fs::remove_file(source).unwrap();
    library
}
