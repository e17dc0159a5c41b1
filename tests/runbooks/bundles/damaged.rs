use uplift::{run::PlanEnd, sim::Fault};

use super::maker::{Vendor, bundles, install, patched, put, revert, site, version};
use crate::runbooks::night::{Night, given};

async fn with_two(vendor: &Vendor) -> (Night, Vec<u8>) {
    let night = site(vendor);
    let text = patched();
    for version in ["1.1.0", "1.2.0"] {
        let text = format!("{text}// {version}\n");
        let bundle = vendor.pack(&night.world, version, &[("compose/upgrade.rhai", &text)]).await;
        install(&night, &bundle).await.unwrap();
    }
    let now =
        vendor.pack(&night.world, "1.2.0", &[("compose/upgrade.rhai", &format!("{text}// 1.2.0\n"))]).await;
    (night, now)
}

async fn why_not(night: &Night) -> String {
    let error = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.err().unwrap();
    assert_eq!(error.failure().code, "bundle_damaged", "{error}");
    error.to_string()
}

#[tokio::test]
async fn it_lies_where_only_its_owner_reads_it_and_what_nothing_names_goes() {
    let (night, now) = with_two(&Vendor::new()).await;
    let folder = night.folder().join("vendor");
    let files: Vec<_> = night.world.files_in(&folder).into_iter().collect();
    let names = ["installed.json", "patch-1.1.0.bundle", "patch-1.2.0.bundle"].map(|name| folder.join(name));
    assert_eq!(files, names);
    for file in files {
        assert_eq!(night.world.file(&file).unwrap().mode, 0o600, "{}", file.display());
    }
    let later = String::from_utf8(now).unwrap();
    assert!(later.contains("1.2.0"));
    revert(&night, false).await.unwrap();
    assert_eq!(version(&night).await.as_deref(), Some("1.1.0"));
    assert_eq!(night.world.files_in(&folder).len(), 2);
    revert(&night, false).await.unwrap();
    assert_eq!(version(&night).await, None, "before the first one there was none");
    assert_eq!(night.world.files_in(&folder).len(), 1);
    assert_eq!(revert(&night, false).await.unwrap_err().code, "no_bundle");
}

/// Whoever is stopped in the middle of the first installation has a site that is as before, or has the bundle.
#[tokio::test]
async fn an_installation_that_fails_at_any_write_leaves_nothing_damaged() {
    let vendor = Vendor::new();
    let mut writes = 0;
    for n in 1.. {
        let night = site(&vendor);
        let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await;
        put(&night, &bundle);
        night.world.fault(night.world.writes() + n, Fault::FailAfter);
        let failed = install(&night, &bundle).await.is_err();
        assert_eq!(night.plan("1.1.0").await.end, PlanEnd::Complete, "write {n}");
        assert!(night.host().await.status().await.unread.is_empty(), "write {n}");
        if version(&night).await.is_none() {
            install(&night, &bundle).await.unwrap();
        }
        assert_eq!(version(&night).await.as_deref(), Some("1.1.0"), "write {n}");
        if !failed {
            writes = n;
            break;
        }
    }
    assert!(writes > 3, "there was nothing to fail at: {writes}");
}

#[tokio::test]
async fn at_once_to_what_ships() {
    let (night, _) = with_two(&Vendor::new()).await;
    revert(&night, true).await.unwrap();
    assert_eq!(version(&night).await, None);
    assert!(night.plan("1.1.0").await.changed.is_empty());
}

#[tokio::test]
async fn what_is_damaged_is_refused_by_name_until_it_is_mended() {
    let vendor = Vendor::new();
    let (night, now) = with_two(&vendor).await;
    let stored = night.folder().join("vendor/patch-1.2.0.bundle");
    let whole = night.world.file(&stored).unwrap();
    let mut other = whole.bytes.clone();
    other[200] ^= 1;
    night.world.put_file(&stored, &other, 0o600);
    let why = why_not(&night).await;
    assert!(why.contains("`patch` 1.2.0") && why.contains("patch-1.2.0.bundle"), "{why}");
    // A bundle that is whole, and not the one that was installed.
    let earlier = night.world.file(night.folder().join("vendor/patch-1.1.0.bundle")).unwrap();
    night.world.put_file(&stored, &earlier.bytes, 0o600);
    why_not(&night).await;
    night.world.remove_file(&stored);
    assert!(why_not(&night).await.contains("is gone"));
    // What was installed mends it; its way back is as before.
    assert_ne!(now, whole.bytes, "who signs twice makes two files");
    install(&night, &now).await.unwrap();
    night.plan("1.1.0").await;
    night.world.remove_file(&stored);
    revert(&night, false).await.unwrap();
    assert_eq!(version(&night).await.as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn a_note_that_cannot_be_read_leads_to_what_ships() {
    let (night, _) = with_two(&Vendor::new()).await;
    let note = night.folder().join("vendor/installed.json");
    for text in ["{", "{\"format\":1,\"installed\":null,\"previous\":null,\"more\":1}"] {
        night.world.put_file(&note, text, 0o600);
        assert!(why_not(&night).await.contains("installed.json"));
        assert_eq!(revert(&night, false).await.unwrap_err().code, "bundle_damaged");
    }
    // Nobody goes back to what ships because a file is gone.
    night.world.remove_file(&note);
    assert!(why_not(&night).await.contains("is gone, and bundles are there"));
    let told = night.host().await.status().await;
    assert!(told.unread.iter().any(|failure| failure.code == "bundle_damaged"), "{:?}", told.unread);
    // What a newer uplift wrote is whole, and not ours to throw away.
    let whole = "{\"format\":2}";
    night.world.put_file(&note, whole, 0o600);
    for to_stock in [false, true] {
        assert_eq!(revert(&night, to_stock).await.unwrap_err().code, "bundle_format_newer");
    }
    night.world.put_file(&note, "{", 0o600);
    revert(&night, true).await.unwrap();
    assert_eq!(bundles(&night).await.installed().await.unwrap(), None);
    night.plan("1.1.0").await;
}
