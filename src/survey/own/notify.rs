//! `[notify]`: who is told of runs.

use std::time::Duration;

use jiff::SignedDuration;
use toml::{Table, Value};

use super::{Wrong, kind, known, section};
use crate::{
    event::suggest,
    site::{Notify, Occasion, Reference},
};

/// Longer than this nobody waits at the end of a run.
const LONGEST: Duration = Duration::from_mins(5);

pub(super) fn notify(table: &Table) -> Result<Option<Notify>, Wrong> {
    let Some(section) = section(table, "notify")? else { return Ok(None) };
    known(section, "notify.", &["command", "on", "timeout", "webhook"])?;
    let webhook = webhook(section)?;
    let command =
        if section.contains_key("command") || webhook.is_none() { command(section)? } else { Vec::new() };
    Ok(Some(Notify { command, webhook, on: on(section)?, timeout: timeout(section)? }))
}

/// Whoever has the address may write there, and the settings file is for everybody's eyes.
fn webhook(section: &Table) -> Result<Option<Reference>, Wrong> {
    let Some(value) = section.get("webhook") else { return Ok(None) };
    let hint = "write the address into a file that only its owner may read (`chmod 600`) and where it is here: \
                `webhook = \"file:uplift/webhook\"`; a variable does too: `\"env:SLACK_WEBHOOK\"`";
    // The text is in no message: it may be the address itself.
    let found = value.as_str().and_then(|text| text.parse().ok());
    found
        .map(Some)
        .ok_or_else(|| ("`notify.webhook` does not say where the address is".to_owned(), hint.to_owned()))
}

fn command(section: &Table) -> Result<Vec<String>, Wrong> {
    let wrong = |what: &str| {
        let hint = "write a list with a text for each word, e.g. \
                    `command = [\"/usr/local/bin/tell-the-team\", \"--room\", \"ops\"]`; no shell reads it";
        (format!("`notify.command` {what}"), hint.to_owned())
    };
    let words = match section.get("command") {
        None => {
            let hint =
                "e.g. `webhook = \"env:SLACK_WEBHOOK\"`, or `command = [\"/usr/local/bin/tell-the-team\"]`";
            return Err(("`[notify]` names neither `command` nor `webhook`".to_owned(), hint.to_owned()));
        }
        Some(Value::Array(words)) => words,
        Some(Value::String(_)) => return Err(wrong("is one text")),
        Some(_) => return Err(wrong("is no list")),
    };
    let word = |word: &Value| word.as_str().filter(|word| !word.contains('\0')).map(str::to_owned);
    let words: Option<Vec<_>> = words.iter().map(word).collect();
    let words = words.ok_or_else(|| wrong("holds what is no text"))?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(wrong("names no program")),
    }
}

fn on(section: &Table) -> Result<Vec<Occasion>, Wrong> {
    let names = Occasion::ALL.map(Occasion::as_str);
    let e_g = || "e.g. `on = [\"question\", \"end\"]`".to_owned();
    let listed = match section.get("on") {
        None => return Ok(Occasion::ALL.to_vec()),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(("`notify.on` is no list".to_owned(), e_g())),
    };
    if listed.is_empty() {
        let hint = "take `[notify]` out if nobody is to be told";
        return Err(("`notify.on` names nothing".to_owned(), hint.to_owned()));
    }
    let one = |value: &Value| {
        let name = value.as_str().ok_or_else(|| ("`notify.on` holds what is no text".to_owned(), e_g()))?;
        let found = Occasion::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| (format!("`notify.on` cannot be `{name}`"), suggest(name, &names)))
    };
    listed.iter().map(one).collect()
}

fn timeout(section: &Table) -> Result<Duration, Wrong> {
    let wanted = "a time from `\"1s\"` to `\"5m\"`";
    let Some(value) = section.get("timeout") else { return Ok(Notify::TIMEOUT) };
    let time = value.as_str().and_then(|text| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok());
    let fits = |time: &Duration| (Duration::from_secs(1)..=LONGEST).contains(time);
    time.filter(fits).ok_or_else(|| kind("notify.timeout", value, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Notify>, Wrong> {
        notify(&text.parse().unwrap())
    }

    #[test]
    fn who_is_told_and_when() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let all = read("[notify]\ncommand = [\"tell\", \"--room\", \"\"]").unwrap().unwrap();
        assert_eq!(all.command, words(&["tell", "--room", ""]));
        assert_eq!((all.on, all.timeout), (Occasion::ALL.to_vec(), Duration::from_secs(10)));
        let some =
            read("[notify]\ncommand = [\"tell\"]\non = [\"end\"]\ntimeout = \"1m 30s\"").unwrap().unwrap();
        assert_eq!((some.on, some.timeout), (vec![Occasion::End], Duration::from_secs(90)));
        let chat = read("[notify]\nwebhook = \"file:uplift/webhook\"").unwrap().unwrap();
        assert!(chat.command.is_empty() && chat.webhook == Some(Reference::File("uplift/webhook".into())));
        assert_eq!(read("[rollback]").unwrap(), None);
    }

    #[test]
    fn what_would_not_do_what_it_says_is_refused() {
        for (text, why, hint) in [
            ("command = \"tell --room ops\"", "`notify.command` is one text", "write a list"),
            ("command = 7", "`notify.command` is no list", "write a list"),
            ("command = []", "`notify.command` names no program", "write a list"),
            ("command = [\"\"]", "`notify.command` names no program", "write a list"),
            ("command = [\"tell\", 7]", "`notify.command` holds what is no text", "write a list"),
            ("on = [\"end\"]", "names neither `command` nor `webhook`", "e.g. `webhook"),
            (
                "webhook = \"https://hooks.example/T0\"",
                "does not say where the address is",
                "`webhook = \"file:",
            ),
            ("webhook = 7", "does not say where the address is", "`\"env:SLACK_WEBHOOK\"`"),
            ("command = [\"tell\"]\non = \"end\"", "`notify.on` is no list", "e.g. `on ="),
            ("command = [\"tell\"]\non = [\"ends\"]", "cannot be `ends`", "did you mean `end`?"),
            ("command = [\"tell\"]\non = []", "names nothing", "take `[notify]` out"),
            ("command = [\"tell\"]\ntimeout = 10", "cannot be `10`", "from `\"1s\"`"),
            (
                "command = [\"tell\"]\ntimeout = \"2h\"",
                "cannot be `\"2h\"`",
                "it is a time from `\"1s\"` to `\"5m\"`",
            ),
            ("command = [\"tell\"]\ntimeout = \"0s\"", "cannot be `\"0s\"`", "from `\"1s\"`"),
            ("comand = [\"tell\"]", "`notify.comand` is no setting", "did you mean `command`?"),
        ] {
            let (said, hinted) = read(&format!("[notify]\n{text}")).unwrap_err();
            assert!(said.contains(why) && hinted.contains(hint), "{text}: {said}; {hinted}");
        }
    }
}
