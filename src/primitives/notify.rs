use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Undone, WhenUnknown, suggest, to_bytes},
    granted,
};
use crate::{
    event::{Failure, Refusal, span},
    ports::{
        Observe, Operate,
        clock::since,
        notices::{self, Begun, Notice, PostNotice},
        requests::Address,
        secrets::lent,
    },
    site::{Notify as Settings, Occasion, Reference},
};

/// Tell people something in the middle of a run.
///
/// Whoever `[notify]` in `uplift.toml` names is told, unless its `on` leaves `message` out; or a chat of the runbook's own. That
/// somebody could not be told is a warning, and the run goes on. Where uplift is killed as it tells, it is told once more rather
/// than not at all. A plan tells nobody.
///
/// Undo: nothing. What people were told stays told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Notify {
    /// One line for people. In it `{took}` becomes how long the run has taken by then, `{site}` the site's name, `{run}` the
    /// run's.
    pub text: String,
    /// The address of a chat that takes `{"text": ...}` by `POST`, as Slack, Mattermost, Rocket.Chat and Teams do, or its place:
    /// `env:SLACK_WEBHOOK`. Its host needs a grant, as for `http_request`.
    #[serde(default)]
    pub webhook: Option<String>,
    /// It is a failure if not everybody could be told.
    #[serde(default)]
    pub must: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    /// With the names in it that are filled in as it is told.
    text: String,
    webhook: Option<String>,
    must: bool,
    /// Where it is noted that it was told.
    note: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was told.
    pub text: String,
    /// Everybody who was to be told was told.
    pub told: bool,
}

/// What a text may have filled in.
const NAMES: [&str; 3] = ["took", "site", "run"];

impl Effect for Notify {
    const NAME: &'static str = "notify";
    const ADDS_ONLY: bool = true;
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            text: "{site} is migrated after {took}; web comes next".to_owned(),
            webhook: None,
            must: false,
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        filled(&self.text, &NAMES.map(|name| (name, String::new())))?;
        if self.text.trim().is_empty() || self.text.contains('\0') {
            let failure = Failure::new("bad_option", "`notify`: there is nothing in `text` that can be told");
            return Err(Refusal(failure.hint("write a line for people")));
        }
        if let Some(webhook) = &self.webhook {
            // What is written down as it is can be looked at without its secret.
            match webhook.parse::<Reference>() {
                Err(_) => allowed(&Address::Plain(webhook.clone()), site)?,
                Ok(_) => {
                    if let Ok(post) = post(webhook, "", site).await {
                        allowed(&post.to, site)?;
                    }
                }
            }
        }
        // Without `must` it is said where it is told, in a plan too.
        if self.must
            && let Some(why) = self.untold(site).await
        {
            return Err(Refusal(why));
        }
        let address = blake3::hash(site.tell.address().unwrap_or_default().as_bytes()).to_hex();
        let note = site.kept().join("told").join(format!("{}.json", &address[..16]));
        Ok(Intent { text: self.text.clone(), webhook: self.webhook.clone(), must: self.must, note })
    }

    fn summary(intent: &Intent) -> String {
        let whom = match &intent.webhook {
            Some(webhook) => match webhook.parse::<Reference>() {
                Ok(place) => format!("the chat in {place}"),
                Err(_) => format!("the chat at {webhook}"),
            },
            None => "the people of `[notify]`".to_owned(),
        };
        format!("tell {whom}: {}", intent.text)
    }

    fn result(outcome: &Outcome) -> String {
        if outcome.told {
            format!("told: {}", outcome.text)
        } else {
            format!("not told, or not to everybody: {}", outcome.text)
        }
    }

    fn undo_summary(_: &Intent) -> String {
        "what people were told stays told".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let note = site.files.read(&intent.note).await?;
        let told = note.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        Ok(told.map_or(Found::NotApplied, Found::Applied))
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Found::Applied(outcome) = Self::probe(intent, site.observe()).await? {
            return Ok(outcome);
        }
        let begun = site.begun();
        let text = site.scrubber.scrub(&intent.filled(&begun, site)?);
        let why = intent.tell(&text, &begun, site).await;
        let both = intent.webhook.is_none()
            && site.site.notify.as_ref().is_some_and(|to| !to.command.is_empty() && to.webhook.is_some());
        let nobody = if both && why.len() == 1 { "not everybody" } else { "nobody" };
        let outcome = Outcome { text, told: why.is_empty() };
        for failure in why {
            if intent.must {
                // Told once more rather than not at all: whoever heard it already is not harmed.
                return Err(Failure { unknown: false, ..failure });
            }
            site.tell.warn(format!("{nobody} was told: {}", all_of(&failure)));
        }
        if outcome.told {
            // Without the note it is told once more after a crash, and that is all.
            let _without = write_kept(&intent.note, to_bytes(&outcome)?, "note of what was told", site).await;
        }
        Ok(outcome)
    }

    async fn undo(_: &Intent, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("what people were told stays told"))
    }
}

