//! Writing down how the site is found.

use super::{door::Host, error::HostError};
use crate::{
    event::{Failure, Teller},
    ports::files::{File, WriteFile},
    primitives::restarters,
    survey::{self, Noted, Start},
};

impl Host {
    /// What `uplift.toml` would say of this site, compared with what it says.
    pub async fn noted(&self, start: &Start) -> Result<Noted, HostError> {
        Ok(survey::noted(&self.0.ports, start, &self.0.site).await?)
    }

    /// The same, with a key whose bundles of runbooks the site takes from now on.
    pub async fn trusting(&self, noted: Noted, key: &str) -> Result<Noted, HostError> {
        let trusting = survey::trusting(noted, key, &self.0.site, &self.0.ports).await;
        trusting.map_err(HostError::Invalid)
    }

    /// Adds what is missing to `uplift.toml`, or makes it. What is there stays, byte for byte.
    pub async fn note(&self, noted: &Noted) -> Result<(), HostError> {
        let Some(text) = &noted.text else { return Ok(()) };
        let files = &self.0.ports.files;
        let mut file = match files.read(&noted.path).await? {
            Some(file) => file,
            None => self.like_the_compose_file().await?,
        };
        if !file.bytes.is_empty() {
            file.bytes.extend(if file.bytes.ends_with(b"\n") { "\n" } else { "\n\n" }.bytes());
        }
        file.bytes.extend(text.bytes());
        let what = "how the site is found".to_owned();
        files.write(&WriteFile { path: noted.path.clone(), file, what }).await?;
        Ok(())
    }

    /// Nothing, with the owner of the files beside it.
    async fn like_the_compose_file(&self) -> Result<File, Failure> {
        let compose = match self.0.site.project.files.first() {
            Some(path) => self.0.ports.files.read(path).await?,
            None => None,
        };
        let (uid, gid) = compose.map_or((0, 0), |file| (file.uid, file.gid));
        Ok(File { bytes: Vec::new(), mode: 0o644, uid, gid })
    }

    /// Names of containers, and paths of units and timed jobs, that may start or replace the site's containers by themselves.
    pub async fn restarters(&self) -> Result<Vec<String>, HostError> {
        let tell = Teller::silent();
        Ok(restarters(self.0.ports.observe(&self.0.site, "init", &tell)).await?)
    }
}
