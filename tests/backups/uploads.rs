//! Uploaded files: every row of the databases' moment has its file in the set.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use uplift::{
    Ending, World,
    event::{Failure, Teller},
    ports::{
        Ports,
        trees::{
            CheckTree, ExchangeTrees, FillTree, Lacking, PackTree, Packed, TreeCheck, TreeFacts, Trees,
            TreesRead, UnpackTree,
        },
    },
    run::PlanEnd,
};

use super::site::Site;

const GOES: &str = "6y1u7iop9a3sd5fg";
const COMES: &str = "zz9x8c7v6b5n4m3q";

/// What the volume is mounted from is gone: the folder is there, and nothing is in it.
fn unmount(world: &World) {
    let volume = world.uploaded(GOES).ancestors().nth(3).unwrap().to_owned();
    let files = world.files_in(&volume);
    assert!(files.len() > 1);
    for path in files {
        world.remove_file(path);
    }
}

/// Users who work on while uploaded files are copied.
struct Busy {
    world: World,
    trees: Arc<dyn Trees>,
    passes: AtomicUsize,
}

#[async_trait]
impl TreesRead for Busy {
    async fn facts(&self, path: &Path) -> Result<TreeFacts, Failure> {
        self.trees.facts(path).await
    }

    async fn beside(&self, live: &Path, name: &str) -> Result<PathBuf, Failure> {
        self.trees.beside(live, name).await
    }

    async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure> {
        self.trees.inode(path).await
    }

    async fn check(&self, request: &CheckTree, tell: &Teller) -> Result<TreeCheck, Failure> {
        self.trees.check(request, tell).await
    }

    async fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure> {
        self.trees.lacking(request).await
    }
}

#[async_trait]
impl Trees for Busy {
    async fn pack(&self, request: &PackTree, tell: &Teller) -> Result<Packed, Failure> {
        let packed = self.trees.pack(request, tell).await?;
        if self.passes.fetch_add(1, Ordering::Relaxed) == 0 {
            // After the first pass, before the databases' moment: one file comes with its row, and one goes whose row
            // somebody is about to remove.
            self.world.upload(COMES, "a new file");
            self.world.remove_file(self.world.uploaded(GOES));
        }
        Ok(packed)
    }

    async fn unpack(&self, request: &UnpackTree, tell: &Teller) -> Result<u64, Failure> {
        self.trees.unpack(request, tell).await
    }

    async fn exchange(&self, request: &ExchangeTrees) -> Result<(), Failure> {
        self.trees.exchange(request).await
    }

    async fn fill(&self, request: &FillTree, tell: &Teller) -> Result<(), Failure> {
        self.trees.fill(request, tell).await
    }
}

#[tokio::test]
async fn files_that_come_and_go_meanwhile_are_there_if_their_rows_are() {
    let world = World::strata();
    let ports = world.ports();
    let trees =
        Arc::new(Busy { world: world.clone(), trees: Arc::clone(&ports.trees), passes: AtomicUsize::new(0) });
    let site = Site::of(world).with(Ports { trees: trees.clone(), ..ports });
    let set = site.backup().await;
    let listed = site.sets().one(&set).await.unwrap();
    let storage = listed.manifest.unwrap().storage.unwrap();
    assert_eq!((storage.checked.blobs, storage.checked.wrong_blobs_count), (13, 0), "{:?}", storage.checked);
    assert_eq!(trees.passes.load(Ordering::Relaxed), 2);
    assert_eq!(storage.packed.files, 13);
}

#[tokio::test]
async fn a_row_without_a_file_is_told_and_is_no_failure_of_the_backup() {
    let site = Site::new();
    site.world.remove_file(site.world.uploaded(GOES));
    let set = site.backup().await;
    let listed = site.sets().one(&set).await.unwrap();
    let checked = &listed.manifest.as_ref().unwrap().storage.as_ref().unwrap().checked;
    assert_eq!(checked.wrong_blobs_count, 1);
    assert!(checked.wrong_blobs[0].contains(GOES));
    assert!(site.sets().verify(&listed).await.is_ok());
}

