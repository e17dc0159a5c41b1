//! Manual pages: what help screens say, and what there is no room for there.

use std::io;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};
use serde_json::json;

use super::{arguments, flags, lessons, session::Session, trouble::Trouble};
use crate::{
    event::{ExitClass, Failure, suggest},
    host::Start,
};

/// Where things lie, and what for.
const FILES: &[(&str, &str)] = &[
    (
        "uplift.toml",
        "in the site folder: what cannot be found out. `host` and `port` under `[database]` name the database \
                     server as this host reaches it; `compatible` under `[rollback]` lists releases whose databases the \
                     release before them runs on; `web` and `job` under `[services]` say which services are the product's; \
                     `leave_out` under `[backup]` names databases whose rows are no part of backups. `uplift init` writes \
                     an example of each.",
    ),
    (
        ".env",
        "in the site folder, as are the compose files: what the site is. An upgrade writes the release into it.",
    ),
    (
        ".uplift/",
        "in the site folder, or where `--state` says: what uplift keeps of the site, readable by the owner of \
                  the site folder only.",
    ),
    (".uplift/journal.db", "the record of all runs."),
    (".uplift/backups/", "a folder per backup."),
    (
        ".uplift/kept/RUN/",
        "what a run has kept for the way back: the env file, the compose files, containers' logs. Once nothing leads \
                  back to a run, uplift-backup-prune removes this and its log.",
    ),
    (".uplift/logs/RUN.jsonl", "every event of a run, an object per line."),
];

/// What is no flag. Flags name their own variables.
const VARIABLES: &[(&str, &str)] = &[
    ("UPLIFT_...", "Every flag that has a variable names it above. A flag that is typed wins."),
    (
        "UPLIFT_DB_ADMIN_URL",
        "An administrator of the database server, where the application's own user may not make \
                             databases: `postgres://USER:PASSWORD@HOST/postgres`.",
    ),
    (
        "DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG",
        "As the docker command reads them. Only the engine of this host is \
                                                    worked on; others are refused.",
    ),
    ("NO_COLOR", "If it is set to anything, nothing is coloured."),
];

/// `uplift man`.
pub(super) async fn man(session: &Session, asked: arguments::Man) -> Result<ExitClass, Trouble> {
    let mut uplift = flags::whole(&session.stage).await?;
    uplift.build();
    if let Some(folder) = asked.folder {
        let mut pages = Vec::new();
        every(&uplift, &[], &mut |verb, command| pages.push((file(command), page(&uplift, command, verb))));
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let written = (session.stage.host)(Start::default()).publish(&folder, pages).await?;
        for path in written {
            if session.json() {
                session.lines().json(&json!({ "written": path }));
            } else if !session.common.quiet {
                session.paper().line(&format!("wrote `{}`", path.display()));
            }
        }
        return Ok(ExitClass::Done);
    }
    let verb: Vec<_> = asked.command.iter().map(String::as_str).collect();
    let command = found(&uplift, &verb)?;
    let text = page(&uplift, command, &verb);
    if session.json() {
        session.lines().json(&json!({ "file": file(command), "text": text }));
    } else {
        session.lines().text(&text);
    }
    Ok(ExitClass::Done)
}

/// The command and all commands below it, each with the words that are typed for it.
fn every<'a>(command: &'a Command, verb: &[&'a str], each: &mut impl FnMut(&[&'a str], &'a Command)) {
    each(verb, command);
    for below in command.get_subcommands() {
        every(below, &[verb, &[below.get_name()]].concat(), each);
    }
}

fn found<'a>(uplift: &'a Command, verb: &[&str]) -> Result<&'a Command, Trouble> {
    let mut command = uplift;
    for word in verb {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            let text = format!("there is no command `{} {word}`", name(command).replace('-', " "));
            Trouble::new(
                Failure::new("unknown_command", text).hint(suggest(word, &known)),
                ExitClass::Invalid,
            )
        })?;
    }
    Ok(command)
}

/// As the page is called: `uplift-backup-create`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn file(command: &Command) -> String {
    format!("{}.1", name(command))
}

fn page(uplift: &Command, command: &Command, verb: &[&str]) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage).subcommand_help_heading("COMMANDS"));
    let mut parts = vec![
        title(command),
        drawn(|out| man.render_synopsis_section(out)),
        description(command, verb),
        drawn(|out| man.render_options_section(out)),
    ];
    if command.has_subcommands() {
        parts.push(drawn(|out| man.render_subcommands_section(out)));
    }
    parts.push(taught(verb));
    parts.push(listed("FILES", FILES));
    parts.push(listed("ENVIRONMENT", VARIABLES));
    parts.push(see_also(uplift, verb));
    finished(&parts.concat())
}

fn drawn(draw: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    // Into memory it cannot fail.
    let _drawn = draw(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn title(command: &Command) -> String {
    let name = name(command);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut first = about.chars();
    let about = first.next().map(|letter| letter.to_lowercase().chain(first).collect::<String>());
    let version = concat!("uplift ", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    // Without a date: the same program gives the same page whenever it is made.
    roff.control("TH", [name.to_uppercase().as_str(), "1", "\"\"", version, "uplift manual"]);
    // Neither words nor commands are broken in two, and no line is stretched.
    roff.control("nh", []).control("ad", ["l"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", about.unwrap_or_default()))]);
    roff.render()
}

fn description(command: &Command, verb: &[&str]) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]).text([roman(about + ".")]);
    if let Some(lesson) = lessons::of(verb) {
        for text in std::iter::once(&lesson.touches).chain(lesson.more) {
            roff.control("PP", []).text([roman(*text)]);
        }
    }
    roff.render()
}

/// What ends and examples a command has.
fn taught(verb: &[&str]) -> String {
    let Some(lesson) = lessons::of(verb) else { return String::new() };
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, what) in lesson.exits {
        roff.control("TP", []).text([bold(code.to_string())]).text([roman(*what)]);
    }
    roff.control("SH", ["EXAMPLES"]);
    for (typed, what) in lesson.examples {
        roff.control("TP", []).text([bold(*typed)]).text([roman(*what)]);
    }
    roff.render()
}

fn listed(heading: &str, list: &[(&str, &str)]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, what) in list {
        roff.control("TP", []).text([bold(*name)]).text([roman(*what)]);
    }
    roff.render()
}

/// The pages of all other commands, and what a run is made with.
fn see_also(uplift: &Command, verb: &[&str]) -> String {
    let mut names = Vec::new();
    every(uplift, &[], &mut |other, command| {
        // Two words and more are told of only beside those with the same first one.
        if other != verb && (other.len() < 2 || other.first() == verb.first()) {
            names.push(name(command).to_owned());
        }
    });
    names.sort();
    names.extend(["docker", "docker-compose", "pg_dump"].map(str::to_owned));
    let mut line: Vec<Inline> = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        line.extend([roman(if at == 0 { "" } else { ", " }), bold(name), roman("(1)")]);
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text(line);
    roff.render()
}

/// Every part begins with the same definitions, which are needed once. What stands in backticks is bold: on paper a single
/// backtick is a quote.
fn finished(parts: &str) -> String {
    let definitions = Roff::new().render();
    let mut text = definitions.clone();
    for (at, piece) in parts.replace(&definitions, "").split('`').enumerate() {
        text.push_str(if at == 0 {
            ""
        } else if at % 2 == 1 {
            "\\fB"
        } else {
            "\\fR"
        });
        text.push_str(piece);
    }
    text
}
