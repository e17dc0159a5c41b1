use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{context::Context, plan::PlannedStep};
use crate::{
    event::{Change, Teller},
    ports::server_room,
};

/// What a plan takes on one disk at most, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// What is put there, e.g. "backups and kept copies".
    pub what: Vec<String>,
    pub needed: u64,
    /// `None`: nobody can tell.
    pub free: Option<u64>,
}

/// What the steps take, on each disk of this host and on the server's own, which may be one of them.
pub(super) async fn needed(live: &Context, steps: &[PlannedStep]) -> Vec<Room> {
    // By device, as far as that can be told.
    let mut disks: BTreeMap<Option<u64>, Room> = BTreeMap::new();
    let root = live.ports.docker.engine().await.map(|engine| engine.root).unwrap_or_default();
    let mut databases = 0;
    for write in steps.iter().flat_map(|step| &step.calls).flat_map(|call| &call.writes) {
        let (path, bytes, what) = match &write.change {
            Change::Added { path, bytes: Some(bytes), .. } => {
                (path.as_str(), *bytes, "backups and kept copies")
            }
            Change::Image { bytes: Some(bytes), .. } => (root.as_str(), *bytes, "images"),
            Change::DatabaseAdded { bytes: Some(bytes), .. } => {
                databases += bytes;
                continue;
            }
            _ => continue,
        };
        let space = live.ports.files.space(path.as_ref()).await.ok();
        let device = space.as_ref().map(|space| space.device);
        let new = Room { what: Vec::new(), needed: 0, free: space.map(|space| space.free) };
        let disk = disks.entry(device).or_insert(new);
        if !disk.what.iter().any(|known| known == what) {
            disk.what.push(what.to_owned());
        }
        disk.needed += bytes;
    }
    let mut rooms: Vec<_> = disks.into_values().collect();
    if databases > 0 {
        let tell = Teller::silent();
        let free = server_room(live.observe(&tell)).await.ok().flatten();
        rooms.push(Room { what: vec!["copies on the database server".to_owned()], needed: databases, free });
    }
    rooms
}
