//! Single files out of containers, by the engine's archive of a path.

use std::{
    io::{Cursor, Read as _},
    path::{Component, Path, PathBuf},
};

use bollard::{models::NetworkInspect, query_parameters::DownloadFromContainerOptionsBuilder};
use futures::StreamExt as _;
use tar::{Archive, EntryType};

use super::{EngineClient, is_missing};
use crate::{event::Failure, ports::docker::LARGEST_FILE};

/// Links from one to the next before it is a circle.
const LINKS: usize = 16;
/// What the archive adds to a file: headers, long names, the padding at its end.
const AROUND: u64 = 64 << 10;

/// What is at a path.
enum Found {
    File(Vec<u8>),
    Link(PathBuf),
    Other,
}

impl EngineClient {
    pub(super) async fn file_of(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.there(id).await?;
        let mut path = PathBuf::from(path);
        for _ in 0..LINKS {
            let Some(archive) = self.archive(id, &path).await? else { return Ok(None) };
            match first(&archive) {
                Some(Found::File(bytes)) => return Ok(Some(bytes)),
                // The engine follows links on the way to a file, and shows the one at its end as it is.
                Some(Found::Link(to)) => path = normal(&path.parent().unwrap_or(Path::new("/")).join(to)),
                Some(Found::Other) | None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn archive(&self, id: &str, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
        let options = DownloadFromContainerOptionsBuilder::new().path(&path.display().to_string()).build();
        let mut pieces = self.api().await?.download_from_container(id, Some(options));
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => all.extend_from_slice(&piece),
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(self.answered(&error)),
            }
            if all.len() as u64 > LARGEST_FILE + AROUND {
                return Err(too_large(path));
            }
        }
        Ok(Some(all))
    }
}

fn too_large(path: &Path) -> Failure {
    let text = format!("`{}` in the container is larger than {} MiB", path.display(), LARGEST_FILE >> 20);
    Failure::new("file_too_large", text).hint("name a smaller file in the settings")
}

/// The only entry of a file's archive, or the first of a folder's.
fn first(archive: &[u8]) -> Option<Found> {
    let mut archive = Archive::new(Cursor::new(archive));
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            Some(Found::File(bytes))
        }
        EntryType::Symlink => Some(Found::Link(entry.link_name().ok()??.into_owned())),
        _ => Some(Found::Other),
    }
}

/// Without `.` and `..`, which a link may hold.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The address of this host on a network: as the engine says, or the first of the subnet, which it takes by itself.
pub(super) fn gateway(network: NetworkInspect) -> Option<String> {
    let configs = network.ipam?.config?;
    configs.into_iter().find_map(|config| {
        let first = || {
            let subnet = config.subnet.as_deref()?.split('/').next()?.parse::<std::net::Ipv4Addr>().ok()?;
            Some(std::net::Ipv4Addr::from(u32::from(subnet) + 1).to_string())
        };
        config.gateway.clone().filter(|gateway| !gateway.is_empty()).or_else(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_from_where_it_lies() {
        for (from, to, path) in [
            ("/etc/ssl/ca.pem", "../certs/./real.pem", "/etc/certs/real.pem"),
            ("/etc/ssl/ca.pem", "/opt/ca.pem", "/opt/ca.pem"),
            ("/ca.pem", "../../x", "/x"),
        ] {
            let link = Path::new(from).parent().unwrap().join(to);
            assert_eq!(normal(&link), Path::new(path));
        }
    }
}
