use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    asking::{Asking, get, ten_seconds},
    contract::{Back, Effect, Found, Left, Span, Undone, WhenUnknown},
    left_behind::left_or_asked,
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate, clock::since},
    site::Reference,
};

/// Ask a service elsewhere over HTTP.
///
/// Its host needs a grant: `http = ["hooks.example.org", "lb.internal:8443"]` under `[grants]` in `uplift.toml`. A plan asks
/// nobody. `GET` and `HEAD` are led on to hosts that are granted, up to five times, with the headers and the token for the
/// first host alone; no other request is led on.
///
/// Undo: `undo` is asked, a request that is recorded before this one is sent. Without one what it has brought about stays, and
/// the plan says so.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpRequest {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "get")]
    pub method: String,
    /// The address. One that is a secret as a whole is given by its place, e.g. `env:SLACK_WEBHOOK`.
    pub url: String,
    /// Headers of the request, by name. One that is a secret is given by its place: `"X-Api-Key": "env:API_KEY"`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent, as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// What is sent, as it is.
    #[serde(default)]
    pub body: Option<String>,
    /// Where the token is that is sent as `Authorization: Bearer ...`: `env:NAME`, `file:PATH`, `setting:NAME`.
    #[serde(default)]
    pub bearer: Option<Reference>,
    /// Statuses that mean it went well; all from 200 to 299 where none is named.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// For how long an answer is waited for.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// A request that changes nothing and tells whether it was done: by an expected status if so, by 404 or 410 if not.
    #[serde(default)]
    pub probe: Option<Asking>,
    /// The request that takes it back. It is recorded beforehand; of a `DELETE` 404 and 410 mean that nothing is there.
    #[serde(default)]
    pub undo: Option<Asking>,
    /// It leaves nothing that would have to be taken back. `GET` and `HEAD` never do.
    #[serde(default)]
    pub leaves_nothing: bool,
    /// Where nobody knows what became of it, it may be sent again. `GET`, `HEAD`, `PUT` and `DELETE` may in any case.
    #[serde(default)]
    pub safe_to_repeat: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    main: Asking,
    probe: Option<Asking>,
    undo: Option<Asking>,
    leaves_nothing: bool,
    /// Hosts that were granted when it was decided.
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was asked, e.g. `POST https://hooks.example.org/`.
    pub request: String,
    /// `()` if a look has shown that it was done, and nobody has seen the answer.
    pub status: Option<u16>,
    /// The first 64 KiB of the answer, without secrets.
    pub body: String,
    /// The answer as JSON, where it is some; `()` where there is more of it than `body` has.
    pub json: Option<Value>,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Statuses of what is not there.
const ABSENT: [u16; 2] = [404, 410];

impl Effect for HttpRequest {
    const NAME: &'static str = "http_request";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        let at = "https://lb.internal:8443/backends/web/drain";
        let bearer = Some(Reference::Variable("HAPROXY_TOKEN".to_owned()));
        let asking = |method: &str| Some(Asking { bearer: bearer.clone(), ..Asking::of(method, at) });
        Self {
            method: "POST".to_owned(),
            url: at.to_owned(),
            headers: BTreeMap::from([("X-Reason".to_owned(), "upgrade".to_owned())]),
            json: Some(serde_json::json!({ "wait": true })),
            body: None,
            bearer: bearer.clone(),
            expect: vec![200],
            timeout: ten_seconds(),
            probe: asking("GET"),
            undo: asking("DELETE"),
            leaves_nothing: false,
            safe_to_repeat: false,
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        match (&self.probe, self.safe_to_repeat || self.main().repeats()) {
            (Some(_), _) => WhenUnknown::Probe,
            (None, true) => WhenUnknown::Repeat,
            (None, false) => WhenUnknown::Ask,
        }
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let main = self.main();
        let only_looks = ["GET", "HEAD"].contains(&self.method.as_str());
        let leaves_nothing = self.leaves_nothing || only_looks;
        if leaves_nothing && self.undo.is_some() {
            let failure =
                Failure::new("bad_option", "`http_request`: there is nothing for `undo` to take back");
            return Err(Refusal(failure.hint("take it out, or `leaves_nothing`")));
        }
        for asking in [Some(&main), self.probe.as_ref(), self.undo.as_ref()].into_iter().flatten() {
            asking.check(site).await?;
        }
        let probe = self.probe.clone();
        if probe.as_ref().is_some_and(|probe| !["GET", "HEAD"].contains(&probe.method.as_str())) {
            let failure = Failure::new("bad_option", "`http_request`: a `probe` changes nothing");
            return Err(Refusal(failure.hint("ask with `GET` or `HEAD`")));
        }
        let hosts = site.site.grants.http.clone();
        Ok(Intent { main, probe, undo: self.undo.clone(), leaves_nothing, hosts })
    }

