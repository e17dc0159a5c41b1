//! A library that is loaded before uplift's own and ends it at an exact commit of its journal.

use std::{fs, path::PathBuf, sync::OnceLock};

use super::field::lab;
use crate::lab::Shell;

/// Compiled once a process, by the compiler that Rust links with.
pub(super) fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let folder = &lab().tools.folder;
        let source = folder.join(format!("preload-{}.c", std::process::id()));
        fs::write(&source, include_str!("preload.c")).unwrap();
        let library = folder.join("preload.so");
        let made = source.with_extension("so");
        let cc = Shell::new("cc").args("-shared -fPIC -O1 -o").arg(made.display().to_string());
        cc.arg(source.display().to_string()).arg("-ldl").output().unwrap();
        // Another process may be using the one that is there.
        fs::rename(made, &library).unwrap();
        fs::remove_file(source).unwrap();
        library
    };
    LIBRARY.get_or_init(compile).clone()
}
