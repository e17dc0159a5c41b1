//! Manifests of every format stay readable, as they were written.

use std::path::{Path, PathBuf};

use uplift::{
    World,
    backups::{self, Level, Manifest, Part},
};

const SET: &str = "/srv/strata/.uplift/backups/20261124-031500-7f3a";

/// The golden files of a format as a set of a world.
fn stored(format: u32, world: &World) -> PathBuf {
    for name in ["manifest.json", "manifest.b3"] {
        let path = format!("{}/tests/backups/format-{format}/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        world.put_file(format!("{SET}/{name}"), bytes, 0o600);
    }
    SET.into()
}

async fn read(format: u32) -> Manifest {
    let world = World::strata();
    let set = stored(format, &world);
    backups::read(&*world.ports().files, &set).await.unwrap()
}

#[tokio::test]
async fn format_1_is_read() {
    let manifest = read(1).await;
    assert_eq!((manifest.format, manifest.databases.len()), (1, 4));
    assert_eq!(manifest.parts(), [Part::Databases, Part::Configuration]);
    // What it did not record is not made up.
    assert_eq!((&manifest.verification, &manifest.storage, manifest.pinned), (&None, &None, false));
    let server = manifest.server.unwrap();
    assert_eq!((server.major(), server.system.as_str()), (15, ""));
}

#[tokio::test]
async fn an_altered_or_newer_manifest_is_refused() {
    let world = World::strata();
    let set = stored(1, &world);
    let path = set.join("manifest.json");
    let files = world.ports().files;
    let text = String::from_utf8(world.file(&path).unwrap().bytes).unwrap();
    let write = |text: &str, hash: bool| {
        world.put_file(&path, text, 0o600);
        if hash {
            let hash = format!("{}\n", blake3::hash(text.as_bytes()).to_hex());
            world.put_file(set.join("manifest.b3"), hash, 0o600);
        }
    };
    let code = async |set: &Path| backups::read(&*files, set).await.unwrap_err().code;
    write(&text.replace("\"rows\": 42", "\"rows\": 43"), false);
    assert_eq!(code(&set).await, "set_damaged");
    write(&text.replace("\"format\": 1", "\"format\": 99"), true);
    assert_eq!(code(&set).await, "set_newer");
    assert_eq!(code(Path::new("/srv/strata")).await, "set_incomplete");
    assert!(Level::Hashes < Level::Decoded && Level::Decoded < Level::Restored);
}
