//! One request to a service elsewhere, as a runbook writes it and as it is recorded.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{contract::Span, granted};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe,
        requests::{Address, Host, Reply, SendRequest},
        secrets::lent,
    },
    site::{Reference, is_secret},
};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// One request. It is recorded as it stands here: secrets are in it by their places only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "get")]
    pub method: String,
    /// The address. One that is a secret as a whole is given by its place, e.g. `env:SLACK_WEBHOOK`.
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// What is sent, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where the token is that is sent as `Authorization: Bearer ...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Reference>,
    /// Statuses that mean it went well; all from 200 to 299 where none is named.
    #[serde(default)]
    pub expect: Vec<u16>,
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

pub(super) fn get() -> String {
    "GET".to_owned()
}

pub(super) fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

impl Asking {
    pub(super) fn of(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: BTreeMap::new(),
            json: None,
            body: None,
            bearer: None,
            expect: Vec::new(),
            timeout: ten_seconds(),
        }
    }

    /// Refuses what cannot be sent from this site.
    pub(super) async fn check(&self, site: Observe<'_>) -> Result<(), Refusal> {
        let wrong = |text: String, hint: &str| Refusal(Failure::new("bad_option", text).hint(hint));
        if !METHODS.contains(&self.method.as_str()) {
            let hint = format!("known: {}", METHODS.map(|one| format!("`{one}`")).join(", "));
            return Err(wrong(format!("`{}` is no method", self.method), &hint));
        }
        if self.json.is_some() && self.body.is_some() {
            return Err(wrong("a request takes one of `json` and `body`".to_owned(), "take one of them out"));
        }
        let literal =
            |(name, value): &(&String, &String)| holds_secret(name) && value.parse::<Reference>().is_err();
        if let Some((name, _)) = self.headers.iter().find(literal) {
            let hint =
                format!("refer to where it is: `\"{name}\": \"env:NAME\"`, `file:PATH` or `setting:NAME`");
            return Err(wrong(format!("the header `{name}` would hold a secret"), &hint));
        }
        let is_plain = |(name, value): (&String, &String)| {
            let token = |one: char| one.is_ascii_alphanumeric() || "-_.!#$%&'*+^`|~".contains(one);
            !name.is_empty() && name.chars().all(token) && !value.chars().any(char::is_control)
        };
        if let Some((name, _)) = self.headers.iter().find(|pair| !is_plain(*pair)) {
            return Err(wrong(format!("`{name}` cannot be sent as a header"), "one line of text each"));
        }
        // Learned before it is looked at: no message may hold it.
        let request = self.request(site).await?;
        let Some(host) = Host::of(request.address.reveal()) else {
            let text = format!("`{}` is no address that can be asked", request.address.shown());
            return Err(wrong(text, "write e.g. `https://hooks.example.org/path`, a user's name not in it"));
        };
        granted::host(&host, &site)
    }

    pub(super) async fn request(&self, site: Observe<'_>) -> Result<SendRequest, Failure> {
        let address = match self.url.parse::<Reference>() {
            Ok(reference) => Address::Hidden(lent(&reference, site).await?),
            Err(_) => Address::Plain(self.url.clone()),
        };
        let bearer = match &self.bearer {
            Some(reference) => Some(lent(reference, site).await?),
            None => None,
        };
        let (mut headers, mut secret) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in &self.headers {
            match value.parse::<Reference>() {
                Ok(reference) => drop(secret.insert(name.clone(), lent(&reference, site).await?)),
                Err(_) => drop(headers.insert(name.clone(), value.clone())),
            }
        }
        let body = self.json.as_ref().map(Value::to_string);
        let told = headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !told {
            headers.insert("Content-Type".to_owned(), "application/json".to_owned());
        }
        Ok(SendRequest {
            method: self.method.clone(),
            address,
            headers,
            lent: secret,
            bearer,
            body: body.or_else(|| self.body.clone()),
            timeout: self.timeout.0,
            grants: site.site.grants.clone(),
        })
    }

    /// The same, by what was granted when it was decided: a grant that was taken away since must not keep a run from going
    /// back.
    pub(super) async fn request_by(
        &self,
        hosts: &[String],
        site: Observe<'_>,
    ) -> Result<SendRequest, Failure> {
        let mut request = self.request(site).await?;
        request.grants.http.extend_from_slice(hosts);
        Ok(request)
    }

    pub(super) fn is_expected(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }

    /// Doing it twice is doing it once, as HTTP has it.
    pub(super) fn repeats(&self) -> bool {
        ["GET", "HEAD", "PUT", "DELETE"].contains(&self.method.as_str())
    }

    /// In a few words, without secrets.
    pub(super) fn words(&self) -> String {
        match self.url.parse::<Reference>() {
            Ok(reference) => format!("{} the address in {reference}", self.method),
            Err(_) => format!("{} {}", self.method, self.url),
        }
    }

    /// Why an answer is not what was wanted.
    pub(super) fn refused(&self, reply: &Reply, site: Observe<'_>) -> Failure {
        let led = reply.location.as_ref().map(|to| format!(", which leads on to `{to}`")).unwrap_or_default();
        let text = format!("`{}` was answered with {}{led}", self.words(), reply.status);
        let lines = reply.body.lines().filter(|line| !line.trim().is_empty()).take(SHOWN);
        let lines = lines.map(|line| site.scrubber.scrub(line).chars().take(LINE).collect::<String>());
        let failure = Failure::new("http_refused", site.scrubber.scrub(&text))
            .hint("statuses that are fine stand in `expect`")
            .evidence(lines);
        match reply.status {
            429 | 503 => failure.retryable(),
            // A proxy in between does not know what became of it either.
            502 | 504 if self.repeats() => failure.retryable(),
            502 | 504 => failure.unknown(),
            _ => failure,
        }
    }
}

/// How much of an answer shows why it was none.
const SHOWN: usize = 8;
const LINE: usize = 500;

/// Whether a header is one that as a rule holds a secret.
fn holds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    name == "COOKIE" || (name != "IDEMPOTENCY_KEY" && is_secret(&name, ""))
}
