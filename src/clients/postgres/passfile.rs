//! The password for `pg_dump`, in a file that only it can find.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::{event::Failure, site::Secret};

/// A `PGPASSFILE` in memory, 0600, without a name in any folder: the child inherits it, and it is gone with the last
/// process that has it open, also when uplift is killed.
pub(super) struct PassFile {
    file: OwnedFd,
}

impl PassFile {
    pub(super) fn new(password: &Secret) -> Result<Self, Failure> {
        let line = line(password.reveal())?;
        Self::of(&line).map_err(|error| {
            Failure::new("dump_failed", format!("the password cannot be handed to `pg_dump`: {error}"))
                .hint("see whether memory has run out with `free -h`, and type the command again")
        })
    }

    /// Any text that a program wants to have as a file.
    pub(super) fn of(text: &str) -> std::io::Result<Self> {
        let file = memfd_create("uplift", MemfdFlags::CLOEXEC)?;
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(text.as_bytes())?;
        Ok(Self { file: file.into() })
    }

    /// Where the child finds it, with the descriptor that it must inherit for that.
    pub(super) fn lend(&self) -> std::io::Result<(String, OwnedFd)> {
        let copy = self.file.try_clone()?;
        Ok((format!("/proc/self/fd/{}", copy.as_raw_fd()), copy))
    }
}

/// libpq's line for every host, port, database and user.
fn line(password: &str) -> Result<String, Failure> {
    if password.contains(['\n', '\r', '\0']) {
        let text = "the password of the database holds a line break, which `pg_dump` cannot be given";
        return Err(Failure::new("password_unusable", text)
            .hint("give the database's user another password, and set `DB_PASSWORD` in `.env`"));
    }
    Ok(format!("*:*:*:*:{}\n", password.replace('\\', r"\\").replace(':', r"\:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_fields_is_escaped() {
        assert_eq!(line(r#"a:b\c 'd' "e" $f #g"#).unwrap(), "*:*:*:*:a\\:b\\\\c 'd' \"e\" $f #g\n");
        assert_eq!(line("a\nb").unwrap_err().code, "password_unusable");
    }

    #[test]
    fn the_file_is_private_and_can_be_read_by_its_path() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = PassFile::new(&Secret::new("x")).unwrap();
        let (path, _open) = file.lend().unwrap();
        let about = std::fs::metadata(&path).unwrap();
        assert!(about.is_file());
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        #[expect(clippy::disallowed_methods, reason = "reads the file under test")]
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "*:*:*:*:x\n");
    }
}
