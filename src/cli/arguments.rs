//! What can be typed. Flags that come from a runbook's header are added by [`super::flags`], examples and what a command
//! touches by [`super::lessons`].

pub(super) mod books;
pub(super) mod bundles;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, builder::NonEmptyStringValueParser};
use clap_complete::Shell;

pub(super) use self::books::{Books, Runbook};

/// Upgrade a self-hosted Strata Server, and go back if it fails
#[derive(Debug, Parser)]
#[command(name = "uplift", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Common {
    /// The site folder; else the current folder if it holds a compose file, else the engine's only Strata project
    #[arg(short = 'C', long = "site", value_name = "DIR", env = "UPLIFT_SITE", global = true, value_hint = ValueHint::DirPath)]
    pub(super) site: Option<PathBuf>,
    /// The compose project's name, where it is not the one that compose would choose
    #[arg(long, value_name = "NAME", env = "UPLIFT_PROJECT", global = true, value_hint = ValueHint::Other)]
    pub(super) project: Option<String>,
    /// The folder for journal and backups, where it is not `.uplift` in the site folder
    #[arg(long, value_name = "DIR", env = "UPLIFT_STATE", global = true, value_hint = ValueHint::DirPath)]
    pub(super) state: Option<PathBuf>,
    /// Work on the simulated site of this file, instead of a real one: nothing outside it is touched
    #[arg(
        long,
        value_name = "FILE",
        env = "UPLIFT_SIMULATE",
        global = true,
        value_hint = ValueHint::FilePath
    )]
    pub(super) simulate: Option<PathBuf>,
    /// Begin without asking; a choice that only a person can make stays open
    #[arg(short, long, env = "UPLIFT_YES", global = true, value_parser = truth)]
    pub(super) yes: bool,
    /// `text` for people, `json` for programs: one object per line on standard output
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "UPLIFT_OUTPUT",
        default_value = "text",
        global = true,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(super) output: Output,
    /// Tell only what is wrong: not a word where all goes well
    #[arg(short, long, env = "UPLIFT_QUIET", global = true, value_parser = truth)]
    pub(super) quiet: bool,
    /// Also tell where each call stands in the runbook
    #[arg(
        short,
        long,
        env = "UPLIFT_VERBOSE",
        global = true,
        conflicts_with = "quiet",
        value_parser = truth
    )]
    pub(super) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Upgrade the site to another release
    Upgrade(Upgrade),
    /// Go on with an unfinished run from where it stopped
    Resume(Resume),
    /// Take an unfinished run back, or return from a finished upgrade to what ran before it
    Rollback(Rollback),
    /// Backups: make one, list them, prove one, remove old ones
    Backup(Backup),
    /// Restore a backup set: databases, uploaded files and the release that ran
    Restore(Restore),
    /// Look at a site that is new to uplift, and write down how it is found
    Init(Init),
    /// How the site is, and whether a run waits for you
    Status,
    /// The runs of the site, newest first
    History(History),
    /// One run: every call, how it ended, and what to do next
    Show(Show),
    /// Run a runbook: one that ships with uplift, or a file of your own
    Run(Begin),
    /// The runbooks that ship with uplift
    Runbook(Runbook),
    /// A script for your shell that completes what you type
    Completions(Completions),
    /// The manual page of uplift, or of one command
    Man(Man),
}

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// Bring the image first, so that the plan knows whether it migrates; nothing that runs is touched
    #[arg(long, env = "UPLIFT_PULL", conflicts_with = "plan", value_parser = truth)]
    pub(super) pull: bool,
    #[command(flatten)]
    pub(super) planned: Planned,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Also write this minisign public key (`RW...`) down as one whose bundles of runbooks the site takes
    #[arg(long, value_name = "KEY", env = "UPLIFT_TRUST", value_hint = ValueHint::Other)]
    pub(super) trust: Option<String>,
    /// Show what is found and what would be written, and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = truth)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run; else the unfinished one
    #[arg(value_hint = ValueHint::Other)]
    pub(super) run: Option<String>,
    /// What became of a change that uplift cannot tell: `applied`, `not-applied`, or `retry` to have it done again
    #[arg(
        long,
        value_name = "WORD",
        env = "UPLIFT_OUTCOME",
        requires = "reason",
        hide_possible_values = true
    )]
    pub(super) outcome: Option<Outcome>,
    /// Your decision where the run waits for one: a word that `uplift show` lists
    #[arg(
        long,
        value_name = "WORD",
        env = "UPLIFT_CHOOSE",
        requires = "reason",
        conflicts_with = "outcome",
        value_hint = ValueHint::Other
    )]
    pub(super) choose: Option<String>,
    /// Why, for the record
    #[arg(
        long,
        value_name = "TEXT",
        env = "UPLIFT_REASON",
        value_hint = ValueHint::Other,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(super) reason: Option<String>,
    /// Show where it would go on and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = truth)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Outcome {
    Applied,
    NotApplied,
    Retry,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NotApplied => "not-applied",
            Self::Retry => "retry",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The run; else the unfinished one, else the last upgrade
    #[arg(value_hint = ValueHint::Other)]
    pub(super) run: Option<String>,
    /// Show from which finished upgrades one can return, and what each way costs
    #[arg(long, conflicts_with_all = ["run", "choose", "dry_run"])]
    pub(super) list: bool,
    /// Your decision where the run waits for one: a word that `uplift show` lists
    #[arg(
        long,
        value_name = "WORD",
        env = "UPLIFT_CHOOSE",
        requires = "reason",
        value_hint = ValueHint::Other
    )]
    pub(super) choose: Option<String>,
    /// Why, for the record
    #[arg(
        long,
        value_name = "TEXT",
        env = "UPLIFT_REASON",
        value_hint = ValueHint::Other,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) planned: Planned,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup set: its name, or the path of its folder
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(super) set: String,
    /// Write the configuration of the set into this folder first: for a host that has no site
    #[arg(long, value_name = "DIR", env = "UPLIFT_INTO", value_hint = ValueHint::DirPath, conflicts_with = "plan")]
    pub(super) into: Option<PathBuf>,
    #[command(flatten)]
    pub(super) planned: Planned,
}

