use crate::{event::Failure, site::Endpoint};

/// How the site's database server is reached from this host. Never stored: it is looked for by every command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// As the containers name it.
    pub host: String,
    pub port: u16,
    /// Where it is for this host, or why nobody can say.
    pub there: Result<There, String>,
    /// The same in words, e.g. [`Endpoint::AS_IT_IS`].
    pub words: String,
    /// Certificates (PEM) to believe it by, where the settings name a file of them.
    pub roots: Option<String>,
}

/// An address that this host reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    pub host: String,
    pub port: u16,
}

impl There {
    /// As an endpoint names it.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        Self { host: endpoint.host.clone(), port: endpoint.port }
    }
}

impl Way {
    /// Whether it leads to this endpoint's server.
    #[must_use]
    pub fn is_to(&self, endpoint: &Endpoint) -> bool {
        (self.host.as_str(), self.port) == (endpoint.host.as_str(), endpoint.port)
    }

    /// Where this endpoint's server is for this host. Fails with `database_unreachable` where that is not known.
    pub fn to(way: Option<&Self>, endpoint: &Endpoint) -> Result<There, Failure> {
        let Some(way) = way.filter(|way| way.is_to(endpoint)) else { return Ok(There::of(endpoint)) };
        way.there.clone().map_err(|why| {
            let text = format!("no way to the database server `{}:{}` is known", way.host, way.port);
            Failure::new("database_unreachable", text)
                .hint(
                    "start it; if it runs elsewhere, name an address that this host reaches: `host` under \
                     `[database]` in `uplift.toml`",
                )
                .evidence([why])
                .retryable()
        })
    }
}
