//! What a person chose counts for the question that was asked, and no longer than it stands.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uplift::{Ending, World, event::ExitClass, ports::postgres::Kept};

use super::night::Night;

fn asked(ending: &Ending) -> Vec<&str> {
    let question = ending.question().unwrap_or_else(|| panic!("nothing is asked: {ending:?}"));
    question.choices.iter().map(|choice| choice.key.as_str()).collect()
}

#[tokio::test]
async fn somebodys_edit_stays_while_our_own_value_goes_back() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    night.world.set("WEB_CONCURRENCY", "7");
    let told = night.rollback(Some("return-code")).await;
    assert_eq!(asked(&told.ending), ["restore", "keep-edit"]);
    assert!(night.runs().starts_with("1.6.0"), "nothing is touched before every question is answered");
    let told = night.rollback(Some("keep-edit")).await;
    let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(night.world.setting("WEB_CONCURRENCY").as_deref(), Some("7"));
    assert_eq!(night.world.setting("STRATA_VERSION").as_deref(), Some("1.0.0"));
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}

#[tokio::test]
async fn restoring_puts_the_file_back_byte_for_byte() {
    let night = Night::of(World::strata());
    let before = night.world.file("/srv/strata/.env").unwrap().bytes;
    night.upgrade("1.6.0").await;
    night.world.set("WEB_CONCURRENCY", "7");
    night.rollback(Some("return-code")).await;
    assert_eq!(night.rollback(Some("restore")).await.ending.exit(), ExitClass::Done);
    assert!(night.world.file("/srv/strata/.env").unwrap().bytes == before);
}

/// Whoever wanted to go back and then went on has seen another site since: the old word is not taken for a new one.
#[tokio::test]
async fn an_answer_does_not_outlive_going_on() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    night.world.set("WEB_CONCURRENCY", "7");
    night.rollback(Some("return-code")).await;
    let told = night.resume(None).await;
    assert_eq!(asked(&told.ending), ["restore", "keep-edit"], "it failed again, and is asked about again");
    let told = night.rollback(Some("keep-edit")).await;
    assert_eq!(asked(&told.ending), ["restore-data", "return-code", "stay"], "the old word does not count");
    assert!(night.runs().starts_with("1.6.0"));
}

/// Whoever lets the data return after users were in gets the files with it that were deleted since; whoever does not,
/// keeps what is there.
#[tokio::test]
async fn deleted_files_return_with_the_data_and_only_with_it() {
    for (choice, returns) in [("restore-data", true), ("return-code", false)] {
        let world = World::strata();
        world.upload(UPLOAD, "needed by a row of before");
        let night = Night::of(world);
        let told = night.upgrade("1.8.0").await;
        assert!(asked(&told.ending).contains(&choice));
        let path = night.world.uploaded(UPLOAD);
        night.world.remove_file(&path);
        let told = night.rollback(Some(choice)).await;
        assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
        assert_eq!(night.world.file(&path).is_some(), returns, "{choice}");
    }
}

/// The databases have changed places by the time the files are looked for: the site does not stay down for their note.
#[tokio::test]
async fn the_data_returns_also_without_the_note_of_the_files() {
    for gone in [true, false] {
        let world = World::strata();
        world.upload(UPLOAD, "needed by a row of before");
        let night = Night::of(world);
        night.upgrade("1.8.0").await;
        night.world.remove_file(night.world.uploaded(UPLOAD));
        let notes = night.world.files_in(night.set(""));
        for path in notes.iter().filter(|path| path.display().to_string().contains("/.uploads-")) {
            if gone {
                night.world.remove_file(path);
            } else {
                night.world.put_file(path, "rotten", 0o600);
            }
        }
        let told = night.rollback(Some("restore-data")).await;
        let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
        assert!(
            left.iter().any(|left| left.contains("not all uploaded files of before came back")),
            "{left:?}"
        );
        assert_eq!(night.runs(), "1.0.0 1.0.0");
    }
}

/// Orders fail on databases that the older release was not made for: the savepoint is there yet.
#[tokio::test]
async fn the_data_may_return_after_the_code_has() {
    let night = Night::of(World::strata());
    let before = night.world.running();
    night.upgrade("1.8.0").await;
    let run = night.newest().await.0.id;
    assert_eq!(night.rollback(Some("return-code")).await.ending.exit(), ExitClass::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    night.world.place_orders(5);
    let lost = night.world.lost_orders();
    let places = night.host().await.places().await.unwrap();
    assert!(places[0].point.run == run && places[0].point.code_only, "{places:?}");
    let asked = night.try_return(&run, &[]).await.err().expect("a person is asked");
    assert_eq!(asked.question.unwrap().flag.as_deref(), Some("restore-data"));
    let told = night.try_return(&run, &[("restore_data", "always"), ("jobs", "run")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let now = night.world.running();
    assert_eq!(now.containers, before.containers);
    let versions = |picture: &uplift::sim::Picture| picture.databases["strata_production"].versions.clone();
    assert_eq!(versions(&now), versions(&before));
    assert!(night.world.lost_orders() > lost, "what was written since is put aside");
    let again = night.try_return(&run, &[("restore_data", "always"), ("jobs", "run")]).await.unwrap();
    assert!(matches!(again.ending, Ending::NothingNeeded { .. }), "{:?}", again.ending);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "the way forward is free");
}

const UPLOAD: &str = "k9aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What users wrote is in what is put aside: its time counts from that moment, however late somebody chooses.
#[tokio::test]
async fn what_is_put_aside_late_is_kept_for_as_long() {
    let night = Night::of(World::strata());
    night.upgrade("1.8.0").await;
    night.world.advance(Duration::from_hours(6 * 24));
    let told = night.rollback(Some("restore-data")).await;
    assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
    let host = night.host().await;
    let week = host.now().checked_add(SignedDuration::from_hours(7 * 24 - 1)).unwrap();
    let kept = host.status().await.kept;
    let aside: Vec<_> = kept.iter().filter(|one| one.kind == Some(Kept::Failed)).collect();
    assert_eq!(aside.len(), 4, "{kept:?}");
    for one in aside {
        let until: Timestamp = one.expires.as_deref().unwrap().parse().unwrap();
        assert!(until > week, "`{}` is kept until {until}", one.name);
    }
}
