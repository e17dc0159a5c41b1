//! What can be typed. Flags that come from a runbook's header are added by [`super::flags`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};

/// Upgrade a self-hosted Strata Server, and go back if it fails
#[derive(Debug, Parser)]
#[command(
    name = "uplift",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  uplift status                          how the site is, and whether a run waits for you
  uplift upgrade --to 1.1.0 --dry-run    what an upgrade would do; nothing is touched
  uplift upgrade --to 1.1.0              show the plan, ask, upgrade; a failure is taken back
  uplift rollback                        go back from an unfinished run, or from the last upgrade

Exit codes:
    0  done, or nothing needed
    1  refused or failed; nothing was changed
    2  usage, settings or runbook invalid; nothing was changed
    5  another run holds the site; nothing was changed
    6  failed, taken back and verified: the site is as before
    7  a person must decide
    9  stopped in the middle: `uplift resume` or `uplift rollback`
  130  interrupted before anything was changed"
)]
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
    #[arg(short = 'C', long = "site", value_name = "DIR", env = "UPLIFT_SITE", global = true)]
    pub(super) site: Option<PathBuf>,
    /// The compose project's name, where it is not the one that compose would choose
    #[arg(long, value_name = "NAME", env = "UPLIFT_PROJECT", global = true)]
    pub(super) project: Option<String>,
    /// The folder for journal and backups, where it is not `.uplift` in the site folder
    #[arg(long, value_name = "DIR", env = "UPLIFT_STATE", global = true)]
    pub(super) state: Option<PathBuf>,
    /// Answer every question with yes
    #[arg(short, long, env = "UPLIFT_YES", global = true, value_parser = FalseyValueParser::new())]
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
    /// Tell only what is wrong, and how it ended
    #[arg(short, long, env = "UPLIFT_QUIET", global = true, value_parser = FalseyValueParser::new())]
    pub(super) quiet: bool,
    /// Also tell where each call stands in the runbook
    #[arg(
        short,
        long,
        env = "UPLIFT_VERBOSE",
        global = true,
        conflicts_with = "quiet",
        value_parser = FalseyValueParser::new()
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
    #[command(after_help = "\
Examples:
  uplift upgrade --to 1.1.0 --dry-run       what it would do; nothing is touched
  uplift upgrade --to 1.1.0                 show the plan, ask, then upgrade
  uplift upgrade --to 1.1.0 -y -o json      without a question, for a program
  uplift -C /srv/strata upgrade --to 1.1.0  another folder than this one")]
    Upgrade(Upgrade),
    /// Go on with an unfinished run from where it stopped
    #[command(after_help = "\
Examples:
  uplift resume                              the unfinished run of this site
  uplift resume 20261124-031500-7f3a         the same, by its name
  uplift resume --outcome applied --reason 'web runs 1.1.0, I looked'
                                             answer what became of a change that nobody could tell")]
    Resume(Resume),
    /// Take an unfinished run back, or return from a finished upgrade to what ran before it
    #[command(after_help = "\
Examples:
  uplift rollback --dry-run                  what would be taken back, last first
  uplift rollback                            show it, ask, then go back
  uplift rollback 20261124-031500-7f3a --choose return-code --reason 'users wait'
                                             with the decision that the run asked for
  uplift rollback --list                     from which upgrades one can return, and what it costs
  uplift rollback --restore-data always --jobs hold
                                             return from the last upgrade, and the data with it; the worker waits until
                                             you have seen which jobs would run a second time")]
    Rollback(Rollback),
    /// Backups: make one, list them, prove one, remove old ones
    Backup(Backup),
    /// Restore a backup set: databases, uploaded files and the release that ran
    #[command(after_help = "\
Examples:
  uplift restore 20261124-031500-7f3a --dry-run            what it would do; nothing is touched
  uplift restore 20261124-031500-7f3a --restore-data always --jobs hold
                                             what was written since is put aside, and kept; the worker waits
  uplift restore /mnt/backups/20261124-031500-7f3a --into /srv/strata
                                             onto a host that has lost everything")]
    Restore(Restore),
    /// How the site is, and whether a run waits for you
    #[command(after_help = "\
Examples:
  uplift status
  uplift status -o json

Exit codes: 0 told, 9 a run is unfinished, 7 a run needs a person, 1 the site could not be read")]
    Status,
    /// All runs of the site, newest first
    #[command(after_help = "\
Examples:
  uplift history
  uplift history -o json")]
    History,
    /// One run: every call, how it ended, and what to do next
    #[command(after_help = "\
Examples:
  uplift show                     the newest run
  uplift show 20261124            the run whose name begins so
  uplift show --follow            watch a run that is at work, e.g. from another terminal")]
    Show(Show),
    /// Run a runbook: one that ships with uplift, or a file of your own
    #[command(after_help = "\
Examples:
  uplift runbook list                                    what there is
  uplift run compose/upgrade --help                      the parameters of a runbook
  uplift run ./upgrade.rhai --to 1.1.0 --dry-run         what your own copy would do
  uplift run ./upgrade.rhai --param to=1.1.0             the same parameter, written the other way")]
    Run(Begin),
    /// The runbooks that ship with uplift
    #[command(after_help = "\
