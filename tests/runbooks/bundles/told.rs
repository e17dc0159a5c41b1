use uplift::site::FileIs;

use super::maker::{Vendor, bundles, install, patched, site};
use crate::runbooks::night::Night;

#[tokio::test]
async fn a_site_as_it_ships_differs_in_nothing() {
    let found = bundles(&Night::of(uplift::World::strata())).await.deviations().await.unwrap();
    assert!(found.is_none(), "{found:?}");
}

#[tokio::test]
async fn every_deviation_is_told_with_its_place() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/pull.rhai", &more("compose/pull"))]).await;
    install(&night, &bundle).await.unwrap();
    let put =
        |name: &str, text: &str| night.world.put_file(format!("/srv/strata/uplift/{name}"), text, 0o644);
    let older = blake3::hash(b"older").to_hex();
    put(
        "compose/backup.rhai",
        &format!("// ejected: compose/backup of uplift 0.0.9, blake3 {older}\n{}", more("compose/backup")),
    );
    put("nightly.rhai", "const RUNBOOK = #{ api: 1, summary: \"a look\" };\n");
    put("lib/proof.rhai", "fn a() {}\n");
    put("hooks/compose/upgrade.rhai", "\nfn before_stop() { print(\"a\"); }\n");
    let found = bundles(&night).await.deviations().await.unwrap();
    assert_eq!(found.bundle.as_ref().unwrap().to_string(), "`patch` 1.1.0");
    assert_eq!(
        found.bundled.iter().map(|file| (file.name.as_str(), file.is)).collect::<Vec<_>>(),
        [("compose/pull", FileIs::Changed)]
    );
    let own: Vec<_> = found
        .own
        .iter()
        .map(|own| (own.file.as_str(), own.instead.as_deref(), own.outdated.as_deref()))
        .collect();
    assert_eq!(
        own,
        [
            ("uplift/compose/backup.rhai", Some("compose/backup"), Some("compose/backup of uplift 0.0.9")),
            ("uplift/nightly.rhai", None, None),
            ("uplift/lib/proof.rhai", None, None),
        ]
    );
    assert!(found.own[0].diff.contains("+// more"), "{}", found.own[0].diff);
    let hook = &found.hooks[0];
    assert_eq!((hook.runbook.as_str(), hook.step.as_str(), hook.line), ("compose/upgrade", "stop", 2));
    assert_eq!(hook.file, "uplift/hooks/compose/upgrade.rhai");
    assert_eq!(found.settings, [("trust.keys".to_owned(), format!("[\"{}\"]", vendor.public()))]);
    assert!(found.wrong.is_empty(), "{:?}", found.wrong);
}

#[tokio::test]
async fn what_would_be_refused_is_told_too() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &patched())]).await;
    install(&night, &bundle).await.unwrap();
    night.world.put_file(night.folder().join("vendor/patch-1.1.0.bundle"), "no", 0o600);
    night.world.put_file("/srv/strata/uplift/hooks/compose/upgrade.rhai", "fn before_stpo() { }", 0o644);
    let found = bundles(&night).await.deviations().await.unwrap();
    assert_eq!(found.bundle, None);
    let wrong = found.wrong.join("\n");
    assert!(
        wrong.contains("`patch` 1.1.0") && wrong.contains("before_stpo") || wrong.contains("stpo"),
        "{wrong}"
    );
}

fn more(name: &str) -> String {
    format!("{}// more\n", uplift::stock_named(name).unwrap().text)
}
