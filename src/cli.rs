//! The command line: arguments, questions, exit codes. What is done is done behind the door ([`crate::Host`]), and
//! what is said is said by [`crate::report`].

mod arguments;
mod backup;
mod bars;
mod begin;
mod bundles;
mod completions;
mod docs;
mod exits;
mod flags;
mod help;
mod history;
mod init;
mod lessons;
mod man;
mod places;
mod restore;
mod resume;
mod rollback;
mod runbook;
mod session;
mod show;
mod signals;
mod stage;
mod status;
mod testing;
mod trouble;
mod upgrade;
mod watch;

pub use stage::{Output, Stage};

use std::{ffi::OsString, process::ExitCode};

use arguments::{Cli, Verb};
use clap::FromArgMatches as _;
use session::Session;
use signals::Signals;
use trouble::Trouble;

use crate::{
    event::{ExitClass, Failure},
    host::Simulated,
    report,
};

/// The program: arguments and environment of this process, its terminal, and the real world.
#[must_use]
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let stage = Stage::real();
            let failure = Failure::new("no_runtime", format!("cannot begin to work: {error}"))
                .hint("see whether memory or processes have run out: `free -h`, `ulimit -u`");
            report::failure(&mut stage.paper(), &failure, None, ExitClass::Refused, &[]);
            return ExitCode::from(ExitClass::Refused.code());
        }
    };
    let exit = runtime.block_on(run(std::env::args_os().collect(), Stage::real()));
    // Whoever left at once does not wait for what may still be at work: the journal is intact by design.
    runtime.shutdown_background();
    ExitCode::from(exit.code())
}

/// One command on a stage: `words` as they were typed, the program's name first.
pub async fn run(words: Vec<OsString>, stage: Stage) -> ExitClass {
    let words = help::asked_for(words);
    let signals = Signals::listen();
    let mut command = match flags::command(&words, &stage).await {
        Ok(command) => command,
        Err(trouble) => return trouble.tell_early(&words, &stage),
    };
    let parsed = command.try_get_matches_from_mut(&words);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return trouble::usage(&error, &words, &stage),
    };
    let stage = match on_its_site(&cli, &words, stage).await {
        Ok(stage) => stage,
        Err((trouble, stage)) => return trouble.tell_early(&words, &stage),
    };
    let mut session = Session::new(cli.common, &words, stage, signals);
    let done = match cli.verb {
        Verb::Upgrade(upgrade) => {
            let given = flags::given(&matches, &["upgrade"]);
            upgrade::upgrade(&mut session, &upgrade, &given).await
        }
        Verb::Run(run) => {
            let mut given = flags::given(&matches, &["run"]);
            given.extend(run.param);
            begin::begin(&mut session, &run.name, given, &run.planned).await
        }
        Verb::Resume(resume) => resume::resume(&mut session, resume).await,
        Verb::Rollback(rollback) => {
            let given = flags::given(&matches, &["rollback"]);
            let typed = flags::typed(&matches, "rollback", &given);
            rollback::rollback(&mut session, rollback, (given, typed)).await
        }
        Verb::Backup(backup) => {
            let given = flags::given(&matches, &["backup", backup.what.word()]);
            backup::backup(&mut session, backup.what, given).await
        }
        Verb::Restore(restore) => {
            let given = flags::given(&matches, &["restore"]);
            restore::restore(&mut session, restore, given).await
        }
        Verb::Init(asked) => init::init(&mut session, asked).await,
        Verb::Status => status::status(&mut session).await,
        Verb::History(asked) => history::history(&mut session, asked).await,
        Verb::Show(show) => show::show(&mut session, show).await,
        Verb::Runbook(runbook) => runbook::runbook(&mut session, runbook.what).await,
        Verb::Completions(asked) => completions::completions(&session, asked.shell).await,
        Verb::Man(asked) => man::man(&session, asked).await,
    };
    let exit = done.unwrap_or_else(|trouble| trouble.tell(&session));
    all_told(&session, exit)
}

/// A plan or a list of which only a part reached its file is none: who asked for it must not learn that later.
fn all_told(session: &Session, exit: ExitClass) -> ExitClass {
    let (ExitClass::Done, Some(why)) = (exit, session.stage.out.lost()) else { return exit };
    let failure = Failure::new("output_lost", format!("what this tells could not be written: {why}")).hint(
        "look where its output goes; what the command did, if anything, is done: `uplift status` tells",
    );
    if session.json() {
        // Programs read what is lost; whoever started them reads this.
        session.paper().paragraph(0, &format!("error: {failure}"));
    }
    Trouble::new(failure, ExitClass::Refused).tell(session)
}

/// With `--simulate` the stage gets that site, which says so before anything else.
async fn on_its_site(cli: &Cli, words: &[OsString], stage: Stage) -> Result<Stage, (Trouble, Stage)> {
    let Some(file) = &cli.common.simulate else { return Ok(stage) };
    let others = [("C", "--site", "-C"), ("", "--project", "--project"), ("", "--state", "--state")];
    if let Some((.., flag)) = others.iter().find(|(short, long, _)| session::was_typed(words, short, long)) {
        let text = format!("`{flag}` names a real site, and `--simulate` a simulated one");
        let failure = Failure::new("usage", text).hint("leave one of the two out");
        return Err((Trouble::new(failure, ExitClass::Invalid), stage));
    }
    let site = match Simulated::open(file).await {
        Ok(site) => site,
        Err(failure) => return Err((Trouble::new(failure, ExitClass::Invalid), stage)),
    };
    // Also where only what is wrong is told: a variable may have been forgotten.
    report::simulated(&mut stage.paper(), file, site.folder());
    Ok(stage.on(site))
}