Examples:
  uplift runbook list
  uplift runbook show compose/upgrade
  uplift runbook show compose/upgrade > upgrade.rhai     a copy to change")]
    Runbook(Runbook),
}

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// Show the plan in full and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run; else the unfinished one
    pub(super) run: Option<String>,
    /// What became of the change that nobody could tell: `applied`, `not-applied` or `retry`
    #[arg(
        long,
        value_name = "WORD",
        env = "UPLIFT_OUTCOME",
        requires = "reason",
        hide_possible_values = true
    )]
    pub(super) outcome: Option<Outcome>,
    /// The answer to what the run stands still for
    #[arg(long, value_name = "KEY", env = "UPLIFT_CHOOSE", requires = "reason", conflicts_with = "outcome")]
    pub(super) choose: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", env = "UPLIFT_REASON")]
    pub(super) reason: Option<String>,
    /// Show where it would go on and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
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
    pub(super) run: Option<String>,
    /// Show from which finished upgrades one can return, and what each way costs
    #[arg(long, conflicts_with_all = ["run", "choose", "dry_run"])]
    pub(super) list: bool,
    /// The decision that the run asked for
    #[arg(long, value_name = "KEY", env = "UPLIFT_CHOOSE", requires = "reason")]
    pub(super) choose: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", env = "UPLIFT_REASON")]
    pub(super) reason: Option<String>,
    /// Show what would be done and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The set by its name, or its folder
    pub(super) set: String,
    /// Write the configuration of the set into this folder first: for a host that has no site
    #[arg(long, value_name = "DIR", env = "UPLIFT_INTO")]
    pub(super) into: Option<PathBuf>,
    /// Show what would be done and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run, or the beginning or end of its name; else the newest
    pub(super) run: Option<String>,
    /// Go on until the run ends
    #[arg(short, long, env = "UPLIFT_FOLLOW", value_parser = FalseyValueParser::new())]
    pub(super) follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    /// A runbook that ships with uplift, or the path of a file that ends in `.rhai`
    #[arg(value_name = "NAME|FILE")]
    pub(super) name: String,
    /// One parameter of the runbook; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = named)]
    pub(super) param: Vec<(String, String)>,
    /// Show the plan in full and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    pub(super) what: Backups,
}

#[derive(Debug, Subcommand)]
pub(super) enum Backups {
    /// Make a backup while the site runs: databases of one moment, uploaded files, configuration
    #[command(after_help = "\
Examples:
  uplift backup create --dry-run                       what it would take, and how much room
  uplift -C /srv/strata backup create -y --quiet       from cron
  uplift backup create --storage elsewhere             uploaded files lie in object storage")]
    Create(OneRun),
    /// All backups, newest first: what each is worth, what it lacks
    #[command(after_help = "\
Examples:
  uplift backup list
  uplift backup list -o json")]
    List,
    /// One backup: what is in it, and what was proved of it
    #[command(after_help = "\
Examples:
  uplift backup show 20261124-031500-7f3a
  uplift backup show 7f3a")]
    Show {
        /// The backup, the beginning or end of its name, or its path
        #[arg(value_name = "BACKUP|PATH")]
        set: String,
    },
    /// Read every byte of a backup, and count every row in it
    #[command(after_help = "\
Examples:
  uplift backup verify                                 the newest one
  uplift backup verify 20261124-031500-7f3a            on this host
  uplift backup verify /mnt/copies/20261124-031500-7f3a  anywhere, without the site
  uplift backup verify 7f3a --restore                  also load it beside the site's databases, and drop it again")]
    Verify(VerifySet),
    /// Remove old and unfinished backups, and kept databases whose time is over
    #[command(after_help = "\
Examples:
  uplift backup prune --dry-run                        what would go, and why
  uplift backup prune -y                               from cron
  uplift backup prune --database strata_production__failed_20261124_031500_7f3a
                                                       this kept database too, before its time")]
    Prune(OneRun),
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

#[derive(Debug, Args)]
pub(super) struct OneRun {
    /// Show the plan in full and stop: nothing is touched
    #[arg(long, env = "UPLIFT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifySet {
    /// The backup, the beginning or end of its name, or its path; the newest one where it is left out
    #[arg(value_name = "BACKUP|PATH")]
    pub(super) set: Option<String>,
    /// Load each dump into a database of its own on the site's server, count the rows there, and drop it
    #[arg(long, env = "UPLIFT_RESTORE", value_parser = FalseyValueParser::new())]
    pub(super) restore: bool,
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(super) struct Runbook {
    #[command(subcommand)]
    pub(super) what: Books,
}

#[derive(Debug, Subcommand)]
pub(super) enum Books {
    /// What there is, and what each does
    List,
    /// The text of one, to read or to copy
    Show {
        /// e.g. `compose/upgrade`
        name: String,
    },
}