#[tokio::test]
async fn the_second_backup_takes_over_what_has_not_changed() {
    let site = Site::new();
    let first = site.backup().await;
    site.world.advance(std::time::Duration::from_hours(24));
    site.world.upload(COMES, "a new file");
    let second = site.backup().await;
    let listed = site.sets().one(&second).await.unwrap();
    let storage = listed.manifest.as_ref().unwrap().storage.as_ref().unwrap();
    assert_eq!(storage.previous.as_ref(), Some(&first));
    assert_eq!((storage.packed.files, storage.packed.packs.len()), (13, 2));
    assert!(storage.packed.packs.iter().any(|pack| pack.files == 12), "{:?}", storage.packed.packs);
    // The earlier one may go: nothing of the later one is in it.
    site.world.remove_file(site.folder().join(&first));
    assert!(site.sets().verify(&listed).await.is_ok());
}

#[tokio::test]
async fn a_backup_does_not_build_on_one_that_is_damaged() {
    let site = Site::new();
    let first = site.backup().await;
    site.world.remove_file(site.folder().join(&first).join("storage-001.tar.zst"));
    site.world.advance(std::time::Duration::from_hours(24));
    let second = site.backup().await;
    let listed = site.sets().one(&second).await.unwrap();
    assert_eq!(listed.manifest.unwrap().storage.unwrap().previous, None);
}

#[tokio::test]
async fn files_in_object_storage_need_a_word() {
    let site = Site::new();
    site.world.set("STORAGE_BACKEND", "amazon");
    for one in site.world.containers() {
        site.world
            .edit_environment(&one.name, |made| drop(made.insert("STORAGE_BACKEND".into(), "amazon".into())));
    }
    let ending = site.run("compose/backup", &[]).await.unwrap();
    let Ending::Refused { failure } = ending else { panic!("{ending:?}") };
    assert_eq!(failure.code, "storage_elsewhere");
    assert!(failure.message.contains("amazon") && failure.hint.unwrap().contains("--storage elsewhere"));
    assert!(site.all().await.is_empty());
    let ending = site.run("compose/backup", &[("storage", "elsewhere")]).await.unwrap();
    assert_eq!(ending, Ending::Done);
    let set = site.all().await.pop().unwrap();
    let left_out = set.manifest.unwrap().left_out;
    assert!(left_out[0].contains("amazon") && left_out[0].contains("elsewhere"), "{left_out:?}");
}

/// A disk that is not mounted looks like a site without uploads: such a backup would push out those that have them.
#[tokio::test]
async fn a_backup_without_any_of_the_listed_files_is_none() {
    let site = Site::new();
    unmount(&site.world);
    let planned = site.plan("compose/backup").await;
    assert!(matches!(planned.end, PlanEnd::Fails { .. }), "{:?}", planned.end);
    let ending = site.run("compose/backup", &[]).await.unwrap();
    let Ending::Refused { failure } = ending else { panic!("{ending:?}") };
    assert_eq!(failure.code, "uploads_missing");
    assert!(failure.message.contains("none of the 12 files"), "{failure}");
    assert!(failure.hint.unwrap().contains("`--storage none`"));
    assert!(site.all().await.is_empty());
    // An upgrade is refused while the site runs, and nothing of it is stopped.
    let ending = site.run("compose/upgrade", &[("to", "1.1.0")]).await.unwrap();
    assert!(
        matches!(&ending, Ending::Refused { failure } if failure.code == "uploads_missing"),
        "{ending:?}"
    );
    // What the message names goes through.
    let ending = site.run("compose/upgrade", &[("to", "1.1.0"), ("storage", "none")]).await.unwrap();
    assert_eq!(ending, Ending::Done);
    let ending = site.run("compose/backup", &[("storage", "elsewhere")]).await.unwrap();
    assert_eq!(ending, Ending::Done);
}

/// The folder is not empty, and yet it is not the one: that shows once the rows are compared.
#[tokio::test]
async fn a_backup_of_another_folder_than_that_of_the_rows_is_none() {
    let site = Site::new();
    unmount(&site.world);
    let above = site.world.uploaded(GOES).ancestors().nth(3).unwrap().to_owned();
    site.world.put_file(above.join(".keep"), "", 0o644);
    let ending = site.run("compose/backup", &[]).await.unwrap();
    let told = format!("{ending:?}");
    assert!(told.contains("uploads_missing") && !matches!(ending, Ending::Done), "{told}");
    assert!(site.good().await.is_empty());
    assert_eq!(site.run("compose/backup", &[("storage", "none")]).await.unwrap(), Ending::Done);
}

#[tokio::test]
async fn a_site_that_lists_no_files_is_backed_up_without_any() {
    let site = Site::new();
    site.world.forget_uploads();
    unmount(&site.world);
    assert_eq!(site.run("compose/backup", &[]).await.unwrap(), Ending::Done);
}
