//! Upgrade a site from another program: plan, look at the plan, run, watch, and read the ending.
//!
//! Runs on a simulated site, so that it can be tried anywhere: `cargo run --example embed`. On a real host, leave
//! out `.ports(..)`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "an example talks and cleans up")]

use std::collections::BTreeMap;

use uplift::{Ending, Event, Host, Start, World};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::strata();
    // The journal is always on a real disk: here beside the simulated site, on a real host in the site folder.
    let state = std::env::temp_dir().join(format!("uplift-embed-{}", std::process::id()));
    let start = Start { state: Some(state.clone()), ..Start::in_folder("/srv/strata") };
    let host = Host::at(start).ports(world.ports()).open().await?;
    println!("{} runs {}", host.site().name, host.site().version);

    let given = BTreeMap::from([("to".to_owned(), "1.1.0".to_owned())]);
    let upgrade = host.runbook("compose/upgrade", &given).await?;
    let plan = upgrade.plan().await;
    for address in plan.addresses() {
        println!("will {address}");
    }
    if !plan.is_complete() {
        return Err("the plan ends before the runbook does".into());
    }

    let mut run = upgrade.start(plan, "embed").await?;
    while let Some(event) = run.next().await {
        if let Event::CallEnded { address, result, .. } = event {
            println!("did {address}: {result}");
        }
    }
    let ending = run.ended().await;
    std::fs::remove_dir_all(state)?;
    match ending {
        Ending::Done => Ok(()),
        other => Err(format!("it ended otherwise: {other:?}").into()),
    }
}
