//! A run goes on with the scripts that it began with, whatever stands in their files since.

use uplift::{Ending, Event, World};

use super::night::{Night, Told};

const WAITS: &str = r#"
const RUNBOOK = #{ api: 1, summary: "upgrade by hand", on_failure: "pause" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "pull" { compose_pull(#{ tag: "1.1.0" }); }
step "start" { compose_up(#{ services: [site::job] }); }
"#;

fn warned(told: &Told) -> bool {
    let about =
        |event: &Event| matches!(event, Event::Warning { text, .. } if text.contains("was changed since"));
    told.events.iter().any(about)
}

#[tokio::test]
async fn a_file_that_was_edited_while_its_run_waited_is_told_of_and_does_not_count() {
    for edited in [false, true] {
        let night = Night::of(World::strata());
        night.world.put_file("/srv/strata/mine.rhai", WAITS, 0o644);
        let stops = |world: &World| world.log().iter().filter(|line| line.starts_with("stop web")).count();
        night.world.fault_at("pull ", uplift::sim::Fault::FailBefore);
        let told = night.run("/srv/strata/mine.rhai", &[]).await;
        assert_eq!(told.ending.exit().code(), 9, "{:?}", told.ending);
        if edited {
            let other = WAITS.replace("[site::job] }); }\nstep \"pull\"", "[site::web] }); }\nstep \"pull\"");
            assert_ne!(other, WAITS);
            night.world.put_file("/srv/strata/mine.rhai", other, 0o644);
        }
        let told = night.resume(None).await;
        assert_eq!(told.ending, Ending::Done);
        assert_eq!(warned(&told), edited);
        assert_eq!(stops(&night.world), 0, "the file of now would have stopped web");
    }
}
