#![expect(clippy::disallowed_methods, reason = "the clients read files")]

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use rustix::fs::{fstatfs, fstatvfs};

use super::failed::reading;
use crate::{
    event::Failure,
    ports::{files::Space, mount},
};

/// Room on the file system of the nearest folder that is there.
pub(super) fn space(path: &Path) -> Result<Space, Failure> {
    let path = std::path::absolute(path).map_err(|error| reading(path, &error))?;
    let none = || {
        Failure::new("no_file_system", format!("nothing holds `{}`", path.display()))
            .hint("name a folder that is there")
    };
    let here = path.ancestors().find(|folder| folder.exists()).ok_or_else(none)?;
    let look = || -> std::io::Result<Space> {
        let open = File::open(here)?;
        let about = fstatvfs(&open)?;
        let block = if about.f_frsize == 0 { about.f_bsize } else { about.f_frsize };
        let magic = fstatfs(&open)?.f_type.cast_unsigned();
        Ok(Space {
            free: about.f_bavail.saturating_mul(block),
            total: about.f_blocks.saturating_mul(block),
            device: open.metadata()?.dev(),
            network: mount::network(magic, &kind_of(&open)).is_some(),
        })
    };
    look().map_err(|error| reading(here, &error))
}

/// The file system's type by the mount table, which tells one helper process behind FUSE from another.
fn kind_of(open: &File) -> String {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", open.as_raw_fd())).unwrap_or_default();
    let id = about.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    id.and_then(|id| mount::entry(&table, id)).map(|(kind, _)| kind).unwrap_or_default()
}
