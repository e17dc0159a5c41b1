//! Where a server is for this host, by which name it is believed, and by which certificates.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use super::PostgresClient;
use crate::{
    clients::{environment::Environment, tls},
    event::Failure,
    ports::postgres::Way,
    site::Endpoint,
};

#[derive(Clone)]
pub(super) struct Reach {
    /// The name that it must prove, where it must prove one.
    pub(super) host: String,
    /// Where that name leads for this host, if it is not to be looked up.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) roots: Option<Roots>,
    /// How this host comes there, in words, where that is another way than the containers'.
    pub(super) detour: Option<String>,
}

/// Certificates to believe.
#[derive(Clone)]
pub(super) enum Roots {
    File(PathBuf),
    /// Out of a container: on this host they lie nowhere.
    Text(Arc<str>),
}

impl Roots {
    pub(super) fn for_tls(&self) -> tls::Roots<'_> {
        match self {
            Self::File(path) => tls::Roots::File(path),
            Self::Text(text) => tls::Roots::Text(text),
        }
    }
}

impl PostgresClient {
    /// Fails with `database_unreachable` where no way to the site's server is known.
    pub(super) fn reach(&self, endpoint: &Endpoint) -> Result<Reach, Failure> {
        let way = self.way.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let there = Way::to(way.as_ref(), endpoint)?;
        let way = way.as_ref().filter(|way| way.is_to(endpoint));
        let from_settings = way.and_then(|way| way.roots.as_deref());
        let detour = way.map(|way| way.words.clone()).filter(|words| words != Endpoint::AS_IT_IS);
        let roots = roots(&self.processes.environment, from_settings);
        let address = there.host.parse().ok().filter(|_| there.host != endpoint.host);
        // The certificate of a server behind an address is made out for its name.
        let host = if address.is_some() { endpoint.host.clone() } else { there.host };
        Ok(Reach { host, address, port: there.port, roots, detour })
    }
}

/// The certificates to believe: those that the caller names, those that the site's settings name, the caller's own
/// for PostgreSQL, the host's. `pg_dump` is given the same, so that both believe the same.
fn roots(environment: &Environment, from_settings: Option<&str>) -> Option<Roots> {
    let system = || tls::system_bundle().map(|path| Roots::File(path.to_owned()));
    match (environment.get("PGSSLROOTCERT"), from_settings) {
        (Some("system"), _) => system(),
        (Some(named), _) => Some(Roots::File(PathBuf::from(named))),
        (None, Some(text)) => Some(Roots::Text(text.into())),
        (None, None) => {
            let own = environment.home().map(|home| home.join(".postgresql/root.crt"));
            own.filter(|path| path.is_file()).map(Roots::File).or_else(system)
        }
    }
}
