//! Upgrade a site from another program and show what happens in one's own way: a line per step, a question that the
//! program answers, a run that is stopped and taken back.
//!
//! Runs on a simulated site: `cargo run --example events`. On a real host, leave out `.ports(..)` and the state folder.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::collections::BTreeMap;

use uplift::{Decision, Ending, Event, Host, Run, Start, World, who};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Stands still in its middle until somebody has looked.
const CAREFUL: &str = r#"
const RUNBOOK = #{
    api: 1,
    summary: "Start web anew, and look before the worker follows",
    on_failure: "undo",
    params: #{ seen: #{ type: "choice", of: ["ask", "go"], initial: "ask", help: "whether somebody has looked" } },
};
step "web" { compose_stop(#{ services: [site::web] }); compose_up(#{ services: [site::web] }); }
step "look" { pause(#{ question: "does the page look well?", param: "seen", answer: params::seen }); }
step "job" { compose_stop(#{ services: [site::job] }); compose_up(#{ services: [site::job] }); }
"#;
const FILE: &str = "/srv/strata/uplift/careful.rhai";

#[tokio::main]
async fn main() -> Result<()> {
    let world = World::strata();
    world.put_file(FILE, CAREFUL, 0o644);
    let state = tempfile::tempdir()?;
    let start = Start { state: Some(state.path().join(".uplift")), ..Start::in_folder("/srv/strata") };
    let host = Host::at(start).ports(world.ports()).open().await?;
    println!("{} runs {}", host.site().name, host.site().version);

    upgrade(&host).await?;
    asked(&host).await?;
    stopped(&host).await
}

/// Plan, look at the plan, run, watch, read the ending.
async fn upgrade(host: &Host) -> Result<()> {
    // [upgrade]
    let given = BTreeMap::from([("to".to_owned(), "1.1.0".to_owned())]);
    let upgrade = host.runbook("compose/upgrade", &given).await?;
    let plan = upgrade.plan().await;
    if !plan.is_complete() {
        return Err(format!("it would not come to its end: {:?}", plan.end).into());
    }
    let planned: Vec<_> = plan.addresses().into_iter().map(str::to_owned).collect();
    let run = upgrade.start(plan, "events").await?;
    let (seen, ending) = watch(run, |_| false).await;
    // [/upgrade]
    assert_eq!(ending, Ending::Done);
    assert_eq!(seen.calls, planned, "the run does what was planned, in this order");
    println!("{} calls in {} steps\n", seen.calls.len(), seen.steps);
    Ok(())
}

/// A run that waits for a person is over for now. Whoever answers takes it up again, from this or any other process.
async fn asked(host: &Host) -> Result<()> {
    let careful = host.runbook(FILE, &BTreeMap::new()).await?;
    let plan = careful.plan().await;
    let (_, ending) = watch(careful.start(plan, "events").await?, |_| false).await;
    // [answer]
    let question = ending.question().ok_or("it should have asked")?.clone();
    println!("asked: {}", question.text);
    let choice = question.choices.iter().find(|choice| choice.key == "go").ok_or("nothing lets it go on")?;
    let answer = Decision {
        choice: choice.key.clone(),
        reason: "the page was fetched and compared".to_owned(),
        by: who(),
    };
    // A question with a flag is about the way on; any other one is answered with `Host::rollback`.
    assert!(question.flag.is_some());
    let (_, ending) = watch(host.resume(None, Some(answer), "events").await?, |_| false).await;
    // [/answer]
    assert_eq!(ending, Ending::Done);
    println!("answered, and done\n");
    Ok(())
}

/// A run that is told to stop does so within a second, and its record says where it stands.
async fn stopped(host: &Host) -> Result<()> {
    let careful = host.runbook(FILE, &BTreeMap::from([("seen".to_owned(), "go".to_owned())])).await?;
    let plan = careful.plan().await;
    let run = careful.start(plan, "events").await?;
    // [stop]
    let changed = |event: &Event| matches!(event, Event::CallEnded { .. });
    let (_, ending) = watch(run, changed).await;
    let Ending::Unfinished { why, .. } = ending else { return Err(format!("{ending:?}").into()) };
    println!("stopped: {why}");
    let open = host.unfinished()?.ok_or("nothing is unfinished")?;
    let (_, ending) = watch(host.rollback(Some(&open.id), None, "events").await?, |_| false).await;
    // [/stop]
    assert!(matches!(ending, Ending::RolledBack { ref left } if left.is_empty()), "{ending:?}");
    println!("taken back");
    Ok(())
}

#[derive(Default)]
struct Seen {
    steps: usize,
    calls: Vec<String>,
}

// [watch]
/// Shows a run to its end, and stops it after the first event that `enough` says so of.
async fn watch(mut run: Run, enough: impl Fn(&Event) -> bool) -> (Seen, Ending) {
    let (mut seen, cancel) = (Seen::default(), run.cancel());
    while let Some(event) = run.next().await {
        if enough(&event) {
            cancel.cancel();
        }
        match event {
            Event::StepStarted { path } => println!("[ .. ] {path}"),
            Event::StepEnded { path, took_ms } => {
                seen.steps += 1;
                println!("[ ok ] {path} ({} s)", took_ms / 1_000);
            }
            Event::CallEnded { address, .. } => seen.calls.push(address),
            Event::CallFailed { failure, .. } => println!("[FAIL] {failure}"),
            Event::Undone { result, .. } => println!("[back] {result}"),
            Event::Warning { text, .. } => println!("[warn] {text}"),
            // What is new in a later version is no reason to end.
            _ => {}
        }
    }
    (seen, run.ended().await)
}
// [/watch]

#[cfg(test)]
#[test]
fn it_goes_as_it_says() {
    main().unwrap();
}
