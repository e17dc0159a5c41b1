//! The Debian package: what `packaging/build` lays out, from the binary of these tests. `-- --ignored` builds the real one
//! and tries it in a bare container.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::lab::{BASE, Images, Shell, Tools};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// What a shell says to a line, which has to succeed.
fn said(folder: &Path, line: &str) -> String {
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", line]).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "`{line}`: {stdout}{stderr}");
    stdout
}

/// Every file below `folder`, relative to it, with its permission bits.
fn files(folder: &Path) -> Vec<(String, u32)> {
    let list = said(folder, "find . -type f -printf '%P %m\\n' | LC_ALL=C sort");
    let lines = list.lines().map(|line| line.rsplit_once(' ').unwrap());
    lines.map(|(path, mode)| (path.to_owned(), u32::from_str_radix(mode, 8).unwrap())).collect()
}

#[test]
fn the_package_holds_what_a_host_needs() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().display();
    let build = script("build");
    // As somebody who lets nobody else read what he makes, and has variables of uplift's set.
    let line =
        format!("umask 077; {} --binary {} --tree --to {to}", build.display(), env!("CARGO_BIN_EXE_uplift"));
    let output = Command::new("bash").args(["-c", &line]).env("UPLIFT_OUTPUT", "json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let tree = folder.path().join("tree");
    let files = files(&tree);
    for (path, mode) in &files {
        let wanted = if path == "usr/bin/uplift" { 0o755 } else { 0o644 };
        assert_eq!(*mode, wanted, "{path}");
    }
    let paths: BTreeSet<_> = files.iter().map(|(path, _)| path.as_str()).collect();
    let pages = paths.iter().filter(|path| path.starts_with("usr/share/man/man1/uplift")).count();
    assert!(pages >= 20, "{paths:?}");
    let others: BTreeSet<_> = paths.into_iter().filter(|path| !path.contains("/man1/")).collect();
    let wanted = [
        "DEBIAN/control",
        "DEBIAN/md5sums",
        "usr/bin/uplift",
        "usr/share/bash-completion/completions/uplift",
        "usr/share/doc/uplift/changelog.Debian.gz",
        "usr/share/doc/uplift/changelog.gz",
        "usr/share/doc/uplift/copyright",
        "usr/share/doc/uplift/editors/uplift.injection.tmLanguage.json",
        "usr/share/doc/uplift/examples/busy.toml",
        "usr/share/doc/uplift/examples/flaky.toml",
        "usr/share/doc/uplift/examples/killed.toml",
        "usr/share/doc/uplift/examples/older.toml",
        "usr/share/doc/uplift/examples/plain.toml",
        "usr/share/doc/uplift/examples/tight.toml",
        "usr/share/doc/uplift/primitives.md",
        "usr/share/doc/uplift/runbooks.md",
        "usr/share/doc/uplift/simulate.md",
        "usr/share/doc/uplift/testing.md",
        "usr/share/doc/uplift/third-party.txt.gz",
        "usr/share/fish/vendor_completions.d/uplift.fish",
        "usr/share/lintian/overrides/uplift",
        "usr/share/zsh/vendor-completions/_uplift",
    ];
    assert_eq!(others, BTreeSet::from(wanted));
    assert_eq!(fs::metadata(tree.join("usr/share")).unwrap().permissions().mode() & 0o777, 0o755);

    said(&tree, "md5sum --check --quiet DEBIAN/md5sums");
    assert_eq!(said(&tree, "wc -l <DEBIAN/md5sums").trim(), (files.len() - 2).to_string());
    let page = said(&tree, "zcat usr/share/man/man1/uplift-upgrade.1.gz");
    assert!(page.contains(".TH UPLIFT-UPGRADE 1 "), "{page}");
    let script = said(&tree, "cat usr/share/bash-completion/completions/uplift");
    assert!(script.contains("complete -F _uplift") && !script.starts_with('{'));
    let control = said(&tree, "cat DEBIAN/control");
    for line in ["Package: uplift", concat!("Version: ", env!("CARGO_PKG_VERSION"), "-1"), "Section: admin"] {
        assert!(control.lines().any(|found| found == line), "{control}");
    }
    assert!(!control.contains("Depends:"), "it needs nothing: {control}");
    // Not a crate without its licence, and no path of this machine.
    let licences = said(&tree, "zcat usr/share/doc/uplift/third-party.txt.gz");
    assert!(licences.contains("\nrhai v1") && licences.contains("======== rhai v1"));
    assert!(!licences.contains(env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn the_scripts_can_be_read_by_bash() {
    for name in ["build", "try"] {
        said(Path::new("/"), &format!("bash -n {}", script(name).display()));
    }
    let refused = Command::new(script("build")).arg("--profil").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no option `--profil`"));
    assert!(!refused.status.success());
}

/// A quarter of an hour: what is shipped, where nothing else is. `UPLIFT_TEST_DEB` names a package that is built already.
#[test]
#[ignore = "builds a release"]
fn the_package_works_on_a_bare_host() {
    let tools = Tools::bring().unwrap();
    Images::bring(&tools).unwrap();
    let deb = std::env::var("UPLIFT_TEST_DEB").unwrap_or_else(|_| {
        let build = Shell::new(&script("build").display().to_string());
        build.limit(std::time::Duration::from_mins(40)).output().unwrap().trim().to_owned()
    });
    let trial = Shell::new(&script("try").display().to_string()).envs(&tools.env);
    let tried = trial.arg(deb).arg(BASE).run().unwrap();
    assert_eq!(tried.code, Some(0), "{}{}", tried.stdout, tried.stderr);
    assert!(tried.stdout.contains("all is well"), "{}", tried.stdout);
}
