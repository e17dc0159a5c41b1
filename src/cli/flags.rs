//! Flags that a runbook's header asks for: one declaration, so that help, types and checks cannot differ from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fmt::Write as _,
};

use clap::{
    Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _,
    builder::{OsStringValueParser, PossibleValue, PossibleValuesParser},
    parser::ValueSource,
};
use serde_json::{Value, json};

use super::{
    arguments::{Cli, Common},
    help,
    stage::Stage,
    trouble::Trouble,
};
use crate::host::{Header, HostBuilder, Param, ParamType, Simulated, Start, stock, stock_named};

/// The runbook behind `uplift upgrade`.
pub(super) const UPGRADE: &str = "compose/upgrade";
/// The runbook behind `uplift rollback` of a finished upgrade.
pub(super) const ROLLBACK: &str = "compose/rollback";
/// The runbook behind `uplift restore`.
pub(super) const RESTORE: &str = "compose/restore";
/// The one behind `uplift backup create`.
pub(super) const BACKUP: &str = "compose/backup";
/// The one behind `uplift upgrade --pull`, before the upgrade itself.
pub(super) const PULL: &str = "compose/pull";
/// The one behind `uplift backup prune`.
pub(super) const PRUNE: &str = "compose/prune";

/// The verbs that are runbooks, by the words that are typed, with the parameter that is an argument of its own.
const VERBS: [(&[&str], &str, &str); 5] = [
    (&["upgrade"], UPGRADE, ""),
    (&["rollback"], ROLLBACK, "run"),
    (&["restore"], RESTORE, "set"),
    (&["backup", "create"], BACKUP, ""),
    (&["backup", "prune"], PRUNE, ""),
];

/// Before a parameter's name, so that no header can take the place of an argument of ours.
const PREFIX: &str = "param:";

/// The command line, with the parameters of the runbook that is meant. No site is looked for.
pub(super) async fn command(words: &[OsString], stage: &Stage) -> Result<Command, Trouble> {
    let (mut command, door) = (bare(), Door::of(words, stage).await);
    for (verb, runbook, own) in VERBS {
        if verb.iter().all(|word| words.iter().any(|typed| typed == word)) {
            let header = header(&door, runbook, own).await?;
            command = at(command, verb, |below| with_params(below, &header, true));
        }
    }
    if let Some(name) = runbook_of(words) {
        let header = header(&door, &name, "").await?;
        command = at(command, &["run"], |run| with_params(run, &header, false));
    }
    Ok(help::taught(command, stage.width))
}

/// The command line with the parameters of every verb and all words that can be told in advance: for what is written about
/// it. It is not there to be parsed with, because what is wrong with a value we say ourselves.
pub(super) async fn whole(stage: &Stage) -> Result<Command, Trouble> {
    let mut command = bare();
    let door = Door { stage, start: Start::default(), simulated: None };
    for (verb, runbook, own) in VERBS {
        let header = header(&door, runbook, own).await?;
        command = at(command, verb, |below| with_words(with_params(below, &header, true), &header));
    }
    let mut verbs = BTreeSet::new();
    for verb in command.get_subcommands() {
        verbs.insert(verb.get_name().to_owned());
        verbs.extend(verb.get_subcommands().map(|below| below.get_name().to_owned()));
    }
    let books = stock().iter().map(|book| book.name);
    let command = at(command, &["man"], |man| one_of(man, "command", verbs));
    let command = at(command, &["runbook", "eject"], |eject| one_of(eject, "name", books.clone()));
    Ok(at(command, &["runbook", "show"], |show| one_of(show, "name", books)))
}

fn bare() -> Command {
    without_values(Cli::command())
}

/// What can be given to a runbook, but for the parameter that is an argument of its own.
async fn header(door: &Door<'_>, runbook: &str, own: &str) -> Result<Header, Trouble> {
    let here = door.host().header(runbook).await;
    let mut header = match here {
        // What is wrong with a site's own files is told by the command, if it needs them: the way back from a run that
        // is not over does not.
        Err(_) if stock_named(runbook).is_ok() => HostBuilder::stock_header(runbook)?,
        here => here?,
    };
    header.params.remove(own);
    Ok(header)
}

/// The command, changed at the verb that these words are.
fn at(command: Command, verb: &[&str], change: impl FnOnce(Command) -> Command) -> Command {
    match verb {
        [] => change(command),
        [last] => command.mut_subcommand(last, change),
        [first, rest @ ..] => {
            let change: Box<dyn FnOnce(Command) -> Command + '_> = Box::new(change);
            command.mut_subcommand(first, |below| at(below, rest, change))
        }
    }
}

/// The words that a choice allows, for completions.
fn with_words(command: Command, header: &Header) -> Command {
    let choices = header.params.iter().filter(|(_, param)| !param.of.is_empty());
    choices.fold(command, |command, (name, param)| {
        one_of(command, &format!("{PREFIX}{name}"), param.of.iter().cloned())
    })
}

fn one_of<T: Into<PossibleValue>>(
    command: Command,
    arg: &str,
    words: impl IntoIterator<Item = T>,
) -> Command {
    let words = PossibleValuesParser::new(words.into_iter().map(Into::into));
    command.mut_arg(arg, |arg| arg.value_parser(words).hide_possible_values(true))
}

/// Help names the variables, and never tells what is in them.
fn without_values(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| arg.hide_env_values(true));
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_values))
}

/// Where headers are read: at the site that is meant by what was typed, whatever else of that is not understood yet.
struct Door<'a> {
    stage: &'a Stage,
    start: Start,
    simulated: Option<Simulated>,
}

