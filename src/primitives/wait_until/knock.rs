use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::asking::{Asking, get, ten_seconds},
    Seen,
};
use crate::{event::Failure, ports::Observe, primitives::contract::Span, site::Reference};

/// A request that changes nothing, and how it is to be answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Knock {
    /// `GET` or `HEAD`.
    #[serde(default = "get")]
    pub method: String,
    /// The address. One that is a secret as a whole is given by its place, e.g. `env:STATUS_URL`.
    pub url: String,
    /// Headers of the request, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where the token is that is sent as `Authorization: Bearer ...`.
    #[serde(default)]
    pub bearer: Option<Reference>,
    /// Statuses by which it is so; all from 200 to 299 where none is named.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// A text that has to stand in the answer, in its first 64 KiB.
    #[serde(default)]
    pub contains: Option<String>,
    /// A text that must not stand there.
    #[serde(default)]
    pub lacks: Option<String>,
    /// For how long one answer is waited for.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

/// Statuses that tell of a mistake: waiting does not mend it.
const FINAL: [u16; 5] = [400, 401, 403, 405, 407];

impl Knock {
    pub(super) fn asking(&self) -> Asking {
        Asking {
            headers: self.headers.clone(),
            bearer: self.bearer.clone(),
            expect: self.expect.clone(),
            timeout: self.timeout,
            ..Asking::of(&self.method, &self.url)
        }
    }

    pub(super) async fn check(&self, site: Observe<'_>) -> Result<(), Failure> {
        let wrong = |text: String, hint: &str| Err(Failure::new("bad_option", text).hint(hint));
        if !["GET", "HEAD"].contains(&self.method.as_str()) {
            let text = format!("`wait_until`: `{}` is asked once, and not again and again", self.method);
            return wrong(text, "write `GET` or `HEAD`; what changes something is an `http_request`");
        }
        if self.method == "HEAD" && (self.contains.is_some() || self.lacks.is_some()) {
            let text = "`wait_until`: the answer to a `HEAD` has no text that could hold anything".to_owned();
            return wrong(text, "write `GET`, or take `contains` and `lacks` out");
        }
        self.asking().check(site).await.map_err(|refusal| refusal.0)
    }

    /// `None` in a rehearsal, which asks nobody.
    pub(super) async fn seen(&self, site: Observe<'_>) -> Result<Option<Seen>, Failure> {
        let asking = self.asking();
        let Some(reply) = site.requests.ask(&asking.request(site).await?).await? else { return Ok(None) };
        if !asking.is_expected(reply.status) {
            if FINAL.contains(&reply.status) {
                return Err(asking.refused(&reply, site));
            }
            return Ok(Some(Seen::NotYet(Some(format!("last answered with {}", reply.status)))));
        }
        let has = |text: &Option<String>| text.as_ref().map(|text| reply.body.contains(text.as_str()));
        Ok(Some(match (has(&self.contains), has(&self.lacks)) {
            (Some(false), _) => {
                Seen::NotYet(Some(answered(&reply.body, "lacks what it has to contain", site)))
            }
            (_, Some(true)) => {
                Seen::NotYet(Some(answered(&reply.body, "has what it must not contain", site)))
            }
            _ => Seen::So,
        }))
    }
}

/// The beginning of what was answered.
fn answered(body: &str, why: &str, site: Observe<'_>) -> String {
    const SHOWN: usize = 200;
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(SHOWN).collect();
    site.scrubber.scrub(&format!("the last answer {why}: {line}"))
}
