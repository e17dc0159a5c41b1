use std::path::PathBuf;

/// What runbooks may reach besides the site itself, by the settings file of today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Whole paths of programs that may be started.
    pub exec: Vec<PathBuf>,
    /// Hosts that may be asked over HTTP: `NAME`, which means its usual port, or `NAME:PORT`.
    pub http: Vec<String>,
    /// Images that may be run, as they are asked for.
    pub images: Vec<String>,
    /// Whole paths of files, and of folders with all that is in them, outside of the site folder that may be put and copied.
    pub files: Vec<PathBuf>,
}
