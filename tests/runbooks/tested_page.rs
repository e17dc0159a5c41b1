//! The page about tests: every example of it is run as a reader would run it, and every word stands there.

use std::{fs, path::Path};

use tokio_util::sync::CancellationToken;
use uplift::{Host, Start, World, script::test_words};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/testing.md")).unwrap()
}

/// What the page's first example is about.
const DRAINS: &str = r#"
const LB = "/usr/local/bin/haproxyctl";
fn before_stop() { exec(#{ command: [global::LB, "drain", site::web], undo: [global::LB, "enable", site::web] }); }
fn after_verify() { exec(#{ command: [global::LB, "enable", site::web], leaves_nothing: true }); }
"#;

async fn run(world: &World, text: &str) -> Vec<uplift::Proof> {
    world.put_file("/srv/strata/uplift/tests/balancer.rhai", text, 0o644);
    let start = Start { dir: Some("/srv/strata".into()), ..Start::default() };
    let host = Host::at(start).ports(world.ports());
    let checked = host.check("/srv/strata/uplift/tests/balancer.rhai").await.unwrap();
    assert!(checked.problems.is_empty(), "{text}\n{}", checked.problems[0].text);
    let mut proofs = Vec::new();
    let suite = host.tests(&["balancer".to_owned()]).await.unwrap();
    suite.run(&CancellationToken::new(), |proof| proofs.push(proof.clone())).await.unwrap();
    proofs
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_passes() {
    let page = page();
    let blocks: Vec<_> =
        page.split("```rhai\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 5, "only {}", blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let world = World::strata();
        if at == 0 {
            world.put_file("/srv/strata/uplift/hooks/compose/upgrade.rhai", DRAINS, 0o644);
            let grants = "[grants]\nexec = [\"/usr/local/bin/haproxyctl\"]\n";
            world.put_file("/srv/strata/uplift.toml", grants, 0o644);
        }
        let proofs = run(&world, block).await;
        assert!(!proofs.is_empty(), "{block}");
        let failing: Vec<_> = proofs.iter().filter_map(|proof| proof.failing.as_ref()).collect();
        assert!(failing.is_empty(), "{block}\n{}\n{:?}", failing[0].text, failing[0].runs);
    }
}

/// The screen of the page is what the tool shows there, but for the times.
#[tokio::test(flavor = "multi_thread")]
async fn the_screen_of_the_page_is_a_real_one() {
    let page = page();
    let block = page.split("```rhai\n").nth(1).unwrap().split("```").next().unwrap();
    let world = World::strata();
    let hook = DRAINS.replace(", undo: [global::LB, \"enable\", site::web]", "");
    world.put_file("/srv/strata/uplift/hooks/compose/upgrade.rhai", hook, 0o644);
    world.put_file("/srv/strata/uplift.toml", "[grants]\nexec = [\"/usr/local/bin/haproxyctl\"]\n", 0o644);
    let proofs = run(&world, block).await;
    let failing = proofs[2].failing.as_ref().unwrap();
    assert!(page.contains(&failing.text), "{}", failing.text);
    assert_eq!(failing.runs.len(), 1);
    let flowing = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing(&page).contains(&flowing(&failing.runs[0])), "{:?}", failing.runs);
}

#[test]
fn every_word_stands_on_the_page() {
    let page = page();
    for word in test_words() {
        let forms = if word.forms.is_empty() { vec![word.name] } else { word.forms.to_vec() };
        let forms: Vec<_> = forms.iter().map(|form| format!("`{form}`")).collect();
        let row = format!("| {} | {} |\n", forms.join(", "), word.what);
        assert!(page.contains(&row), "add to docs/testing.md:\n{row}");
    }
}
