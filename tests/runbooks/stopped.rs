//! A signal that comes while a script works by itself, between two calls.

use std::collections::BTreeMap;

use uplift::{Ending, Event, World, event::ExitClass};

use super::night::{Night, Told};

const THINKS: &str = r#"
const RUNBOOK = #{ api: 1, summary: "think for a while" };

step "stop" { if CHANGES { compose_stop(#{ services: [site::job] }); } }
step "think" { let n = 0; while n < 100000 { n += 1; } }
"#;

/// Stopped in the middle of the step that calls nothing.
async fn stopped(night: &Night, changes: bool) -> Told {
    let text = THINKS.replace("CHANGES", &changes.to_string());
    night.world.put_file("/srv/strata/think.rhai", text, 0o644);
    let thinks = night.host().await.runbook("/srv/strata/think.rhai", &BTreeMap::new()).await.unwrap();
    let mut run = thinks.start(thinks.plan().await, "uplift run think.rhai").await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = run.next().await {
        if matches!(&event, Event::StepStarted { path } if path == "think") {
            run.cancel().cancel();
        }
        events.push(event);
    }
    Told { events, ending: run.ended().await }
}

#[tokio::test]
async fn a_signal_between_two_calls_is_no_failure_of_the_script() {
    let night = Night::of(World::strata());
    assert_eq!(stopped(&night, false).await.ending, Ending::Interrupted);
    assert!(night.unfinished().await.is_none());
    let told = stopped(&night, true).await;
    assert_eq!(
        told.ending.exit(),
        ExitClass::Unfinished,
        "nothing is taken back by a signal: {:?}",
        told.ending
    );
    assert_eq!(night.runs(), "1.0.0 ", "job is down, as it was left");
    night.rollback(None).await;
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}