impl Notify {
    /// Why not everybody would be told.
    async fn untold(&self, site: Observe<'_>) -> Option<Failure> {
        match (&self.webhook, &site.site.notify) {
            (Some(webhook), _) => post(webhook, "", site).await.err(),
            (None, Some(to)) if listens(to) => notices::untold(to, site).await.into_iter().next(),
            (None, to) => Some(nobody(to.as_ref())),
        }
    }
}

impl Intent {
    fn filled(&self, begun: &Begun, site: Operate<'_>) -> Result<String, Failure> {
        let took = u64::try_from(since(site.clock, begun.started).as_millis()).unwrap_or(u64::MAX);
        let values = [span(took), site.site.name.clone(), site.run.to_owned()];
        let mut values = values.into_iter();
        filled(&self.text, &NAMES.map(|name| (name, values.next().unwrap_or_default())))
    }

    /// What could not be told to whom.
    async fn tell(&self, text: &str, begun: &Begun, site: Operate<'_>) -> Vec<Failure> {
        let observe = site.observe();
        if let Some(webhook) = &self.webhook {
            let told = async {
                let post = post(webhook, text, observe).await?;
                allowed(&post.to, observe)?;
                site.notices.post(&post).await
            };
            return told.await.err().into_iter().collect();
        }
        match &site.site.notify {
            Some(to) if listens(to) => {
                let of = (site.site, site.run);
                let notice = Notice::of(Occasion::Message, site.clock.now(), of, begun);
                let command = site.scrubber.scrub(&notice.command);
                let notice = Notice { message: text.to_owned(), command, ..notice };
                notices::tell_all(to, notice, site.notices, observe).await
            }
            to => vec![nobody(to.as_ref())],
        }
    }
}

fn listens(to: &Settings) -> bool {
    to.on.contains(&Occasion::Message)
}

fn nobody(to: Option<&Settings>) -> Failure {
    let (text, hint) = match to {
        None => (
            "`uplift.toml` names nobody who is told of runs",
            "e.g. `webhook = \"env:SLACK_WEBHOOK\"` under `[notify]`",
        ),
        Some(_) => ("`on` under `[notify]` leaves `message` out", "add it there: `on = [\"message\", ...]`"),
    };
    Failure::new("nobody_listens", text).hint(hint)
}

fn all_of(failure: &Failure) -> String {
    let said = failure.evidence.last().map(|line| format!(" and said: {line}")).unwrap_or_default();
    let hint = failure.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    format!("{failure}{said}{hint}")
}

async fn post(webhook: &str, text: &str, site: Observe<'_>) -> Result<PostNotice, Failure> {
    let to = match webhook.parse::<Reference>() {
        Ok(reference) => Address::Hidden(lent(&reference, site).await?),
        Err(_) => Address::Plain(webhook.to_owned()),
    };
    let timeout = site.site.notify.as_ref().map_or(Settings::TIMEOUT, |to| to.timeout);
    Ok(PostNotice { to, event: Occasion::Message, text: text.to_owned(), timeout })
}

/// Refuses a chat whose host is not granted.
fn allowed(to: &Address, site: Observe<'_>) -> Result<(), Failure> {
    let Some(host) = crate::ports::requests::Host::of(to.reveal()) else {
        let text = format!("`notify`: `{}` is no address that can be told", to.shown());
        return Err(Failure::new("bad_option", text).hint("write e.g. `env:SLACK_WEBHOOK`, or `https://...`"));
    };
    granted::host(&host, &site).map_err(|refusal| refusal.0)
}

/// `text` with the values in place of `{name}`. Other braces are as they are.
fn filled(text: &str, values: &[(&str, String)]) -> Result<String, Failure> {
    let (mut made, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        made.push_str(before);
        let name = after.split_once('}').map(|(name, _)| name);
        let is_name = |name: &&str| {
            !name.trim().is_empty()
                && name.trim().chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
        };
        let Some(name) = name.filter(is_name) else {
            made.push('{');
            rest = after;
            continue;
        };
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name.trim()) else {
            let text = format!("`notify`: nothing is known that would stand for `{{{name}}}`");
            let known: Vec<_> = values.iter().map(|(known, _)| *known).collect();
            return Err(Failure::new("bad_option", text).hint(suggest(name.trim(), &known)));
        };
        made.push_str(value);
        rest = &after[name.len() + 1..];
    }
    Ok(made + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_filled_in_and_nothing_else_passes() {
        let values = [("took", "3 min 5 s".to_owned()), ("site", "{run}".to_owned())];
        let of = |text: &str| filled(text, &values);
        assert_eq!(of("{site} took {took}{ took }").unwrap(), "{run} took 3 min 5 s3 min 5 s");
        assert_eq!(of("a { b }, {}, {\"a\": 1}, {").unwrap_err().code, "bad_option");
        assert_eq!(of("{}, {\"a\": 1}, }{").unwrap(), "{}, {\"a\": 1}, }{");
        let failure = of("{tok}").unwrap_err();
        assert!(failure.message.contains("`{tok}`") && failure.hint.unwrap().contains("`took`"));
    }
}
