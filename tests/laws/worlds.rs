//! Where the laws are tried.

use std::time::Duration;

use uplift::{
    ports::{compose::Up, postgres::Session},
    sim::{Manner, World},
};

/// One way for a world to begin.
pub(super) struct Start {
    pub(super) name: &'static str,
    make: fn() -> World,
}

impl Start {
    /// The same world every time.
    pub(super) fn world(&self) -> World {
        (self.make)()
    }
}

pub(super) const WORLDS: &[Start] = &[
    Start { name: "at 1.0.0", make: World::strata },
    Start { name: "set to 1.1.0", make: set },
    Start { name: "migrated and set to 1.1.0", make: migrated },
    Start { name: "stopped before 1.1.0", make: stopped },
];

/// As a run stands before the switch: the image is there, the settings ask for it, 1.0.0 runs.
fn set() -> World {
    let world = World::strata();
    world.pulled("1.1.0");
    world.set("STRATA_VERSION", "1.1.0");
    world
}

/// As a run stands before a trial: the image is there, and nobody writes any more.
fn stopped() -> World {
    let world = World::strata();
    world.pulled("1.1.0");
    for container in world.containers() {
        world.edit_container(&container.name, |container| {
            container.state = uplift::ports::docker::State::Exited;
            container.exit_code = Some(0);
        });
    }
    // Somebody else looks at the databases from time to time.
    for database in world.site().databases.all {
        let session = Session {
            pid: 77,
            database: database.name,
            user: "exporter".to_owned(),
            application: "exporter".to_owned(),
            client: "192.0.2.7".to_owned(),
            state: "idle".to_owned(),
            query: "SELECT 1".to_owned(),
            seconds: 60,
        };
        world.put_session(session, Manner::ComesBack);
    }
    world
}

/// The same on the new schema, as after a trial in the dark.
fn migrated() -> World {
    let world = set();
    let mut primary = world.database("strata_production").expect("the primary is there");
    let versions = primary.versions.get_or_insert_default();
    versions.extend(["20260703101500", "20260709083000"].map(str::to_owned));
    world.put_database(primary);
    world
}

/// The world that [`migrated`] describes is the one that the release itself makes.
#[tokio::test]
async fn the_migrated_world_is_what_the_release_makes() {
    let world = set();
    let up = Up { project: world.site().project, services: vec!["web".to_owned()] };
    world.ports().compose.up(&up).await.unwrap();
    world.advance(Duration::from_mins(1));
    let versions = |world: &World| world.database("strata_production").unwrap().versions;
    assert_eq!(versions(&world), versions(&migrated()));
}
