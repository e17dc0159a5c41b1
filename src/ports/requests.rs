//! Services elsewhere that runbooks ask over HTTP.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{files::quote, secrets::Lent};
use crate::{
    event::{Change, Failure, Write},
    site::{Grants, Secret},
};

/// Bytes of an answer that are kept: the first ones.
pub const ANSWERED: usize = 64 << 10;

/// The most redirects that are followed.
pub const REDIRECTS: usize = 5;

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Plain(String),
    /// As a whole it is a secret, as those of webhooks are.
    Hidden(Lent),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// e.g. `POST`.
    pub method: String,
    pub address: Address,
    pub headers: BTreeMap<String, String>,
    /// Headers that are secrets.
    pub lent: BTreeMap<String, Lent>,
    /// Sent as `Authorization: Bearer ...`.
    pub bearer: Option<Lent>,
    pub body: Option<String>,
    pub timeout: Duration,
    /// A `GET` or `HEAD` is led on to no other host than these.
    pub grants: Grants,
}

/// What came back. Any status is an answer, not a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Where it is said to be instead, if that was not followed.
    pub location: Option<String>,
    /// The first [`ANSWERED`] bytes.
    pub body: String,
    /// There was more.
    pub cut: bool,
}

#[async_trait]
pub trait RequestsRead: Send + Sync {
    /// A request that changes nothing, as whoever wrote the runbook says. `None` in a rehearsal, which asks nobody. Fails
    /// as [`Requests::send`] does.
    async fn ask(&self, request: &SendRequest) -> Result<Option<Reply>, Failure>;
}

#[async_trait]
pub trait Requests: RequestsRead {
    /// Fails with `http_unreachable` (retryable) where nothing was sent, with `http_no_answer` where nobody knows what
    /// became of it (it is known of a `GET` and a `HEAD`, which change nothing, and then retryable).
    async fn send(&self, request: &SendRequest) -> Result<Reply, Failure>;
}

/// A host as an address names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// In lower case; an IPv6 address in its brackets.
    pub name: String,
    pub port: u16,
    /// The port is the one that the scheme has by itself.
    pub usual: bool,
}

impl Host {
    /// The host of an address; `None` if that is not `http://` or `https://`, or has anything in it that two readers may
    /// understand differently.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let own = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        if url.chars().any(|one| one == '\\' || one.is_whitespace() || one.is_control() || !one.is_ascii()) {
            return None;
        }
        let authority = rest.split(['/', '?', '#']).next()?;
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !authority.ends_with(']') => (name, port.parse().ok()?),
            _ => (authority, own),
        };
        let bracketed = name.starts_with('[') && name.ends_with(']');
        let fits = |one: char| {
            one.is_ascii_alphanumeric() || "-._".contains(one) || (bracketed && "[:]".contains(one))
        };
        let name = name.to_ascii_lowercase();
        (!name.is_empty() && name.chars().all(fits)).then_some(Self { name, port, usual: port == own })
    }

    /// As a grant is written.
    #[must_use]
    pub fn as_granted(&self) -> String {
        if self.usual { self.name.clone() } else { format!("{}:{}", self.name, self.port) }
    }

    #[must_use]
    pub fn is_granted(&self, grants: &Grants) -> bool {
        let with_port = format!("{}:{}", self.name, self.port);
        grants.http.iter().any(|known| *known == with_port || (self.usual && *known == self.name))
    }
}

impl Address {
    /// The address itself. It goes to the socket and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        match self {
            Self::Plain(url) => url,
            Self::Hidden(lent) => lent.value.reveal(),
        }
    }

    /// For screens and records.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Plain(url) => url.clone(),
            Self::Hidden(lent) => format!("the address in {}", lent.from),
        }
    }
}