impl<'a> Door<'a> {
    async fn of(words: &[OsString], stage: &'a Stage) -> Self {
        let common = common(words);
        let simulated = match common.as_ref().and_then(|common| common.simulate.as_deref()) {
            // What is wrong with it is told by the command itself.
            Some(file) => Simulated::open(file).await.ok(),
            None => None,
        };
        Self { stage, start: common.as_ref().map(super::session::start).unwrap_or_default(), simulated }
    }

    fn host(&self) -> HostBuilder {
        match &self.simulated {
            Some(site) => site.host(),
            None => (self.stage.host)(self.start.clone()),
        }
    }
}

fn common(words: &[OsString]) -> Option<Common> {
    let mut command = Cli::command().ignore_errors(true);
    let matches = command.try_get_matches_from_mut(words).ok()?;
    let mut below = &matches;
    // A flag for everywhere may stand behind the verb.
    let mut found = Common::from_arg_matches(below).ok();
    while let Some((_, next)) = below.subcommand() {
        below = next;
        found = Common::from_arg_matches(below).ok().or(found);
    }
    found
}

/// The runbook that `uplift run` was given; whatever follows it is not understood yet.
fn runbook_of(words: &[OsString]) -> Option<String> {
    let rest = Arg::new("rest")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(OsStringValueParser::new());
    let mut command = Cli::command().mut_subcommand("run", |run| run.arg(rest).disable_help_flag(true));
    let matches = command.try_get_matches_from_mut(words).ok()?;
    let run = matches.subcommand_matches("run")?;
    run.get_one::<String>("name").cloned()
}

/// `strict`: what must be given must be given as a flag; else `--param` may bring it too.
fn with_params(mut command: Command, header: &Header, strict: bool) -> Command {
    let taken: Vec<String> = long_names(&Cli::command(), &command);
    let mut params: Vec<_> = header.params.iter().collect();
    // What must be given comes first.
    params.sort_by_key(|(_, param)| param.initial.is_some());
    for (at, (name, param)) in params.into_iter().enumerate() {
        let long = name.replace('_', "-");
        if !taken.contains(&long) {
            command = command
                .arg(flag(name, &long, param).display_order(at).required(strict && param.initial.is_none()));
        }
    }
    command
}

/// Names that a parameter cannot have as a flag; `--param name=value` still reaches it.
fn long_names(all: &Command, own: &Command) -> Vec<String> {
    let longs = all.get_arguments().chain(own.get_arguments()).filter_map(Arg::get_long);
    longs.map(str::to_owned).chain(["help", "version"].map(str::to_owned)).collect()
}

fn flag(name: &str, long: &str, param: &Param) -> Arg {
    let value = match param.kind {
        ParamType::Tag => "TAG",
        ParamType::Choice => "WORD",
        ParamType::Duration => "DURATION",
        ParamType::Size => "SIZE",
        ParamType::Text => "TEXT",
        ParamType::Bool => "BOOL",
        ParamType::Number => "NUMBER",
    };
    // In the file it also follows a colon.
    let mut help: String = param.help.chars().take(1).flat_map(char::to_uppercase).collect();
    help.extend(param.help.chars().skip(1));
    if !param.of.is_empty() {
        let _ = write!(help, " (one of {})", param.of.join(", "));
    }
    let said = |initial: &&Value| **initial != json!("") && **initial != json!(false);
    if let Some(initial) = param.initial.as_ref().filter(said) {
        let initial = initial.as_str().map_or_else(|| initial.to_string(), str::to_owned);
        let _ = write!(help, " [initially {initial}]");
    }
    let arg = Arg::new(format!("{PREFIX}{name}"))
        .long(long.to_owned())
        .value_name(value)
        .help(help)
        .help_heading("Parameters")
        .env(format!("UPLIFT_{}", name.to_uppercase()))
        .hide_env_values(true);
    match param.kind {
        ParamType::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg.allow_hyphen_values(matches!(param.kind, ParamType::Number)),
    }
}

/// The parameters that were given as flags or by their variables.
pub(super) fn given(matches: &ArgMatches, verb: &[&str]) -> BTreeMap<String, String> {
    let mut below = Some(matches);
    for word in verb {
        below = below.and_then(|matches| matches.subcommand_matches(word));
    }
    let Some(matches) = below else { return BTreeMap::new() };
    let mut given = BTreeMap::new();
    for id in matches.ids() {
        if let Some(name) = id.as_str().strip_prefix(PREFIX)
            && let Some(value) = matches.get_one::<String>(id.as_str())
        {
            given.insert(name.to_owned(), value.clone());
        }
    }
    given
}

/// Those among them that were typed: what a variable says, it says to every command.
pub(super) fn typed(
    matches: &ArgMatches,
    verb: &str,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Some(matches) = matches.subcommand_matches(verb) else { return BTreeMap::new() };
    let typed =
        |name: &str| matches.value_source(&format!("{PREFIX}{name}")) == Some(ValueSource::CommandLine);
    given.iter().filter(|(name, _)| typed(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether programs read the output. Asked before the arguments are understood, for the mistakes in them.
pub(super) fn wants_json(words: &[OsString]) -> bool {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let pair = words.windows(2).any(|pair| matches!(&*pair[0], "-o" | "--output") && pair[1] == "json");
    let joined = words.iter().any(|word| matches!(&**word, "-ojson" | "-o=json" | "--output=json"));
    pair || joined || std::env::var_os("UPLIFT_OUTPUT").as_deref() == Some(OsStr::new("json"))
}
