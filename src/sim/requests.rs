//! Services elsewhere that the host of a world reaches.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{state::State, world::World};
use crate::{
    event::Failure,
    ports::requests::{Address, Host, Reply, Requests, RequestsRead, SendRequest},
    site::Span,
};

/// How a service answers. The first that fits counts; where none does, nobody is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Where what is left out may be anything.
    pub method: Option<String>,
    /// The beginning of the address.
    pub url: String,
    /// Only where there is this file.
    pub where_is: Option<PathBuf>,
    #[serde(default = "well")]
    pub status: u16,
    /// Where it leads on to.
    pub location: Option<String>,
    #[serde(default)]
    pub body: String,
    /// For how long nothing comes: longer than is waited for is for ever.
    pub takes: Option<Span>,
    /// Files that it makes (of the text `on`) and removes.
    #[serde(default)]
    pub makes: Vec<PathBuf>,
    #[serde(default)]
    pub removes: Vec<PathBuf>,
}

fn well() -> u16 {
    200
}

impl Answers {
    /// 200, and nothing else.
    #[must_use]
    pub fn to(method: &str, url: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            url: url.to_owned(),
            where_is: None,
            status: 200,
            location: None,
            body: String::new(),
            takes: None,
            makes: Vec::new(),
            removes: Vec::new(),
        }
    }
}

/// What a service was asked. A secret is there by its name only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// e.g. `POST https://hooks.example.org/`.
    pub what: String,
    pub headers: BTreeMap<String, String>,
    /// Where its bearer token is from.
    pub bearer: Option<String>,
    pub body: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Elsewhere {
    pub answers: Vec<Answers>,
    pub asked: Vec<Asked>,
}

impl World {
    /// Services elsewhere answer so from now on.
    pub fn put_answers(&self, answers: &[Answers]) {
        self.lock().services.answers.extend(answers.iter().cloned());
    }

    /// What services elsewhere were asked so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().services.asked.clone()
    }
}

impl State {
    pub(super) fn ask(&mut self, request: &SendRequest) -> Result<Reply, Failure> {
        self.keeper.changed = true;
        let mut url = request.address.reveal().to_owned();
        for _ in 0..=crate::ports::requests::REDIRECTS {
            if !Host::of(&url).is_some_and(|host| host.is_granted(&request.grants)) {
                return Err(request.not_granted());
            }
            let fits = |one: &&Answers| {
                url.starts_with(&one.url)
                    && one.method.as_ref().is_none_or(|method| *method == request.method)
                    && one.where_is.as_ref().is_none_or(|path| self.disk.files.contains_key(path))
            };
            let Some(answer) = self.services.answers.iter().find(fits).cloned() else {
                return Err(request.unreachable("nobody is there"));
            };
            let shown = match &request.address {
                Address::Hidden(_) => request.words(),
                Address::Plain(_) => format!("{} {url}", request.method),
            };
            self.services.asked.push(Asked {
                what: shown,
                headers: {
                    let lent = request.lent.iter().map(|(name, lent)| (name.clone(), lent.from.to_string()));
                    request.headers.clone().into_iter().chain(lent).collect()
                },
                bearer: request.bearer.as_ref().map(|lent| lent.from.to_string()),
                body: request.body.clone(),
            });
            let takes = answer.takes.map_or(Duration::ZERO, |span| span.0);
            self.pass(takes.min(request.timeout));
            if takes > request.timeout {
                return Err(request.late());
            }
            self.leave(&answer.makes, &answer.removes)?;
            let led_on = answer.location.as_ref().map(|to| joined(&url, to)).filter(|to| {
                request.is_safe() && Host::of(to).is_some_and(|host| host.is_granted(&request.grants))
            });
            match led_on {
                Some(to) if (300..400).contains(&answer.status) => url = to,
                _ => {
                    let Answers { status, location, body, .. } = answer;
                    return Ok(Reply { status, location, body, cut: false });
                }
            }
        }
        Err(request.no_answer("it leads on and on"))
    }
}

#[async_trait]
impl RequestsRead for World {
    async fn ask(&self, request: &SendRequest) -> Result<Option<Reply>, Failure> {
        self.look(|state| state.ask(request)).map(Some)
    }
}

#[async_trait]
impl Requests for World {
    async fn send(&self, request: &SendRequest) -> Result<Reply, Failure> {
        self.act(&format!("ask {}", request.words()), |state| state.ask(request))
    }
}

/// Where an answer leads on to: a path is one of the same host.
fn joined(url: &str, to: &str) -> String {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    if to.starts_with('/') && !to.starts_with("//") { format!("{}{to}", &url[..end]) } else { to.to_owned() }
}
