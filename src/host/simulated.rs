//! A site that exists in a file only: anybody can try uplift there, without an engine, a server or a network.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    door::{Host, HostBuilder},
    testing::Own,
};
use crate::{
    clients,
    event::Failure,
    ports::Ports,
    sim::{Origin, World},
    survey::Start,
};

/// A simulated site, as the last command has left it.
pub struct Simulated {
    world: World,
    /// Its state folder, with the world as it is now.
    folder: PathBuf,
    /// Where somebody types: runbooks of one's own lie there, what the site changes beside its file, and secrets are in the
    /// variables of this very process.
    real: Option<(Ports, PathBuf)>,
}

impl Simulated {
    /// The site of a world file. What happens there is kept in a folder beside it: `plain.toml` has `plain.simulated`.
    /// Whoever removes that begins anew. What lies beside the file as it would in a site's folder, `uplift.toml` and `uplift/`,
    /// is the site's own, as it is by then.
    ///
    /// # Errors
    ///
    /// `world_missing`, `world_invalid`, `world_file`, `own_files_large`; `world_unreadable` where the folder belongs to another beginning.
    pub async fn open(file: &Path) -> Result<Self, Failure> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let shown = file.display();
        if file.extension().is_none_or(|end| end != "toml") {
            let text = format!("`{shown}` is no world file: its name has to end in `.toml`");
            return Err(Failure::new("world_file", text)
                .hint("what is kept of it lies in `NAME.simulated` beside it"));
        }
        let text = clients::read_world(&file)?.ok_or_else(|| {
            Failure::new("world_missing", format!("there is no world file `{shown}`"))
                .hint("`examples/sites/` of the source, and the documentation of the package, have some to begin with")
        })?;
        let folder = file.with_extension("simulated");
        let kept = clients::KeptWorld::at(folder.join("world.json"));
        let origin =
            Origin { hash: blake3::hash(text.as_bytes()).to_hex().to_string(), folder: folder.clone() };
        let world = match kept.read()? {
            Some(text) => World::kept(&text, &origin).map_err(|failure| {
                let place = format!("the simulated site in `{}` cannot be taken up", folder.display());
                let anew = format!("begin anew: `rm -r {}`", crate::ports::files::quoted(&folder));
                Failure { message: format!("{place}: {}", failure.message), ..failure }.hint(anew)
            })?,
            None => World::written(&text).map_err(|failure| Failure {
                message: format!("`{shown}`: {}", failure.message),
                ..failure
            })?,
        };
        let beside = file.parent().unwrap_or(Path::new("/")).to_owned();
        let real = clients::real().ok().map(|(ports, _)| (ports, beside));
        if let Some((ports, beside)) = &real {
            // What the world file puts there itself comes first.
            let said = World::written(&text)?;
            let dir = world.site().project.dir;
            Own::of(beside, &*ports.files).await?.put(&world, &dir, |path| said.file(path).is_none());
        }
        world.keep_with(origin, move |text| kept.keep(text));
        Ok(Self { world, folder, real })
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// As [`Host::at`] for a real site.
    #[must_use]
    pub fn host(&self) -> HostBuilder {
        let start = Start {
            dir: Some(self.world.site().project.dir),
            project: None,
            state: Some(self.folder.clone()),
        };
        let ports = self.world.ports();
        let Some((real, beside)) = &self.real else { return Host::at(start).ports(ports) };
        let scripts = Arc::clone(&real.files);
        let ports = Ports { variables: Arc::clone(&real.variables), ..ports };
        Host::at(start).ports(ports).scripts(scripts, beside.clone())
    }
}

impl Drop for Simulated {
    /// What came after the last change: the end of a log, the time that has passed.
    fn drop(&mut self) {
        self.world.keep_rest();
    }
}
