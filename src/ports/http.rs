//! Asking a service whether it is up.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::docker::Container;
use crate::{event::Failure, site::Site};

/// One `GET` that follows no redirect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// e.g. `http://127.0.0.1:3000/up`.
    pub url: String,
    /// Sent as they are, e.g. `Host` and `X-Forwarded-Proto`.
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
}

/// What came back. Any status is an answer, not a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    /// `Location`, where the answer is a redirect.
    pub location: Option<String>,
}

#[async_trait]
pub trait Http: Send + Sync {
    /// Fails with the code `no_answer` (retryable) if nobody answers in time.
    async fn probe(&self, probe: &Probe) -> Result<Answer, Failure>;
}

impl Probe {
    /// `GET /up` of one container of the product, as a proxy in front of it would ask: the `Host` that the product
    /// expects, and `X-Forwarded-Proto: https` where it would otherwise redirect. Asks the published port, else
    /// the container's own address on its network, which a Linux host reaches, or this host's where it has no other.
    ///
    /// `None` if the container has neither, because it does not run.
    #[must_use]
    pub fn up(site: &Site, container: &Container) -> Option<Self> {
        let setting =
            |name: &str| site.settings.get(name).map(|value| value.trim()).filter(|v| !v.is_empty());
        let inside = setting("STRATA_CONTAINER_PORT").and_then(|port| port.parse().ok()).unwrap_or(80);
        let hosts_own = container.networks.contains_key("host");
        let address = if hosts_own {
            format!("127.0.0.1:{inside}")
        } else if let Some(binding) = container.ports.get(&inside) {
            let everywhere = ["", "0.0.0.0", "::"].contains(&binding.host_ip.as_str());
            let host = if everywhere { "127.0.0.1" } else { binding.host_ip.as_str() };
            format!("{}:{}", bracketed(host), binding.host_port)
        } else {
            let address = container.networks.values().find(|address| !address.is_empty())?;
            format!("{}:{inside}", bracketed(address))
        };
        let mut headers = Vec::new();
        if let Some(host) = setting("APP_HOST") {
            headers.push(("Host".to_owned(), bare(host).to_owned()));
        }
        let is_set =
            |name| setting(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        if is_set("FORCE_SSL") || is_set("ASSUME_SSL") || setting("APP_PROTOCOL") == Some("https") {
            headers.push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
        }
        Some(Self { url: format!("http://{address}/up"), headers, timeout: Duration::from_secs(5) })
    }
}

/// A host's name where somebody has written an address: without the scheme and the path.
fn bare(host: &str) -> &str {
    let name = host.split_once("://").map_or(host, |(_, rest)| rest);
    name.split('/').next().unwrap_or(name)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_host_is_a_name() {
        for (said, name) in [
            ("strata.example", "strata.example"),
            ("https://strata.example/app", "strata.example"),
            ("strata.example:8443", "strata.example:8443"),
        ] {
            assert_eq!(super::bare(said), name);
        }
    }
}
