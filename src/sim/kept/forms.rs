//! How parts of a world are written that JSON, or their own form, has no place for.

/// Files by path: as text where they are text.
pub(in crate::sim) mod files {
    use std::{collections::BTreeMap, path::PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::bytes;
    use crate::ports::files::File;

    #[derive(Serialize, Deserialize)]
    struct Kept {
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
        mode: u32,
        uid: u32,
        gid: u32,
    }

    pub(in crate::sim) fn serialize<S: Serializer>(
        files: &BTreeMap<PathBuf, File>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let kept =
            |file: &File| Kept { bytes: file.bytes.clone(), mode: file.mode, uid: file.uid, gid: file.gid };
        to.collect_map(files.iter().map(|(path, file)| (path, kept(file))))
    }

    pub(in crate::sim) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<PathBuf, File>, D::Error> {
        let kept: BTreeMap<PathBuf, Kept> = BTreeMap::deserialize(from)?;
        let file = |Kept { bytes, mode, uid, gid }| File { bytes, mode, uid, gid };
        Ok(kept.into_iter().map(|(path, kept)| (path, file(kept))).collect())
    }
}

/// Files in containers.
pub(in crate::sim) mod inside {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::bytes;

    #[derive(Serialize, Deserialize)]
    struct Kept {
        container: String,
        path: String,
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    }

    type Inside = BTreeMap<(String, String), Vec<u8>>;

    pub(in crate::sim) fn serialize<S: Serializer>(files: &Inside, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(files.iter().map(|((container, path), bytes)| Kept {
            container: container.clone(),
            path: path.clone(),
            bytes: bytes.clone(),
        }))
    }

    pub(in crate::sim) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Inside, D::Error> {
        let kept: Vec<Kept> = Vec::deserialize(from)?;
        Ok(kept.into_iter().map(|one| ((one.container, one.path), one.bytes)).collect())
    }
}

/// Bytes as text where they are text.
mod bytes {
    use std::fmt::Write as _;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kept {
        Text(String),
        Hex(String),
    }

    pub(in crate::sim) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let kept = match std::str::from_utf8(bytes) {
            Ok(text) => Kept::Text(text.to_owned()),
            Err(_) => Kept::Hex(bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })),
        };
        kept.serialize(to)
    }

    pub(in crate::sim) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        match Kept::deserialize(from)? {
            Kept::Text(text) => Ok(text.into_bytes()),
            Kept::Hex(text) => {
                let pairs =
                    text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
                pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(D::Error::custom)).collect()
            }
        }
    }
}

/// Containers with what their snapshots leave out.
pub(in crate::sim) mod instances {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::{
        ports::docker::LogLine,
        sim::{
            instance::{Instance, Prepare},
            tasks::Task,
        },
    };

    #[derive(Serialize, Deserialize)]
    struct Kept {
        instance: Instance,
        restart_at: Option<Timestamp>,
        prepare: Prepare,
        logs: Vec<LogLine>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<Task>,
    }

    pub(in crate::sim) fn serialize<S: Serializer>(
        all: &BTreeMap<String, Instance>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let kept = |one: &Instance| Kept {
            restart_at: one.restart_at,
            prepare: one.prepare,
            logs: one.logs.clone(),
            task: one.task.clone(),
            instance: one.clone(),
        };
        to.collect_map(all.iter().map(|(id, one)| (id, kept(one))))
    }

    pub(in crate::sim) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, Instance>, D::Error> {
        let kept: BTreeMap<String, Kept> = BTreeMap::deserialize(from)?;
        let whole = |Kept { instance, restart_at, prepare, logs, task }| Instance {
            restart_at,
            prepare,
            logs,
            task,
            ..instance
        };
        Ok(kept.into_iter().map(|(id, kept)| (id, whole(kept))).collect())
    }
}
