//! What can be typed after `uplift runbook`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::bundles::{Install, Pack, Revert};

#[derive(Debug, Args)]
pub(in crate::cli) struct Runbook {
    #[command(subcommand)]
    pub(in crate::cli) what: Books,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Books {
    /// What there is, and what each does
    List,
    /// The text of one as it would run here, to read or to copy
    Show {
        /// e.g. `compose/upgrade`
        name: String,
    },
    /// Look runbooks through for mistakes, before anything runs: no site is needed
    Check {
        /// Files of your own, e.g. `./upgrade.rhai`, or names
        #[arg(value_name = "FILE|NAME", required = true, value_hint = ValueHint::FilePath)]
        names: Vec<String>,
    },
    /// Try runbooks, hooks and bundles on simulated sites: no site is needed, none is touched
    Test(Test),
    /// What a runbook can call, with all options: a page, or one of them
    Docs {
        /// e.g. `compose_up`; else all
        name: Option<String>,
        /// Write definitions for editors into this folder, which must be there
        #[arg(
            long,
            value_name = "DIR",
            env = "UPLIFT_DEFINITIONS",
            value_hint = ValueHint::DirPath,
            conflicts_with = "name"
        )]
        definitions: Option<PathBuf>,
    },
    /// Copy one with what it imports, to change it for your site
    Eject {
        /// e.g. `compose/upgrade`
        #[arg(index = 1)]
        name: String,
        /// The file to write; else `./NAME.rhai`
        #[arg(index = 2, value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Make one file of a folder of runbooks, signed, for sites to install
    Pack(Pack),
    /// Install a bundle of runbooks that a key has signed which the site trusts
    Install(Install),
    /// Go back to the bundle before, or to what ships with uplift
    Revert(Revert),
    /// In what this site differs from what ships with uplift
    Delta,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// Files of tests, the folder of a bundle or of a site, or names of runbooks; else the site's own tests and those that
    /// ship with uplift
    #[arg(value_name = "FILE|DIR|NAME", value_hint = ValueHint::AnyPath)]
    pub(in crate::cli) names: Vec<String>,
    /// Only tests with this in their names, or in the name of their file
    #[arg(long, value_name = "TEXT", env = "UPLIFT_ONLY", value_hint = ValueHint::Other)]
    pub(in crate::cli) only: Option<String>,
    /// Name the tests and stop: nothing is run
    #[arg(long)]
    pub(in crate::cli) list: bool,
}
