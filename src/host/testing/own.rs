//! What a simulated site gets of the real one: the folder `uplift/` and what `uplift.toml` says of more than one host.

use std::path::{Path, PathBuf};

use crate::{
    event::Failure,
    ports::files::{File, FilesRead},
    sim::World,
};

const FOLDER: &str = "uplift";
const TESTS: &str = "uplift/tests";
const SETTINGS: &str = "uplift.toml";
/// What is about this very host, and not about the simulated one.
const OF_THE_HOST: [&str; 2] = ["site", "database"];
/// Scripts and templates; whoever has more there has put something else there too.
const LARGEST: u64 = 16 << 20;

/// Files by their paths from the site's folder.
#[derive(Default)]
pub(in crate::host) struct Own(Vec<(PathBuf, File)>);

impl Own {
    /// What lies in a site's folder.
    pub(in crate::host) async fn of(site: &Path, files: &dyn FilesRead) -> Result<Self, Failure> {
        let (mut found, mut open, mut bytes) = (Vec::new(), vec![FOLDER.to_owned()], 0);
        while let Some(at) = open.pop() {
            for entry in files.list(&site.join(&at)).await?.into_iter().filter(|name| !name.starts_with('.'))
            {
                let name = format!("{at}/{entry}");
                let Some(length) = files.size(&site.join(&name)).await? else {
                    if name != TESTS {
                        open.push(name);
                    }
                    continue;
                };
                bytes += length;
                if bytes > LARGEST {
                    let text = format!("`{}` has more than 16 MiB in it", site.join(FOLDER).display());
                    return Err(Failure::new("own_files_large", text)
                        .hint("it is for scripts and templates: move what is large out of it"));
                }
                found.extend(files.read(&site.join(&name)).await?.map(|file| (name.into(), file)));
            }
        }
        if let Some(file) = files.read(&site.join(SETTINGS)).await? {
            let bytes = settings(&file.bytes).unwrap_or_else(|| file.bytes.clone());
            found.push((SETTINGS.into(), File { bytes, ..file }));
        }
        Ok(Self(found))
    }

    /// Puts those that `may` go to their paths into a simulated site.
    pub(in crate::host) fn put(&self, world: &World, site: &Path, may: impl Fn(&Path) -> bool) {
        for (path, file) in &self.0 {
            let path = site.join(path);
            let as_is = |there: File| there.bytes == file.bytes && there.mode == file.mode;
            if may(&path) && !world.file(&path).is_some_and(as_is) {
                world.put_file(path, &file.bytes, file.mode);
            }
        }
    }
}

/// `None` where it is no settings file: the simulated site says what is wrong with it.
fn settings(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut table: toml::Table = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    for part in OF_THE_HOST {
        table.remove(part);
    }
    Some(toml::to_string(&table).ok()?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_this_very_host_stays_here() {
        let text =
            "[site]\nproject = \"ours\"\n[grants]\nexec = [\"/usr/bin/true\"]\n[database]\nhost = \"db\"\n";
        let kept = String::from_utf8(settings(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(kept, "[grants]\nexec = [\"/usr/bin/true\"]\n");
        assert_eq!(settings(b"[site"), None);
    }
}
