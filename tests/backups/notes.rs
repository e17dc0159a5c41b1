//! What is noted of the uploaded files while the site stands still, and the way back by it.

use serde_json::Value;
use uplift::{
    World,
    event::{Failure, Teller},
    ports::docker::State,
    primitives::contract::{Back, Catalogue, Later, Undone},
};

use super::site::{RUN, intended};

pub(super) const UPLOAD: &str = "k1aaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const OTHER: &str = "k2bbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A site that stands still, whose uploaded files were noted.
pub(super) async fn noted() -> (World, Value) {
    let world = World::strata();
    world.upload(UPLOAD, "since the backup");
    world.upload(OTHER, "of another kind");
    for one in world.containers() {
        world.edit_container(&one.name, |one| one.state = State::Exited);
    }
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_savepoint").unwrap();
    let intent = intended(&world, "storage_savepoint").await;
    let operate = ports.operate(&site, RUN, &tell);
    verb.kept().unwrap().execute(verb.version, intent.clone(), operate).await.unwrap();
    (world, intent)
}

/// Taken back after these effects.
pub(super) async fn back_after(world: &World, intent: Value, verbs: &[&str]) -> Result<Undone, Failure> {
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_savepoint").unwrap();
    let later = |verb: &&str| Later {
        verb: (*verb).to_owned(),
        address: format!("step/{verb}#1"),
        adds_only: false,
        outcome: None,
        choice: (*verb == "pg_savepoint").then(|| "restore-data".to_owned()),
    };
    let later: Vec<_> = verbs.iter().map(later).collect();
    let back = Back { later: &later, ..Back::default() };
    verb.kept().unwrap().undo(verb.version, intent, &back, ports.operate(&site, RUN, &tell)).await
}

pub(super) fn notes(world: &World) -> Vec<std::path::PathBuf> {
    let folder = uplift::backups::folder(&world.site());
    let files = world.files_in(folder).into_iter();
    files.filter(|path| path.display().to_string().contains("/.uploads-")).collect()
}

#[tokio::test]
async fn a_file_that_was_deleted_in_the_dark_comes_back_and_the_note_goes() {
    let (world, intent) = noted().await;
    let path = world.uploaded(UPLOAD);
    world.remove_file(&path);
    let undone = back_after(&world, intent.clone(), &["compose_trial"]).await.unwrap();
    assert!(matches!(undone, Undone::Restored { .. }), "{undone:?}");
    assert_eq!(world.file(&path).unwrap().bytes, b"since the backup");
    assert!(notes(&world).is_empty());
    let again = back_after(&world, intent, &["compose_trial"]).await.unwrap();
    assert!(matches!(again, Undone::Nothing { .. }), "{again:?}");
}

/// Without the note nobody can say that the files are what they were.
#[tokio::test]
async fn a_note_that_is_damaged_is_not_taken_for_files_that_are_as_before() {
    let (world, intent) = noted().await;
    let index = notes(&world).into_iter().find(|path| path.ends_with("storage.index.zst")).unwrap();
    world.remove_file(&index);
    world.remove_file(world.uploaded(UPLOAD));
    let failure = back_after(&world, intent, &["compose_trial"]).await.unwrap_err();
    assert_eq!(failure.code, "note_damaged", "{failure}");
}

#[tokio::test]
async fn once_users_could_upload_the_files_and_the_note_stay() {
    let (world, intent) = noted().await;
    let before = notes(&world);
    world.remove_file(world.uploaded(UPLOAD));
    let undone = back_after(&world, intent, &["compose_trial", "compose_up"]).await.unwrap();
    let Undone::Nothing { why } = undone else { panic!("{undone:?}") };
    assert!(why.contains("/.uploads-"), "{why}");
    assert!(world.file(world.uploaded(UPLOAD)).is_none());
    assert_eq!(notes(&world), before);
}

/// The rows of before name files that were deleted since: those come back, and what users made of others stays.
#[tokio::test]
async fn where_the_data_returns_deleted_files_return_too() {
    let (world, intent) = noted().await;
    let (gone, other) = (world.uploaded(UPLOAD), world.uploaded(OTHER));
    world.remove_file(&gone);
    world.put_file(&other, "changed since", 0o644);
    let verbs = ["pg_savepoint", "compose_trial", "compose_up"];
    let undone = back_after(&world, intent.clone(), &verbs).await.unwrap();
    assert!(
        matches!(&undone, Undone::Restored { what, .. } if what.contains("put back 1 uploaded")),
        "{undone:?}"
    );
    assert_eq!(world.file(&gone).unwrap().bytes, b"since the backup");
    assert_eq!(world.file(&other).unwrap().bytes, b"changed since");
    let again = back_after(&world, intent, &verbs).await.unwrap();
    assert!(matches!(again, Undone::Nothing { .. }), "{again:?}");
}

/// Somebody has put another file in its place by hand, after the run had decided: it is not the run's to remove.
#[tokio::test]
async fn a_file_that_was_not_put_back_by_the_run_is_not_removed_by_it() {
    let (world, _) = noted().await;
    let path = world.uploaded(UPLOAD);
    world.remove_file(&path);
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_return").unwrap();
    let call = verb.parse(serde_json::json!({ "run": RUN })).unwrap();
    let intent = call.intend(ports.observe(&site, RUN, &tell)).await.unwrap().0.unwrap();
    world.put_file(&path, "somebody's own", 0o644);
    let operate = ports.operate(&site, RUN, &tell);
    verb.kept().unwrap().undo(verb.version, intent, &Back::default(), operate).await.unwrap();
    assert_eq!(world.file(&path).unwrap().bytes, b"somebody's own");
}
