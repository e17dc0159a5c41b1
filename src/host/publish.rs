//! Files for other programs to find: manual pages.

use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::{door::HostBuilder, error::HostError};
use crate::{
    clients,
    ports::files::{File, WriteFile, quoted},
};

/// Anybody may read them.
const MODE: u32 = 0o644;

impl HostBuilder {
    /// Writes texts, each under its name, into a folder that is there, and replaces what has the same name. Gives the paths.
    pub async fn publish(
        &self,
        folder: &Path,
        texts: Vec<(String, String)>,
    ) -> Result<Vec<PathBuf>, HostError> {
        let real = if self.given_ports().is_none() { Some(clients::real()?.0) } else { None };
        let ports = self.given_ports().or(real.as_ref()).ok_or(HostError::NoRun("publish"))?;
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let mut written = Vec::new();
        for (name, text) in texts {
            let file = File { bytes: text.into_bytes(), mode: MODE, uid, gid };
            let request = WriteFile { path: folder.join(name), file, what: "text".to_owned() };
            ports.files.write(&request).await.map_err(|failure| match failure.code.as_str() {
                "folder_missing" => failure.hint(format!("make it first: `mkdir -p {}`", quoted(folder))),
                _ => failure,
            })?;
            written.push(request.path);
        }
        Ok(written)
    }
}
