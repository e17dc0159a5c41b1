//! Where the configuration of a set belongs, on the site that it came from and on another host.

use std::path::{Path, PathBuf};

use super::manifest::{ConfigFile, Manifest};
use crate::{event::Failure, site::Project};

/// A file of a set's configuration with its place.
pub(super) type Placed<'a> = (PathBuf, &'a ConfigFile);

impl Manifest {
    /// The folder of the site when the set was made.
    #[must_use]
    pub fn site_folder(&self) -> PathBuf {
        let of_env = || Some(Path::new(&self.config.first()?.path).parent()?.to_owned());
        let known = self.compose.as_ref().map(|project| project.dir.clone());
        known.or_else(of_env).unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Every file of the configuration with its place on a site in `dir`, whose files of now are `known`. Refused where
    /// two would have one place: one would overwrite the other.
    pub fn places(&self, dir: &Path, known: &[PathBuf]) -> Result<Vec<Placed<'_>>, Failure> {
        let home = self.site_folder();
        let mut places: Vec<Placed<'_>> = Vec::new();
        for file in &self.config {
            let path = Path::new(&file.path);
            let place =
                if known.iter().any(|one| one == path) { path.to_owned() } else { place(path, &home, dir) };
            if let Some((_, other)) = places.iter().find(|(taken, _)| *taken == place) {
                let text = format!(
                    "`{}` and `{}` of the set would both become `{}`",
                    other.path,
                    file.path,
                    place.display()
                );
                return Err(Failure::new("config_ambiguous", text)
                    .hint("put the configuration in its place by hand, from the folder of the set"));
            }
            places.push((place, file));
        }
        Ok(places)
    }

    /// The compose project of the set in another folder; `None` where the set does not say how it ran.
    #[must_use]
    pub fn project_in(&self, dir: &Path) -> Option<Project> {
        let project = self.compose.clone()?;
        let all = |files: Vec<PathBuf>| files.iter().map(|path| place(path, &project.dir, dir)).collect();
        Some(Project {
            dir: dir.to_owned(),
            files: all(project.files.clone()),
            env_files: all(project.env_files.clone()),
            ..project
        })
    }
}

/// As a file stood to the site's folder, it stands to the new one. What was outside stays where it was if the folder is
/// the same, and comes into the new folder otherwise.
fn place(path: &Path, home: &Path, dir: &Path) -> PathBuf {
    match path.strip_prefix(home) {
        Ok(rest) => dir.join(rest),
        Err(_) if home == dir => path.to_owned(),
        Err(_) => dir.join(path.file_name().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_place_in_the_folder() {
        for (path, dir, expected) in [
            ("/srv/strata/.env", "/srv/strata", "/srv/strata/.env"),
            ("/srv/strata/b/.env", "/opt/new", "/opt/new/b/.env"),
            ("/etc/strata/common.env", "/srv/strata", "/etc/strata/common.env"),
            ("/etc/strata/common.env", "/opt/new", "/opt/new/common.env"),
        ] {
            let found = place(Path::new(path), Path::new("/srv/strata"), Path::new(dir));
            assert_eq!(found, Path::new(expected), "{path} in {dir}");
        }
    }
}
