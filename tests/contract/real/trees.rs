//! Trees on a real file system: what the simulated disk has not.

use std::path::PathBuf;

use tempfile::TempDir;
use uplift::{
    clients::{self, Environment},
    ports::Ports,
    site::Site,
};

use crate::contract::{Fixture, trees as behaviours};

/// Trees and files of this host need no site.
struct Bare {
    ports: Ports,
    folder: TempDir,
}

impl Bare {
    fn new() -> Self {
        let (ports, _) = clients::real_in(Environment::of_process()).unwrap();
        // Not on a tmpfs: it has neither the attributes nor the rooms of a disk.
        Self { ports, folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }
}

impl Fixture for Bare {
    fn ports(&self) -> Ports {
        self.ports.clone()
    }

    fn site(&self) -> Site {
        unreachable!("behaviours of trees ask for no site")
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn other_tag(&self) -> String {
        unreachable!("behaviours of trees ask for no image")
    }

    fn owner(&self) -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn with_wrong_password(&self) -> Ports {
        unreachable!("behaviours of trees ask for no database")
    }
}

#[tokio::test]
async fn trees_of_this_host_behave_as_the_world() {
    let bare = Bare::new();
    behaviours::a_missing_tree_has_no_inode(&bare).await;
    behaviours::a_tree_is_packed_and_checked(&bare).await;
    behaviours::damage_in_a_set_is_found(&bare).await;
    behaviours::missing_uploads_are_named(&bare).await;
    behaviours::trees_change_places(&bare).await;
}