#[derive(Debug, Args)]
pub(super) struct History {
    /// So many of the newest runs [initially 20; all with `-o json`]
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        env = "UPLIFT_COUNT",
        value_hint = ValueHint::Other,
        value_parser = count
    )]
    pub(super) count: Option<u32>,
    /// All runs that there ever were, whatever `--count` says
    #[arg(long, env = "UPLIFT_ALL", value_parser = truth)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run, or the beginning or end of its name; else the newest
    #[arg(value_hint = ValueHint::Other)]
    pub(super) run: Option<String>,
    /// Go on until the run ends
    #[arg(short, long, env = "UPLIFT_FOLLOW", value_parser = truth)]
    pub(super) follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    /// A runbook that ships with uplift, or the path of a file that ends in `.rhai`
    #[arg(value_name = "NAME|FILE", value_hint = ValueHint::FilePath)]
    pub(super) name: String,
    /// One parameter of the runbook; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = named, value_hint = ValueHint::Other)]
    pub(super) param: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) planned: Planned,
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    pub(super) what: Backups,
}

#[derive(Debug, Subcommand)]
pub(super) enum Backups {
    /// Make a backup while the site runs: databases of one moment, uploaded files, configuration
    Create(Planned),
    /// All backups, newest first: what each is worth, what it lacks
    List,
    /// One backup: what is in it, and what was proved of it
    Show {
        /// The backup, the beginning or end of its name, or its path
        #[arg(value_name = "BACKUP|PATH", value_hint = ValueHint::AnyPath)]
        set: String,
    },
    /// Read every byte of a backup, and count every row in it
    Verify(VerifySet),
    /// Remove old and unfinished backups, kept databases whose time is over, and what old runs left
    Prune(Planned),
}

impl Backups {
    /// As it is typed.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::List => "list",
            Self::Show { .. } => "show",
            Self::Verify(_) => "verify",
            Self::Prune(_) => "prune",
        }
    }
}

/// What every command has that begins a run.
#[derive(Debug, Args)]
pub(super) struct Planned {
    /// Show the plan in full and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = truth)]
    pub(super) dry_run: bool,
    /// Do what this plan says and nothing else; refused if the site is no longer as it was. `--dry-run -o json` makes one
    #[arg(
        long,
        value_name = "FILE",
        env = "UPLIFT_PLAN",
        conflicts_with = "dry_run",
        value_hint = ValueHint::FilePath
    )]
    pub(super) plan: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct VerifySet {
    /// The backup, the beginning or end of its name, or its path; the newest one where it is left out
    #[arg(value_name = "BACKUP|PATH", value_hint = ValueHint::AnyPath)]
    pub(super) set: Option<String>,
    /// Load each dump into a database of its own on the site's server, count the rows there, and drop it
    #[arg(long, env = "UPLIFT_RESTORE", value_parser = truth)]
    pub(super) restore: bool,
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell: `bash`, `zsh`, `fish`, `elvish` or `powershell`
    #[arg(hide_possible_values = true)]
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// The command, e.g. `upgrade` or `backup create`; else uplift itself
    pub(super) command: Vec<String>,
    /// Write the pages of all commands into this folder, which must be there
    #[arg(
        long,
        value_name = "DIR",
        env = "UPLIFT_FOLDER",
        value_hint = ValueHint::DirPath,
        conflicts_with = "command"
    )]
    pub(super) folder: Option<PathBuf>,
}

/// None is no number of runs: whoever writes 0 for all of them is told what does that.
fn count(word: &str) -> Result<u32, String> {
    match word.trim().parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("write a number from 1 on; `--all` shows all runs".to_owned()),
    }
}

/// What a variable says for a flag: a word that is neither yes nor no is a mistake, and is not taken for a yes.
fn truth(word: &str) -> Result<bool, String> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "n" | "off" => Ok(false),
        _ => Err("write `1` or `0`".to_owned()),
    }
}
