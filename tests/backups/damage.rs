//! Damage of every kind in every file of a set: all of it is found, and what was found stays known.

use std::path::Path;

use uplift::{
    World,
    backups::{Level, Standing},
};

use super::site::Site;

/// Flips of single bits that are tried in each file.
const FLIPS: usize = 60;

fn kind(path: &Path) -> &'static str {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match name.as_str() {
        "manifest.json" => "manifest",
        "manifest.b3" => "hash of the manifest",
        "blobs.zst" => "list of uploaded files",
        "storage.index.zst" => "index of the packs",
        _ if name.starts_with("storage-") => "pack",
        _ if name.starts_with("config-") => "configuration",
        _ if name.ends_with(".dump.zst") => "dump",
        _ => panic!("`{name}` is no file of a set that this test knows"),
    }
}

fn flip(world: &World, path: &Path, at: usize) {
    let mut file = world.file(path).unwrap();
    file.bytes[at / 8] ^= 1 << (at % 8);
    world.put_file(path, &file.bytes, file.mode);
}

/// Whether a look at all of the set finds that something is wrong with it.
async fn found(site: &Site, world: &World, set: &str) -> bool {
    let sets = site.sets_of(world);
    let Ok(listed) = sets.one(set).await else { return true };
    if sets.verify(&listed).await.is_ok() {
        return false;
    }
    // From now on a list says so too, although no length has changed.
    let again = sets.one(set).await.unwrap();
    assert!(!again.standing.is_verified(), "{:?}", again.standing);
    true
}

#[tokio::test]
async fn every_bit_flip_in_every_file_is_found() {
    let site = Site::new();
    let set = site.backup().await;
    let files = site.world.files_in(site.folder());
    let mut tried = std::collections::BTreeMap::<_, usize>::new();
    for path in &files {
        let bits = site.world.file(path).unwrap().bytes.len() * 8;
        for n in 0..FLIPS.min(bits) {
            let world = site.world.fork();
            let at = n * bits / FLIPS.min(bits) + n % 7 % bits;
            flip(&world, path, at.min(bits - 1));
            assert!(found(&site, &world, &set).await, "bit {at} of `{}`", path.display());
            *tried.entry(kind(path)).or_default() += 1;
        }
    }
    for (kind, count) in &tried {
        println!("{kind}: {count} flips, all found");
    }
    assert_eq!(tried.len(), 7, "{tried:?}");
}

#[tokio::test]
async fn a_file_that_is_missing_or_cut_short_shows_in_the_list() {
    let site = Site::new();
    let set = site.backup().await;
    for path in site.world.files_in(site.folder()) {
        for cut in [false, true] {
            let world = site.world.fork();
            let file = world.file(&path).unwrap();
            if cut {
                world.put_file(&path, &file.bytes[..file.bytes.len() - 1], file.mode);
            } else {
                world.remove_file(&path);
            }
            let listed = site.sets_of(&world).one(&set).await.unwrap();
            let bad = match kind(&path) {
                "manifest" if !cut => listed.standing == Standing::Incomplete,
                _ => matches!(listed.standing, Standing::Damaged { .. }),
            };
            assert!(bad, "`{}`, cut: {cut}: {:?}", path.display(), listed.standing);
            let failure = site.sets_of(&world).verify(&listed).await.unwrap_err().failure();
            assert!(["set_damaged", "set_incomplete"].contains(&failure.code.as_str()), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_set_is_proved_on_a_machine_that_never_saw_the_site() {
    let site = Site::new();
    let set = site.backup().await;
    // Another machine: no engine, no database server, and no PostgreSQL programs.
    let elsewhere = World::strata();
    elsewhere.set_engine(false);
    elsewhere.set_server(false, false);
    let from = site.folder().join(&set);
    for path in site.world.files_in(&from) {
        let to = Path::new("/mnt/copies").join(path.strip_prefix(site.folder()).unwrap());
        elsewhere.put_file(to, site.world.file(&path).unwrap().bytes, 0o600);
    }
    let start = uplift::Start::default;
    let sets =
        || uplift::Host::at(start()).ports(elsewhere.ports()).sets_in(Path::new("/mnt/copies")).unwrap();
    let listed = sets().one(&set).await.unwrap();
    assert_eq!(sets().verify(&listed).await.unwrap().verified.level, Level::Decoded);
    elsewhere.set_dump_clients(&["17.2"]);
    let verified = sets().verify(&listed).await.unwrap().verified;
    assert_eq!(verified.level, Level::Hashes);
    assert!(verified.why.unwrap().contains("no `pg_restore` 15"));
}

/// It was found to be damaged, and what says so is garbled by now: the manifest alone would call it a good one.
#[tokio::test]
async fn a_finding_that_cannot_be_read_is_no_proof() {
    let site = Site::new();
    let set = site.backup().await;
    let note = site.folder().join(&set).join("checked.json");
    let listed = site.sets().one(&set).await.unwrap();
    site.sets().verify(&listed).await.unwrap();
    let good = String::from_utf8(site.world.file(&note).unwrap().bytes).unwrap();
    let newer = good.replace("\"format\": 1", "\"format\": 2");
    let level = good.replace("\"decoded\"", "\"sworn\"");
    assert!(newer != good && level != good);
    for text in [newer.as_str(), level.as_str(), "", &good[..good.len() / 2], "[]"] {
        site.world.put_file(&note, text, 0o600);
        let listed = site.sets().one(&set).await.unwrap();
        let Standing::Unknown { why } = &listed.standing else { panic!("{text}: {:?}", listed.standing) };
        assert!(why.contains("checked.json") && why.contains(&format!("backup verify {set}")), "{why}");
        assert!(site.good().await.is_empty());
        // What it says to type is the way out.
        site.sets().verify(&listed).await.unwrap();
        assert_eq!(site.good().await, std::slice::from_ref(&set));
    }
    site.world.remove_file(&note);
    assert_eq!(site.good().await, [set]);
}

#[tokio::test]
async fn a_trial_restore_leaves_nothing_on_the_server() {
    let site = Site::new();
    let set = site.backup().await;
    let before = site.world.running();
    let (host, sets) = (site.host().await, site.sets());
    let listed = sets.one(&set).await.unwrap();
    let rows = host.try_restore(&listed, &host.new_trial()).await.unwrap();
    let expected: u64 = listed
        .manifest
        .as_ref()
        .unwrap()
        .databases
        .iter()
        .flat_map(|one| &one.tables)
        .map(|table| table.rows)
        .sum();
    assert_eq!(rows, expected);
    assert!(host.status().await.kept.is_empty());
    assert_eq!(site.world.running(), before);
    sets.note_restored(&listed).await.unwrap();
    let again = sets.one(&set).await.unwrap();
    assert!(matches!(again.standing, Standing::Verified { level: Level::Restored, .. }));
    // A rotten dump fails the trial, and leaves nothing either.
    let dump = site.folder().join(&set).join("strata_production_queue.dump.zst");
    flip(&site.world, &dump, 800);
    assert!(host.try_restore(&listed, &host.new_trial()).await.is_err());
    assert!(host.status().await.kept.is_empty());
}
