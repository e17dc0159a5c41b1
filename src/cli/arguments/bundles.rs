//! Bundles of runbooks: packed by who makes them, installed by who operates a site.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::truth;

#[derive(Debug, Args)]
pub(in crate::cli) struct Pack {
    /// A folder with `manifest.toml`, runbooks (`compose/upgrade.rhai`), and `lib/` and `tests/` if you like
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) dir: PathBuf,
    /// The minisign secret key that signs it; its password is asked for, or taken from `UPLIFT_KEY_PASSWORD`
    #[arg(long, value_name = "FILE", env = "UPLIFT_KEY", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Do not run its tests
    #[arg(long)]
    pub(in crate::cli) untested: bool,
    /// The file to write [initially NAME-VERSION.bundle in this folder]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Install {
    /// The bundle: a file, or an address that begins with `https://`
    #[arg(value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) source: String,
    /// Run neither the site's own tests with it nor the bundle's
    #[arg(long)]
    pub(in crate::cli) untested: bool,
    /// Show what it changes and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = truth)]
    pub(in crate::cli) dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revert {
    /// At once to what ships with uplift, whatever was installed before
    #[arg(long)]
    pub(in crate::cli) stock: bool,
    /// Show what it changes and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = truth)]
    pub(in crate::cli) dry_run: bool,
}