    fn summary(intent: &Intent) -> String {
        format!("ask `{}`", intent.main.words())
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.status {
            Some(status) => format!("`{}` was answered with {status}", outcome.request),
            None => format!("`{}` was done", outcome.request),
        }
    }

    fn undo_summary(intent: &Intent) -> String {
        match &intent.undo {
            Some(undo) => format!("ask `{}`", undo.words()),
            None if intent.leaves_nothing => "it leaves nothing behind".to_owned(),
            None => "uplift cannot take it back: what it has done stays".to_owned(),
        }
    }

    fn only_adds(intent: &Intent) -> bool {
        intent.leaves_nothing
    }

    fn unheard(intent: &Intent) -> Option<Outcome> {
        Some(Outcome { request: intent.main.words(), ..Outcome::unseen() })
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let Some(probe) = &intent.probe else {
            return Ok(Found::CannotTell("the runbook names no `probe` that could tell".to_owned()));
        };
        let words = probe.words();
        let request = probe.request_by(&intent.hosts, site).await?;
        Ok(match site.requests.ask(&request).await {
            Ok(Some(reply)) if probe.is_expected(reply.status) => {
                Found::Applied(Outcome { request: intent.main.words(), ..Outcome::unseen() })
            }
            Ok(Some(reply)) if ABSENT.contains(&reply.status) => Found::NotApplied,
            Ok(Some(reply)) => {
                Found::CannotTell(format!("`{words}` cannot tell: it was answered with {}", reply.status))
            }
            Ok(None) => Found::CannotTell(format!("only `{words}` can tell, and a plan asks nobody")),
            Err(failure) => Found::CannotTell(failure.message),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let started = site.clock.now();
        let request = intent.main.request_by(&intent.hosts, site.observe()).await?;
        // Of what leaves nothing, nothing is in doubt.
        let known =
            |failure: Failure| Failure { unknown: failure.unknown && !intent.leaves_nothing, ..failure };
        let reply = site.requests.send(&request).await.map_err(known)?;
        // What a rehearsal has made up has no status.
        if reply.status != 0 && !intent.main.is_expected(reply.status) {
            return Err(known(intent.main.refused(&reply, site.observe())));
        }
        let json = if reply.cut { None } else { serde_json::from_str::<Value>(&reply.body).ok() };
        Ok(Outcome {
            request: intent.main.words(),
            status: Some(reply.status),
            body: if reply.cut {
                site.scrubber.scrub_cut(&reply.body)
            } else {
                site.scrubber.scrub(&reply.body)
            },
            json: json.map(|json| site.scrubber.scrub_json(&json)),
            took_ms: u64::try_from(since(site.clock, started).as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        if intent.leaves_nothing {
            return Ok(Undone::nothing("it leaves nothing behind"));
        }
        let Some(undo) = &intent.undo else {
            if let Ok(Found::NotApplied) = Self::probe(intent, site.observe()).await {
                return Ok(Undone::nothing("the runbook's `probe` says that nothing of it is there"));
            }
            let what = format!("left as it is: uplift cannot take `{}` back", intent.main.words());
            return Ok(Undone::Restored { what, left: vec![Left::Elsewhere] });
        };
        left_or_asked(back, (&intent.main.words(), Left::Elsewhere), async {
            let request = undo.request_by(&intent.hosts, site.observe()).await?;
            let reply = site.requests.send(&request).await?;
            // What is not there needs not be removed; any other request that finds nothing may have been misspelt.
            let gone = undo.method == "DELETE" && ABSENT.contains(&reply.status);
            if reply.status == 0 || undo.is_expected(reply.status) || gone {
                return Ok(format!("asked `{}`", undo.words()));
            }
            Err(undo.refused(&reply, site.observe()))
        })
        .await
    }
}

impl HttpRequest {
    fn main(&self) -> Asking {
        Asking {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            json: self.json.clone(),
            body: self.body.clone(),
            bearer: self.bearer.clone(),
            expect: self.expect.clone(),
            timeout: self.timeout,
        }
    }
}

impl Outcome {
    /// Of what was done, and nobody has seen the answer.
    fn unseen() -> Self {
        Self { request: String::new(), status: None, body: String::new(), json: None, took_ms: 0 }
    }
}
