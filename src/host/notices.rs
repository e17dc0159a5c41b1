//! Tells the operator's own command, and his chat, that a run begins, asks, or has ended. Whatever becomes of that, the run is as it
//! would be without it: a notice that cannot be given is a warning.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::{door::Host, words};
use crate::{
    event::{Ending, Failure, Teller},
    journal::{Reader, RunRow},
    ports::{
        Ports,
        notices::{self, Begun, Notice},
    },
    run::{Context, away},
    site::{Notify, Occasion, Scrubber, Site},
};

/// Why nobody will be told of a run, if somebody wants to be.
pub(super) async fn untold(host: &Host) -> Vec<String> {
    let inner = &host.0;
    let Some(to) = &inner.site.notify else { return Vec::new() };
    let tell = Teller::silent();
    let why = notices::untold(to, inner.ports.observe(&inner.site, "plan", &tell)).await;
    let nobody = if to.command.is_empty() || to.webhook.is_none() || why.len() > 1 {
        "nobody"
    } else {
        "not everybody"
    };
    why.iter().map(|failure| format!("{nobody} will be told of this run: {}", all_of(failure))).collect()
}

/// Gives the notices of one run, from one taking of its site to the end of that.
pub(super) struct Messenger {
    notify: Notify,
    ports: Ports,
    site: Arc<Site>,
    scrubber: Scrubber,
    tell: Teller,
    reader: Arc<Reader>,
    /// What is the same in all of them.
    blank: Notice,
    /// How a command is typed for this site, wherever one stands.
    typed: String,
    /// That of the beginning, which nobody waits for before the end.
    begun: Option<JoinHandle<()>>,
}

impl Messenger {
    /// `None` if nobody wants to be told.
    pub(super) fn of(host: &Host, context: &Context, reader: &Arc<Reader>) -> Option<Self> {
        let site = &host.0.site;
        let mut begun = Begun::clone(&context.begun);
        if let Ok(row) = reader.run(&context.run) {
            begun.started = row.started;
            begun.again = row.resumed > 0;
        }
        Some(Self {
            notify: site.notify.clone()?,
            ports: host.0.ports.clone(),
            site: Arc::clone(site),
            scrubber: host.0.scrubber.clone(),
            tell: context.tell.clone(),
            reader: Arc::clone(reader),
            blank: Notice::of(Occasion::Start, host.now(), (site, &context.run), &begun),
            typed: host.0.typed.clone(),
            begun: None,
        })
    }

    /// Beside the run.
    pub(super) fn begins(&mut self) {
        let message = words::begun(&self.blank);
        let next = vec![format!("{} show {} --follow", self.typed, self.blank.run)];
        let notice = Notice { message, next, ..self.blank.clone() };
        self.begun = self.letter(notice).map(|letter| tokio::spawn(letter.sent()));
    }

    /// Waits until it was told, for as long as the command may last.
    pub(super) async fn ended(mut self, ending: &Ending) {
        let begun = self.begun.take();
        let earlier = async {
            if let Some(begun) = begun {
                let _told = begun.await;
            }
        };
        let last = self.letter(self.last(ending));
        let last = async {
            if let Some(last) = last {
                last.sent().await;
            }
        };
        tokio::join!(earlier, last);
    }

    fn last(&self, ending: &Ending) -> Notice {
        let at = self.ports.clock.now();
        let mut notice = Notice {
            event: if words::asks(ending) { Occasion::Question } else { Occasion::End },
            at,
            result: words::result(ending),
            exit: Some(ending.exit().code()),
            code: words::cause(ending).map(|failure| failure.code.clone()),
            ..self.blank.clone()
        };
        // What the record does not give is left out: that it has ended is told in any case.
        if let Ok(row) = self.reader.run(&notice.run) {
            self.add_record(&mut notice, &row, ending);
        }
        notice.message = words::ended(&notice, &self.site.web.name, ending);
        notice
    }

    fn add_record(&self, notice: &mut Notice, row: &RunRow, ending: &Ending) {
        let calls = self.reader.entries(&row.id).unwrap_or_default();
        notice.next = words::next(&self.typed, row, &calls, ending);
        for one in away(row, &calls) {
            *notice.away_ms.entry(one.service.clone()).or_default() +=
                millis(one.from, one.until.unwrap_or(notice.at));
            if one.until.is_none() {
                notice.away_since.insert(one.service, one.from);
            }
        }
    }

    /// `None` if nobody wants to be told of this.
    fn letter(&self, notice: Notice) -> Option<Letter> {
        let to = self.notify.clone();
        let wanted = to.on.contains(&notice.event);
        let notice = wanted.then(|| scrubbed(&self.scrubber, notice))?;
        let (ports, site, tell) = (self.ports.clone(), Arc::clone(&self.site), self.tell.clone());
        Some(Letter { ports, site, tell, to, notice })
    }
}

fn millis(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.duration_since(from).as_millis()).unwrap_or(0)
}

struct Letter {
    ports: Ports,
    site: Arc<Site>,
    tell: Teller,
    to: Notify,
    notice: Notice,
}

impl Letter {
    async fn sent(self) {
        let what = match self.notice.event {
            Occasion::Start => "has begun",
            Occasion::Question => "waits for an answer",
            Occasion::End | Occasion::Message => "has ended",
        };
        let run = self.notice.run.clone();
        let site = self.ports.observe(&self.site, &run, &self.tell);
        let both = !self.to.command.is_empty() && self.to.webhook.is_some();
        let failures = notices::tell_all(&self.to, self.notice, &*self.ports.notices, site).await;
        let nobody = if both && failures.len() == 1 { "not everybody" } else { "nobody" };
        for failure in failures {
            self.tell.warn(format!("{nobody} was told that this run {what}: {}", all_of(&failure)));
        }
    }
}

fn all_of(failure: &Failure) -> String {
    let said = failure.evidence.last().map(|line| format!(" and said: {line}")).unwrap_or_default();
    let hint = failure.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    format!("{failure}{said}{hint}")
}

/// A notice whose texts cannot be kept without their secrets has no texts.
fn scrubbed(scrubber: &Scrubber, notice: Notice) -> Notice {
    let clean = serde_json::to_value(&notice).ok().map(|value| scrubber.scrub_json(&value));
    clean.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_else(|| Notice {
        message: "what was to be told holds a secret".to_owned(),
        command: String::new(),
        next: Vec::new(),
        ..notice
    })
}
