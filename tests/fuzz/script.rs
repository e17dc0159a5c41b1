//! Any bytes as a runbook of a site: it is looked through as `uplift runbook check` does, and planned on a simulated site if
//! nothing is wrong with it. Nothing may panic, hang, grow without end, or write: the fuzzer ends at the first that does.

#![no_main]

use std::{cell::OnceCell, collections::BTreeMap, path::PathBuf};

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use uplift::{
    Catalogue, Host, Start, World,
    script::{Bundle, Source, examine},
};

/// Before what is tried, so that the fuzzer need not find out how a runbook begins.
const HEADER: &str = "const RUNBOOK = #{ api: 1, summary: \"any\" };\n";
const SITE: [&str; 13] = [
    "name", "path", "project", "compose", "web", "job", "services", "hosts", "version", "digest", "storage",
    "databases", "settings",
];

struct Stage {
    runtime: Runtime,
    world: World,
    catalogue: Catalogue,
    libs: Vec<Source>,
}

thread_local! {
    static STAGE: OnceCell<Stage> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    STAGE.with(|stage| stage.get_or_init(Stage::set).tries(text));
});

impl Stage {
    fn set() -> Self {
        let checks = include_str!("../../runbooks/lib/checks.rhai").to_owned();
        Self {
            runtime: Builder::new_current_thread().build().expect("a runtime"),
            world: World::strata(),
            catalogue: Catalogue::stock(),
            libs: vec![Source { name: "lib/checks".to_owned(), text: checks }],
        }
    }

    fn tries(&self, text: &str) {
        let text = if text.contains("RUNBOOK") { text.to_owned() } else { format!("{HEADER}{text}") };
        let main = Source { name: "site/any".to_owned(), text: text.clone() };
        let bundle = Bundle { main, libs: self.libs.clone(), hooks: None };
        let examined = examine(bundle.clone(), &self.catalogue, &SITE);
        let lines = text.lines().count().max(1);
        for finding in &examined.findings {
            let shown = finding.render(&bundle);
            let own = finding.what.places.iter().filter(|place| place.file == "site/any");
            assert!(own.map(|place| place.line).all(|line| line <= lines + 1), "beyond the end: {shown}");
        }
        if examined.errors().is_empty() {
            self.runtime.block_on(self.plans(text));
        }
    }

    async fn plans(&self, text: String) {
        let world = self.world.fork();
        world.put_file("/srv/strata/uplift/any.rhai", text, 0o644);
        let before = world.writes();
        let start = Start { state: Some(PathBuf::from("/nowhere/uplift-fuzz")), ..Start::in_folder("/srv/strata") };
        let Ok(host) = Host::at(start).ports(world.ports()).open().await else { panic!("no host") };
        if let Ok(runbook) = host.runbook("any", &BTreeMap::new()).await {
            let plan = runbook.plan().await;
            let _shown = plan.addresses();
        }
        assert_eq!(world.writes(), before, "a plan has written: {:?}", world.log());
    }
}
