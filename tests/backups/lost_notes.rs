//! The way back where what was noted of the uploaded files is damaged or gone, or does not reach all of them.

use std::path::PathBuf;

use serde_json::Value;
use uplift::{
    World,
    event::{Event, Failure, Teller},
    ports::trees::FILLING,
    primitives::contract::{Back, Catalogue, Found, Left, Undone},
};

use super::{
    notes::{OTHER, UPLOAD, back_after, noted, notes},
    site::RUN,
};

/// Users were in, and the databases have returned.
const VERBS: [&str; 3] = ["pg_savepoint", "compose_trial", "compose_up"];

fn live(world: &World) -> PathBuf {
    world.uploaded(UPLOAD).ancestors().nth(3).unwrap().to_owned()
}

fn in_note(world: &World, end: &str) -> PathBuf {
    let found = notes(world).into_iter().find(|path| path.display().to_string().ends_with(end));
    found.unwrap_or_else(|| panic!("no `{end}`"))
}

/// The last byte is another.
fn rot(world: &World, path: &PathBuf) {
    let mut bytes = world.file(path).unwrap().bytes;
    *bytes.last_mut().unwrap() ^= 4;
    world.put_file(path, bytes, 0o600);
}

/// What each of them leaves of the note, and a word of what is said then.
type Harm = fn(&World);
const HARM: [(&str, Harm); 4] = [
    ("cannot be told", |world| rot(world, &in_note(world, "storage.index.zst"))),
    ("cannot be told", |world| {
        for path in notes(world) {
            world.remove_file(path);
        }
    }),
    ("cannot be told", |world| {
        let told = world.site().state.join("kept").join(RUN).join("uploads.json");
        world.put_file(told, "{", 0o600);
    }),
    ("1 uploaded files could not be put back (`k1/", |world| {
        for path in notes(world).iter().filter(|path| path.display().to_string().ends_with(".tar.zst")) {
            rot(world, path);
        }
    }),
];

#[tokio::test]
async fn once_users_were_in_a_note_that_gives_nothing_back_does_not_keep_the_site_down() {
    for (words, harm) in HARM {
        let (world, intent) = noted().await;
        let path = world.uploaded(UPLOAD);
        world.remove_file(&path);
        harm(&world);
        let undone = back_after(&world, intent, &VERBS).await.unwrap();
        let Undone::Restored { what, left } = undone else { panic!("{undone:?}") };
        assert!(what.contains(words) && what.contains("uplift backup list"), "{what}");
        assert!(!what.contains("put back 1"), "{what}");
        assert_eq!(left, [Left::Uploads]);
        assert!(world.file(&path).is_none());
    }
}

/// What a return intends, what it has come to, and what it has said meanwhile.
async fn returned(world: &World, harm: Harm) -> (Value, Result<Value, Failure>, String) {
    let (ports, site) = (world.ports(), world.site());
    let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let hears = std::sync::Arc::clone(&said);
    let tell = Teller::new(std::sync::Arc::new(move |event| {
        if let Event::Warning { text, .. } = event {
            hears.lock().unwrap().push_str(&text);
        }
    }));
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_return").unwrap();
    let call = verb.parse(serde_json::json!({ "run": RUN })).unwrap();
    let intent = call.intend(ports.observe(&site, RUN, &tell)).await.unwrap().0.unwrap();
    harm(world);
    let operate = ports.operate(&site, RUN, &tell);
    let outcome = verb.kept().unwrap().execute(verb.version, intent.clone(), operate).await;
    let said = said.lock().unwrap().clone();
    (intent, outcome, said)
}

#[tokio::test]
async fn a_return_goes_on_without_the_files_that_a_damaged_note_does_not_give_back() {
    for early in [true, false] {
        for (words, harm) in HARM {
            let (world, _) = noted().await;
            world.remove_file(world.uploaded(UPLOAD));
            let nothing: Harm = |_| ();
            if early {
                harm(&world);
            }
            let (_, outcome, said) = returned(&world, if early { nothing } else { harm }).await;
            let outcome = outcome.unwrap();
            if !early && outcome["files"] == 1 {
                continue; // What was written down is not asked again.
            }
            assert_eq!((&outcome["files"], &outcome["bytes"]), (&0.into(), &0.into()), "{outcome}");
            assert!(outcome.to_string().contains(words), "{outcome}");
            assert!(said.contains(words) && said.contains("uplift backup list"), "{said}");
        }
    }
}

/// Killed after the last file had its name: nothing is lacking any more.
#[tokio::test]
async fn what_a_killed_return_has_left_goes() {
    let (world, savepoint) = noted().await;
    let half = live(&world).join(FILLING);
    let harm: Harm = |world| world.put_file(live(world).join(FILLING), "since the backup", 0o600);
    let (intent, outcome, _) = returned(&world, harm).await;
    assert_eq!(outcome.unwrap()["files"], 0);
    assert!(world.file(&half).is_none());
    harm(&world);
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_return").unwrap();
    let found = verb.kept().unwrap().probe(verb.version, intent, ports.observe(&site, RUN, &tell)).await;
    assert!(matches!(found, Ok(Found::Partial(_))), "{found:?}");
    back_after(&world, savepoint, &VERBS).await.unwrap();
    assert!(world.file(&half).is_none(), "also on the way back");
}

#[tokio::test]
async fn files_below_what_is_no_folder_any_more_are_named() {
    let block: Harm = |world| {
        let folder = world.uploaded(UPLOAD).parent().unwrap().to_owned();
        world.remove_file(&folder);
        world.put_file(&folder, "a file", 0o644);
    };
    let (world, savepoint) = noted().await;
    world.remove_file(world.uploaded(OTHER));
    block(&world);
    let (_, outcome, said) = returned(&world, |_| ()).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome["files"], 1);
    for text in [&outcome.to_string(), &said] {
        assert!(text.contains("1 uploaded files of before are not looked for (`k1/"), "{text}");
    }
    let undone = back_after(&world, savepoint, &VERBS).await.unwrap();
    let Undone::Restored { what, left } = undone else { panic!("{undone:?}") };
    assert!(what.contains("are not looked for (`k1/"), "{what}");
    assert_eq!(left, [Left::Uploads]);
}

#[tokio::test]
async fn a_return_that_is_taken_back_says_what_it_leaves() {
    let (world, _) = noted().await;
    let path = world.uploaded(UPLOAD);
    world.remove_file(path.parent().unwrap());
    let (intent, outcome, _) = returned(&world, |_| ()).await;
    assert_eq!(outcome.unwrap()["files"], 1);
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("storage_return").unwrap();
    let operate = ports.operate(&site, RUN, &tell);
    let undone = verb.kept().unwrap().undo(verb.version, intent, &Back::default(), operate).await.unwrap();
    let Undone::Restored { what, .. } = undone else { panic!("{undone:?}") };
    assert!(what.contains("these stay: 1 folders"), "{what}");
    assert!(world.file(&path).is_none());
}
