use uplift::{Ending, site::FileIs};

use super::maker::{BUNDLE, Vendor, bundles, install, patched, put, renamed, site};
use crate::runbooks::night::Night;

async fn with(files: &[(&str, &str)]) -> Night {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = vendor.pack(&night.world, "1.1.0", files).await;
    install(&night, &bundle).await.unwrap();
    night
}

#[tokio::test]
async fn the_site_comes_before_its_bundle_and_that_before_what_ships() {
    let night = with(&[("compose/upgrade.rhai", &patched())]).await;
    let (text, shipped, own) = bundles(&night).await.shown("compose/upgrade").await.unwrap();
    assert_eq!((text, own), (patched(), false));
    assert_eq!(shipped.unwrap().to_string(), "`patch` 1.1.0");
    let (text, shipped, own) = bundles(&night).await.shown("compose/backup").await.unwrap();
    assert_eq!(text, uplift::stock_named("compose/backup").unwrap().text);
    assert!(shipped.is_none() && !own);
    let mine = patched().replace("the vendor's own", "mine");
    night.world.put_file("/srv/strata/uplift/compose/upgrade.rhai", &mine, 0o644);
    let (text, shipped, own) = bundles(&night).await.shown("compose/upgrade").await.unwrap();
    assert!(text == mine && shipped.is_none() && own);
    assert_eq!(
        night.plan("1.1.0").await.changed,
        ["the site's own `uplift/compose/upgrade.rhai` in the place of that of the bundle `patch` 1.1.0"]
    );
}

#[tokio::test]
async fn a_library_of_the_bundle_counts_for_all_runbooks_and_new_ones_are_run_by_name() {
    let stock = include_str!("../../../runbooks/lib/checks.rhai");
    let checks = stock.replace("fn host() {", "fn host() {\n    print(\"checked by the vendor\");");
    let look = "import \"lib/checks\" as checks;\nimport \"lib/more\" as more;\n\
                const RUNBOOK = #{ api: 1, summary: \"a look\" };\nchecks::host();\nmore::said();\n";
    let files = [
        ("lib/checks.rhai", checks.as_str()),
        ("lib/more.rhai", "fn said() { print(\"and more\"); }"),
        ("compose/look.rhai", look),
    ];
    let night = with(&files).await;
    let plan = night.plan("1.1.0").await;
    assert!(plan.notes.iter().any(|note| note.contains("checked by the vendor")), "{:?}", plan.notes);
    assert!(
        plan.changed.contains(&"`lib/checks` of the bundle `patch` 1.1.0".to_owned()),
        "{:?}",
        plan.changed
    );
    let told = night.run("compose/look", &[]).await;
    assert!(matches!(told.ending, Ending::Done | Ending::NothingNeeded { .. }), "{:?}", told.ending);
    // A file of the operator's own takes it too.
    night.world.put_file("/srv/mine.rhai", look, 0o644);
    let told = night.run("/srv/mine.rhai", &[]).await;
    assert!(matches!(told.ending, Ending::Done | Ending::NothingNeeded { .. }), "{:?}", told.ending);
    // A hook of a runbook that only the bundle has is a hook of something.
    night.world.put_file("/srv/strata/uplift/hooks/compose/look.rhai", "const A = 1;", 0o644);
    night.run("compose/look", &[]).await;
}

#[tokio::test]
async fn what_differs_is_shown_before_it_is_installed() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let hooks = "fn before_stop() { env_set(#{ A: \"b\" }); }\nfn before_check() { print(\"hello\"); }";
    night.world.put_file("/srv/strata/uplift/hooks/compose/upgrade.rhai", hooks, 0o644);
    let text = renamed().replace("checks::tell_patience(params::patience);", "");
    let more = format!("{text}\nstep \"say so\" {{ print(\"done\"); }}\n");
    put(&night, &vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &more)]).await);
    let offer = bundles(&night).await.offer(BUNDLE).await.unwrap();
    let exchange = offer.exchange.unwrap();
    assert_eq!((exchange.from, exchange.files.len()), (None, 1));
    let file = &exchange.files[0];
    assert_eq!((file.name.as_str(), file.is), ("compose/upgrade", FileIs::Changed));
    assert_eq!((&file.came, &file.went), (&vec!["say so".to_owned()], &Vec::new()));
    assert_eq!(file.renamed, [("verify".to_owned(), "prove".to_owned())]);
    assert!(file.diff.contains("-    checks::tell_patience(params::patience);"), "{}", file.diff);
    let touched: Vec<_> = exchange.hooks.iter().map(|hook| (hook.step.as_str(), hook.step_changed)).collect();
    assert_eq!(touched, [("stop", true), ("check", false)]);
}
