//! Headers of a tar archive that any tar can read: ustar, with what does not fit into it as pax records, and holes
//! as GNU's sparse format 1.0.

use super::{
    entry::{Attribute, Kind},
    walk::About,
};

/// Everything in a tar archive begins at a multiple of this.
pub(super) const BLOCK: u64 = 512;

/// Bytes until the next block.
pub(super) fn padding(length: u64) -> usize {
    usize::try_from(length.next_multiple_of(BLOCK) - length).unwrap_or(0)
}

/// What a header says.
pub(super) struct Head<'a> {
    pub(super) path: &'a [u8],
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) xattrs: &'a [Attribute],
}

impl<'a> Head<'a> {
    pub(super) fn new(path: &'a [u8], about: &About, xattrs: &'a [Attribute]) -> Self {
        Self { path, mode: about.mode, uid: about.uid, gid: about.gid, mtime: about.mtime.0, xattrs }
    }

    /// Of something without content.
    pub(super) fn bare(&self, is: &Kind) -> Vec<u8> {
        let mut pax = Vec::new();
        let (kind, mut to) = match is {
            Kind::Symlink { to } => (tar::EntryType::Symlink, to.clone()),
            Kind::Link { to } => (tar::EntryType::Link, [b"./", &**to].concat()),
            Kind::Folder | Kind::File(_) => (tar::EntryType::Directory, Vec::new()),
        };
        if to.len() > 100 {
            record(&mut pax, b"linkpath", &to);
            to.truncate(100);
        }
        let end: &[u8] = if kind == tar::EntryType::Directory { b"/" } else { b"" };
        self.with(pax, kind, &[b"./", self.path, end].concat(), &to, 0)
    }

    /// Of a file; its content follows.
    pub(super) fn file(&self, bytes: u64) -> Vec<u8> {
        self.with(Vec::new(), tar::EntryType::Regular, &[b"./", self.path].concat(), b"", bytes)
    }

    /// Of a file with holes, and the map of them; the pieces that are not holes follow.
    pub(super) fn sparse(&self, bytes: u64, pieces: &[(u64, u64)]) -> Vec<u8> {
        // Where it ends in a hole, an empty piece says where its end is.
        let open_end = pieces.last().is_none_or(|(offset, length)| offset + length < bytes);
        let mut map = format!("{}\n", pieces.len() + usize::from(open_end)).into_bytes();
        for (offset, length) in pieces.iter().copied().chain(open_end.then_some((bytes, 0))) {
            map.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
        }
        map.resize(map.len() + padding(map.len() as u64), 0);
        let mut pax = Vec::new();
        record(&mut pax, b"GNU.sparse.major", b"1");
        record(&mut pax, b"GNU.sparse.minor", b"0");
        record(&mut pax, b"GNU.sparse.name", &[b"./", self.path].concat());
        record(&mut pax, b"GNU.sparse.realsize", bytes.to_string().as_bytes());
        let stored = map.len() as u64 + pieces.iter().map(|(_, length)| length).sum::<u64>();
        let mut head = self.with(pax, tar::EntryType::Regular, b"./GNUSparseFile.0/file", b"", stored);
        head.extend_from_slice(&map);
        head
    }

    fn with(&self, mut pax: Vec<u8>, kind: tar::EntryType, path: &[u8], to: &[u8], size: u64) -> Vec<u8> {
        if path.len() > 100 {
            record(&mut pax, b"path", path);
        }
        for one in self.xattrs {
            record(&mut pax, &[b"SCHILY.xattr.", &*one.name].concat(), &one.value);
        }
        let mut head = Vec::new();
        if !pax.is_empty() {
            head.extend_from_slice(
                self.block(tar::EntryType::XHeader, b"pax", b"", pax.len() as u64).as_bytes(),
            );
            let padding = padding(pax.len() as u64);
            head.append(&mut pax);
            head.resize(head.len() + padding, 0);
        }
        head.extend_from_slice(self.block(kind, &path[..path.len().min(100)], to, size).as_bytes());
        head
    }

    fn block(&self, kind: tar::EntryType, path: &[u8], to: &[u8], size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path);
        old.linkname[..to.len()].copy_from_slice(to);
        header.set_entry_type(kind);
        header.set_mode(self.mode);
        header.set_uid(self.uid.into());
        header.set_gid(self.gid.into());
        header.set_mtime(u64::try_from(self.mtime).unwrap_or(0));
        header.set_size(size);
        header.set_cksum();
        header
    }
}

/// `LENGTH KEY=VALUE`, where the length counts its own digits too.
fn record(pax: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    pax.extend_from_slice(format!("{length} ").as_bytes());
    pax.extend_from_slice(key);
    pax.push(b'=');
    pax.extend_from_slice(value);
    pax.push(b'\n');
}
