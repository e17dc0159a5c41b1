//! What an operator sees of a bundle of runbooks: installed, shown, refused, taken back.

use super::{desk::Desk, golden};

const BUNDLE: &[u8] = include_bytes!("../runbooks/bundles/format-1.bundle");

fn desk() -> Desk {
    let desk = Desk::new();
    desk.world.put_file("/vendor/golden-1.2.3.bundle", BUNDLE, 0o644);
    desk
}

fn key() -> &'static str {
    include_str!("../runbooks/bundles/format-1.pub").lines().last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_installed_shown_and_taken_back() {
    let desk = desk();
    assert!(desk.types("uplift runbook delta").await.out.contains("nothing differs from stock"));
    let refused = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle -y").await;
    assert_eq!(refused.exit.code(), 1, "{}", refused.page());
    let trusted = desk.types(&format!("uplift init --trust {}", key())).await;
    assert_eq!(trusted.exit.code(), 0, "{}", trusted.page());
    let again = desk.types(&format!("uplift init --trust {}", key())).await;
    assert!(again.out.contains("nothing was written"), "{}", again.page());
    desk.world.put_file("/srv/strata/uplift/hooks/compose/look.rhai", "const A = 1;", 0o644);
    let lost = desk.types("uplift upgrade --to 1.1.0 --dry-run").await;
    assert!(lost.err.contains("there is no `compose/look`"), "{}", lost.page());
    desk.world.remove_file("/srv/strata/uplift/hooks/compose/look.rhai");
    let only_looked = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle --dry-run").await;
    let installed = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle -y").await;
    let again = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle -y -o json").await;
    assert_eq!(again.out, "{\"done\":false,\"exchange\":null}\n");
    let hook = "fn after_verify() { print(\"hello\"); }";
    desk.world.put_file("/srv/strata/uplift/hooks/compose/upgrade.rhai", hook, 0o644);
    let mut page = [refused, only_looked, installed].iter().map(super::desk::Seen::page).collect::<String>();
    for line in [
        "uplift runbook list",
        "uplift runbook show compose/look",
        "uplift runbook delta",
        "uplift run compose/look -y",
        "uplift upgrade --to 1.4.1 --dry-run",
        "uplift runbook revert -y",
        "uplift runbook revert -y",
        "uplift runbook show compose/look",
    ] {
        page.extend(["$ ", line, "\n", &desk.types(line).await.page()]);
    }
    golden("bundles", &page);
    let json = desk.types("uplift runbook delta -o json").await.out;
    let delta: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(delta["hooks"][0]["function"], "after_verify");
    assert_eq!(delta["bundle"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_written_beside_nothing_that_somebody_else_has_written() {
    let desk = desk();
    let wrong = desk.types("uplift init --trust RWQ").await;
    assert_eq!(wrong.exit.code(), 2, "{}", wrong.page());
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let text = format!("[trust]\nkeys = [\"{other}\"]\n");
    desk.world.put_file("/srv/strata/uplift.toml", &text, 0o644);
    let there = desk.types(&format!("uplift init --trust {}", key())).await;
    assert_eq!(there.exit.code(), 2, "{}", there.page());
    assert!(there.err.replace("\n            ", " ").contains(key()), "{}", there.page());
    assert_eq!(desk.world.file("/srv/strata/uplift.toml").unwrap().bytes, text.as_bytes());
    // Whoever may write the file would say whose procedures are run.
    desk.world.put_file("/srv/strata/uplift.toml", &text, 0o666);
    let open = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle -y").await;
    assert!(open.err.contains("everybody may write it"), "{}", open.page());
}

/// The way back from a run that is not over needs nothing of what is installed by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_bundle_stands_in_nobodys_way_back() {
    let desk = desk();
    desk.types(&format!("uplift init --trust {}", key())).await;
    let installed = desk.types("uplift runbook install /vendor/golden-1.2.3.bundle -y").await;
    assert_eq!(installed.exit.code(), 0, "{}", installed.page());
    desk.world.put_file(desk.folder().join("vendor/golden-1.2.3.bundle"), "damaged", 0o600);
    let refused = desk.types("uplift upgrade --to 1.1.0 --dry-run").await;
    assert!(refused.err.contains("`golden` 1.2.3"), "{}", refused.page());
    for line in ["uplift rollback --help", "uplift status", "uplift history"] {
        assert_eq!(desk.types(line).await.exit.code(), 0, "{line}");
    }
    // There is no run, which is told: not that a bundle is damaged.
    let none = desk.types("uplift rollback").await;
    assert!(none.err.contains("no run") || none.err.contains("none was ever made"), "{}", none.page());
    let told = desk.types("uplift runbook delta").await;
    assert!(told.out.contains("WRONG") && told.exit.code() == 1, "{}", told.page());
}