impl SendRequest {
    /// Nothing is changed by asking once more.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method.as_str())
    }

    /// In a few words, without secrets.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.method, self.address.shown())
    }

    #[must_use]
    pub fn change(&self) -> Write {
        let mut words = vec!["curl".to_owned(), "-X".to_owned(), quote(&self.method)];
        let headers = self.headers.iter().map(|(name, value)| quote(&format!("{name}: {value}")));
        let lent = self.lent.iter().map(|(name, lent)| format!("\"{name}: {}\"", lent.from.in_shell()));
        let bearer =
            self.bearer.iter().map(|lent| format!("\"Authorization: Bearer {}\"", lent.from.in_shell()));
        words.extend(headers.chain(lent).chain(bearer).flat_map(|header| ["-H".to_owned(), header]));
        words.extend(self.body.iter().flat_map(|body| ["--data-raw".to_owned(), quote(body)]));
        words.push(match &self.address {
            Address::Plain(url) => quote(url),
            Address::Hidden(lent) => format!("\"{}\"", lent.from.in_shell()),
        });
        let change = Change::Request { method: self.method.clone(), url: self.address.shown() };
        Write { change, shell: Some(words.join(" ")) }
    }

    /// Its host, or one that it is led on to, is none of those that it may be sent to: nothing was sent there.
    #[must_use]
    pub fn not_granted(&self) -> Failure {
        let text = format!("`{}` cannot be sent: its host is not granted", self.words());
        Failure::new("http_bad_request", text).hint("correct it in the runbook")
    }

    /// Nobody was reached.
    #[must_use]
    pub fn unreachable(&self, why: &str) -> Failure {
        Failure::new("http_unreachable", format!("`{}` is not reached: {why}", self.address.shown()))
            .hint("look at the address, and at the way from this host to it: nothing was sent")
            .retryable()
    }

    /// It was sent, or may have been.
    #[must_use]
    pub fn no_answer(&self, why: &str) -> Failure {
        let text = format!("`{}` has no answer: {why}", self.words());
        let failure = Failure::new("http_no_answer", text);
        if self.is_safe() {
            failure.hint("ask once more").retryable()
        } else {
            failure.hint("look there whether it was done").unknown()
        }
    }

    /// The time was over.
    #[must_use]
    pub fn late(&self) -> Failure {
        let time = SignedDuration::try_from(self.timeout).unwrap_or_default();
        self.no_answer(&format!("nothing within {time:#}"))
    }
}

/// The secret, in one word for the client.
#[must_use]
pub fn bearer(lent: &Lent) -> Secret {
    Secret::new(format!("Bearer {}", lent.value.reveal()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_every_reader_takes_for_it() {
        for (url, host) in [
            ("https://hooks.example.org/a?b#c", Some("hooks.example.org")),
            ("HTTPS://hooks.example.org/", None),
            ("https://Hooks.Example.org:443", Some("hooks.example.org")),
            ("http://lb.internal:8443/drain", Some("lb.internal:8443")),
            ("http://lb.internal:443/", Some("lb.internal:443")),
            ("http://[::1]:8080/", Some("[::1]:8080")),
            ("http://[::1]/", Some("[::1]")),
            ("https://granted.example\\@evil.example/", None),
            ("https://granted.example@evil.example/", None),
            ("https://granted.example /", None),
            ("https://grantéd.example/", None),
            ("ftp://granted.example/", None),
            ("https:///x", None),
            ("https://a:b/", None),
            ("granted.example", None),
        ] {
            assert_eq!(Host::of(url).map(|host| host.as_granted()).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn a_grant_means_the_usual_port_unless_it_names_one() {
        let grants =
            Grants { http: vec!["a.example".to_owned(), "b.example:8443".to_owned()], ..Grants::default() };
        for (url, granted) in [
            ("https://a.example/", true),
            ("http://a.example/", true),
            ("https://a.example:8443/", false),
            ("https://b.example:8443/", true),
            ("https://b.example/", false),
            ("https://a.example.org/", false),
        ] {
            assert_eq!(Host::of(url).unwrap().is_granted(&grants), granted, "{url}");
        }
    }
}
