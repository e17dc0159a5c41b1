//! A call that waits for another attempt when its process ends: it waits for what is left, and has as many attempts as
//! it had before.

use jiff::SignedDuration;
use uplift::{Ending, World};

use super::night::Night;

const PULLS: &str = r#"
const RUNBOOK = #{ api: 1, summary: "pull once the worker stands still", on_failure: "pause" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "pull" with #{ retries: 3 } { compose_pull(#{ tag: "1.1.0" }); }
"#;

/// A run that ended while it waited for its second attempt, which is due in 40 s.
async fn waiting() -> (Night, jiff::Timestamp) {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/pull.rhai", PULLS, 0o644);
    assert_eq!(night.run("/srv/strata/pull.rhai", &[]).await.ending, Ending::Done);
    let due = night.host().await.now() + SignedDuration::from_secs(40);
    night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
    night.edit_record(&format!(
        "UPDATE attempt SET state = 'waiting', next_at = '{due}', value = NULL, \
         failure = '{{\"code\":\"registry_unreachable\",\"message\":\"no answer\",\"retryable\":true,\"unknown\":false}}' \
         WHERE seq = (SELECT seq FROM entry WHERE verb = 'compose_pull')"
    ));
    (night, due)
}

#[tokio::test]
async fn what_is_left_of_the_pause_is_waited_for() {
    let (night, due) = waiting().await;
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    assert!(night.host().await.now() >= due);
}

#[tokio::test]
async fn no_attempt_is_gained_by_taking_a_run_up_again() {
    let (night, _) = waiting().await;
    night.world.set_registry(false, false);
    let told = night.resume(None).await;
    assert_eq!(told.ending.exit().code(), 9, "{:?}", told.ending);
    let (_, calls) = night.newest().await;
    let pull = calls.iter().find(|call| call.verb == "compose_pull").unwrap();
    assert_eq!(pull.attempts.len(), 4, "one before, and the three that were left: {:?}", pull.attempts);
    // A person may want one more, whenever that is: it is tried at once, and once.
    let before = night.host().await.now();
    night.resume(None).await;
    let (_, calls) = night.newest().await;
    let pull = calls.iter().find(|call| call.verb == "compose_pull").unwrap();
    assert_eq!(pull.attempts.len(), 5);
    assert!(night.host().await.now().duration_since(before) < SignedDuration::from_secs(20));
}

/// An attempt that was killed was one.
#[tokio::test]
async fn no_attempt_is_gained_by_a_kill() {
    let (night, _) = waiting().await;
    night.edit_record("UPDATE attempt SET state = 'started', next_at = NULL WHERE state = 'waiting'");
    night.world.set_registry(false, false);
    night.resume(None).await;
    let (_, calls) = night.newest().await;
    let pull = calls.iter().find(|call| call.verb == "compose_pull").unwrap();
    assert_eq!(
        pull.attempts.len(),
        4,
        "one that was killed, and the three that were left: {:?}",
        pull.attempts
    );
}

/// A clock that was set back makes nobody wait for hours.
#[tokio::test]
async fn a_moment_that_lies_far_ahead_is_not_waited_for() {
    let (night, _) = waiting().await;
    let begun = night.host().await.now();
    let far = begun + SignedDuration::from_hours(5);
    night.edit_record(&format!("UPDATE attempt SET next_at = '{far}' WHERE state = 'waiting'"));
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    assert!(night.host().await.now() < far);
}

/// Time passes on a simulated site when somebody waits, and nobody waits for what has come to its end.
#[tokio::test]
async fn a_budget_of_time_leaves_alone_what_is_quick() {
    let night = Night::of(World::strata());
    let text = "const RUNBOOK = #{ api: 1, summary: \"quick\" };\n\
                step \"set\" with #{ timeout: \"2m\" } { env_set(#{ A: \"4\" }); }\n\
                step \"bring\" with #{ timeout: \"15m\", retries: 1 } { compose_pull(#{ tag: \"1.1.0\" }); }\n";
    night.world.put_file("/srv/strata/quick.rhai", text, 0o644);
    assert_eq!(night.run("/srv/strata/quick.rhai", &[]).await.ending, Ending::Done);
}
