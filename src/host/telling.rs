//! What a run tells while another process works on it, read from its log.

use std::{path::PathBuf, sync::Arc};

use super::log::{Told, read};
use crate::ports::files::{FilesRead, Position};

/// The log of a run, from its beginning on. It may be moved away, emptied or removed meanwhile: then what comes later is
/// read, and what was lost is lost.
pub struct Telling {
    files: Option<Arc<dyn FilesRead>>,
    path: PathBuf,
    position: Option<Position>,
    /// The beginning of a line that was not read to its end.
    rest: Vec<u8>,
}

impl Telling {
    pub(super) fn new(files: Option<Arc<dyn FilesRead>>, path: PathBuf) -> Self {
        Self { files, path, position: None, rest: Vec::new() }
    }

    /// The events that were told since this was last asked, with their times. Nothing where the log cannot be read: the
    /// record holds what matters.
    pub async fn more(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        let Some(files) = self.files.clone() else { return told };
        while let Ok(Some(grown)) = files.grown(&self.path, self.position).await {
            if grown.again {
                self.rest.clear();
            }
            self.position = Some(grown.position);
            if grown.bytes.is_empty() {
                break;
            }
            self.rest.extend(grown.bytes);
            let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines: Vec<u8> = self.rest.drain(..whole).collect();
            told.extend(lines.split(|byte| *byte == b'\n').filter_map(read));
        }
        told
    }
}
