//! Databases whose rows are no part of backups, by `[backup]` in `uplift.toml`.

use uplift::{Ending, World};

use super::{night::Night, restore::ALWAYS};

const CACHE: &str = "strata_production_cache";

fn rows(world: &World, database: &str) -> u64 {
    world.database(database).unwrap().tables.iter().flat_map(|table| &table.rows).map(|rows| rows.count).sum()
}

#[tokio::test]
async fn what_is_left_out_is_said_everywhere_and_comes_back_empty() {
    let night = Night::of(World::strata());
    let whole = night.plan("1.1.0").await;
    night.settings("[backup]\nleave_out = [\"cache\"]\n");
    let plan = night.plan("1.1.0").await;
    let backup = |plan: &uplift::Plan| {
        let calls = plan.steps.iter().flat_map(|step| &step.calls);
        calls.into_iter().find(|call| call.address.contains("/backup#")).unwrap().clone()
    };
    assert!(
        backup(&plan).summary.contains(&format!("4 databases (no rows of `{CACHE}`)")),
        "{:?}",
        backup(&plan)
    );
    let room = |plan: &uplift::Plan| {
        plan.room.iter().find(|room| room.what[0].contains("backups")).map(|room| room.needed)
    };
    assert!(room(&plan) < room(&whole), "{:?}", plan.room);
    let cached = rows(&night.world, CACHE);
    assert!(cached > 0);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let set = night.newest().await.0.id;
    let made = night.host().await.sets().all().await.unwrap().into_iter().find(|one| one.set == set).unwrap();
    assert!(made.standing.is_verified());
    let manifest = made.manifest.unwrap();
    assert_eq!(manifest.left_out, [format!("the rows of `{CACHE}`")]);
    let bare: Vec<_> =
        manifest.databases.iter().filter(|one| one.rows_left_out).map(|one| &one.role).collect();
    assert_eq!(bare, ["cache"]);
    let orders = rows(&night.world, "strata_production");
    let told = night.try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let said =
        |event: &uplift::Event| format!("{event:?}").contains(&format!("the set has no rows of `{CACHE}`"));
    assert!(told.events.iter().any(said), "{:?}", told.events);
    assert_eq!((rows(&night.world, CACHE), rows(&night.world, "strata_production")), (0, orders));
    assert_eq!(night.runs(), "1.0.0 1.0.0", "and the product runs on it");
}

/// The other half of the savepoint's promise: an instant return has everything.
#[tokio::test]
async fn a_savepoint_leaves_nothing_out() {
    let night = Night::of(World::strata());
    night.settings("[backup]\nleave_out = [\"cache\", \"cable\"]\n");
    let cached = rows(&night.world, CACHE);
    night.upgrade("1.1.0").await;
    let run = night.newest().await.0.id;
    let told = night.try_return(&run, &[("restore_data", "always")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!((night.runs().as_str(), rows(&night.world, CACHE)), ("1.0.0 1.0.0", cached));
}

#[tokio::test]
async fn what_cannot_be_left_out_is_refused_before_anything_is_read() {
    let night = Night::of(World::strata());
    night.settings("[backup]\nleave_out = [\"queue\"]\n");
    let failure = night.try_host().await.err().expect("it is refused").failure();
    assert_eq!(failure.code, "settings_invalid");
    assert!(failure.message.contains("jobs that wait"), "{failure:?}");
}

/// Which service is which, where somebody has said it.
#[tokio::test]
async fn services_are_those_that_are_named() {
    let night = Night::of(World::strata());
    night.settings("[services]\nweb = \"job\"\n");
    let site = night.host().await.site().clone();
    assert_eq!((site.web.name.as_str(), site.job.map(|one| one.name)), ("job", None));
    for (said, why, hint) in [
        ("web = \"wbe\"", "no such service", "did you mean `web`?"),
        ("job = \"web\"", "beside it", "leave the line out"),
        ("worker = \"job\"", "`services.worker`", "`job`"),
    ] {
        night.settings(&format!("[services]\n{said}\n"));
        let failure = night.try_host().await.err().expect("it is refused").failure();
        assert_eq!(failure.code, "settings_invalid");
        assert!(failure.message.contains(why), "{failure:?}");
        assert!(failure.hint.as_ref().is_some_and(|text| text.contains(hint)), "{failure:?}");
    }
}
