use uplift::{
    Ending, Event,
    journal::{Folder, Holder, Lock},
    run::PlanEnd,
};

use super::maker::{
    BUNDLE, Vendor, bundles, install, manifest, patched, put, renamed, revert, site, version,
};
use crate::runbooks::night::given;

const HOOKS: &str = "/srv/strata/uplift/hooks/compose/upgrade.rhai";

fn says(events: &[Event], words: &str) -> bool {
    events.iter().any(|event| serde_json::to_string(event).unwrap().contains(words))
}

#[tokio::test]
async fn a_patch_of_a_step_works_beside_a_hook_of_the_site() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    night.world.put_file(HOOKS, "fn after_verify() { env_set(#{ PORTAL: \"open\" }); }", 0o644);
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await;
    install(&night, &bundle).await.unwrap();
    let plan = night.plan("1.1.0").await;
    assert_eq!(plan.end, PlanEnd::Complete);
    assert_eq!(
        plan.changed,
        [
            "`compose/upgrade` of the bundle `patch` 1.1.0 in the place of the stock runbook",
            "after `verify`: `after_verify`, `uplift/hooks/compose/upgrade.rhai:1`"
        ]
    );
    let told = night.upgrade("1.1.0").await;
    assert_eq!(told.ending, Ending::Done);
    assert!(says(&told.events, "the vendor's own"));
    assert!(night.newest().await.1.iter().any(|call| call.address == "verify/after/env_set#1"));
}

#[tokio::test]
async fn a_bundle_that_renames_the_step_of_a_hook_is_refused_with_its_place_and_the_new_name() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    night.world.put_file(HOOKS, "\nfn after_verify() { env_set(#{ PORTAL: \"open\" }); }", 0o644);
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &renamed())]).await;
    let failure = install(&night, &bundle).await.unwrap_err();
    assert_eq!(failure.code, "bundle_unfit");
    let shown = failure.evidence.join("\n");
    assert!(shown.contains("uplift/hooks/compose/upgrade:2"), "{shown}");
    assert!(shown.contains("step `verify` is called `prove` now"), "{shown}");
    assert!(shown.contains("`after_prove`"), "{shown}");
    assert_eq!(version(&night).await, None);
    // As it was told.
    night.world.put_file(HOOKS, "\nfn after_prove() { env_set(#{ PORTAL: \"open\" }); }", 0o644);
    install(&night, &bundle).await.unwrap();
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    // The other way round it is the same.
    let failure = revert(&night, false).await.unwrap_err();
    assert_eq!(failure.code, "bundle_unfit");
    assert!(failure.message.contains("what ships with uplift"), "{failure}");
}

#[tokio::test]
async fn a_run_goes_on_and_back_with_what_it_began_with_whatever_is_installed() {
    let vendor = Vendor::new();
    for back in [false, true] {
        let night = site(&vendor);
        let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await;
        night.stopped_upgrade("1.1.0").await;
        install(&night, &bundle).await.unwrap();
        // And then somebody damages it.
        let stored = night.folder().join("vendor/patch-1.1.0.bundle");
        night.world.put_file(stored, "not what it was", 0o600);
        if back {
            let told = night.rollback(None).await;
            assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
            assert_eq!(night.runs(), "1.0.0 1.0.0");
        } else {
            let told = night.resume(None).await;
            assert_eq!(told.ending, Ending::Done, "{:?}", told.events.last());
            assert!(!says(&told.events, "the vendor's own"));
        }
        let error = night.host().await.runbook("compose/backup", &[].into()).await.err().unwrap();
        assert_eq!(error.failure().code, "bundle_damaged");
    }
}

#[tokio::test]
async fn while_a_run_is_at_work_nothing_is_installed() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    put(&night, &vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await);
    let bundles = bundles(&night).await;
    let offer = bundles.offer(BUNDLE).await.unwrap();
    let holder = Holder {
        run: "20261124-031500-7f3a".to_owned(),
        command: "uplift upgrade".to_owned(),
        user: "alice".to_owned(),
        host: "app1".to_owned(),
        since: night.host().await.now(),
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&Folder::prepare(&night.folder()).unwrap(), holder).unwrap();
    let held = bundles.take(&offer, "uplift runbook install").await.unwrap_err();
    assert_eq!(held.exit().code(), 5);
    assert!(held.to_string().contains("20261124-031500-7f3a"), "{held}");
    drop(lock);
    bundles.take(&offer, "uplift runbook install").await.unwrap();
    assert_eq!(version(&night).await.as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn a_run_says_later_which_bundle_it_began_with() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await;
    install(&night, &bundle).await.unwrap();
    night.stopped_upgrade("1.1.0").await;
    revert(&night, false).await.unwrap();
    let open = night.unfinished().await.unwrap();
    let plan = night.host().await.plan_on(&open.id).await.unwrap();
    assert_eq!(
        plan.changed,
        ["`compose/upgrade` of the bundle `patch` 1.1.0 in the place of the stock runbook"]
    );
    let told = night.resume(None).await;
    assert_eq!(told.ending, Ending::Done);
    assert!(says(&told.events, "the vendor's own") && says(&told.events, "was changed since"));
}

#[tokio::test]
async fn an_upgrade_goes_only_where_the_bundle_says_and_stops_where_it_must() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let manifest = manifest("1.1.0").replace(">=1.0, <2.0", ">=1.1, <1.3") + "stops = [\"1.1.0\"]\n";
    let files = [("compose/upgrade.rhai", patched())];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let bundle = vendor.try_pack(&night.world, &manifest, &files).await.unwrap();
    install(&night, &bundle).await.unwrap();
    let refused = async |to: &str| {
        let error = night.host().await.runbook("compose/upgrade", &given(to)).await.err().unwrap();
        assert_eq!(error.exit().code(), 1);
        error.failure()
    };
    let failure = refused("1.3.0").await;
    assert_eq!(failure.code, "release_not_served");
    assert!(failure.message.contains(">=1.1, <1.3"), "{failure}");
    let failure = refused("1.2.0").await;
    assert_eq!(failure.code, "stop_required");
    assert!(failure.message.contains("`1.1.0`"), "{failure}");
    assert!(failure.hint.unwrap().contains("`uplift upgrade --to 1.1.0`"));
    // To the stop itself it goes; the release that it comes from is only told of.
    let plan = night.plan("1.1.0").await;
    assert_eq!(plan.end, PlanEnd::Complete);
    assert!(plan.warnings.iter().any(|text| text.contains("this site runs `1.0.0`")), "{:?}", plan.warnings);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    assert!(
        night.host().await.runbook("compose/upgrade", &given("1.2.0")).await.is_ok(),
        "it has stopped there"
    );
}
