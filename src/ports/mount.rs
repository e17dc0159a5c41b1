//! Which file systems have locks and syncs that can be trusted: what the journal and the files port both ask.

/// The name of a file system from over the network or from a helper process, by the magic number that `statfs`
/// gives and the type that the mount table names; `None` for a local one.
///
/// A lock there may be honoured by this host only, and a sync may come back before the disk has the data.
pub(crate) fn network(magic: u64, kind: &str) -> Option<String> {
    let name = match magic & 0xffff_ffff {
        0x6969 => "nfs",
        0x517b => "smb",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x0102_1997 => "9p",
        0x00c3_6400 => "ceph",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x7375_7245 => "coda",
        0x564c => "ncp",
        0x0bd0_0bd0 => "lustre",
        0x786f_4256 => "vboxsf",
        0x0116_1970 => "gfs2",
        0x7461_636f => "ocfs2",
        // sshfs, rclone, s3fs, gluster, virtiofs; only a block device behind FUSE (NTFS, exFAT) is local.
        0x6573_5546 if kind != "fuseblk" => return Some(fuse(kind)),
        _ => return None,
    };
    Some(name.to_owned())
}

fn fuse(kind: &str) -> String {
    if kind.is_empty() { "fuse".to_owned() } else { kind.to_owned() }
}

/// The type and the device number (as `major:minor`) of the mount with this id, out of `/proc/self/mountinfo`.
pub(crate) fn entry(mountinfo: &str, id: &str) -> Option<(String, String)> {
    let line = mountinfo.lines().find(|line| line.split(' ').next() == Some(id))?;
    let device = line.split(' ').nth(2)?;
    let kind = line.split(" - ").nth(1)?.split(' ').next()?;
    Some((kind.to_owned(), device.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_network_are_known_by_number() {
        for (magic, kind, name) in [
            (0x6969, "nfs4", Some("nfs")),
            (0xff53_4d42, "cifs", Some("cifs")),
            // Where `f_type` is a signed 32-bit number it arrives with its sign extended.
            (0xffff_ffff_ff53_4d42, "cifs", Some("cifs")),
            (0x0102_1997, "9p", Some("9p")),
            (0x6573_5546, "fuse.sshfs", Some("fuse.sshfs")),
            (0x6573_5546, "", Some("fuse")),
            (0x6573_5546, "fuseblk", None),
            (0xef53, "ext4", None),
            (0x0102_1994, "tmpfs", None),
            (0x5846_5342, "xfs", None),
            (0x9123_683e, "btrfs", None),
            (0x794c_7630, "overlay", None),
        ] {
            assert_eq!(network(magic, kind).as_deref(), name, "{magic:x} {kind}");
        }
    }

    #[test]
    fn a_mount_is_found_by_its_id() {
        let table = "28 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw\n\
                     36 28 0:31 /@home /home rw - btrfs /dev/sda1 rw,subvol=/@home\n";
        assert_eq!(entry(table, "36"), Some(("btrfs".to_owned(), "0:31".to_owned())));
        assert_eq!(entry(table, "3"), None);
    }
}
