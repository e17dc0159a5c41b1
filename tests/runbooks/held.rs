//! Containers that are stopped and held, and started again as they were.

use std::collections::BTreeMap;

use uplift::{Ending, World};

use super::night::Night;

const RESTARTS: &str = r#"
const RUNBOOK = #{ api: 1, summary: "stop the site and start it again" };

step "stop" { compose_stop(#{ services: [site::job, site::web], hold: true }); }
step "start" { compose_up(#{ services: [site::web, site::job] }); }
"#;

/// Killed when they were up again, and held yet: what starts them after a reboot is not forgotten.
#[tokio::test]
async fn what_runs_again_has_its_restart_policy_back_before_it_counts_as_started() {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/again.rhai", RESTARTS, 0o644);
    let policies = || {
        let all = night.world.containers().into_iter();
        all.map(|one| (one.name, one.restart_policy)).collect::<BTreeMap<_, _>>()
    };
    let before = policies();
    assert_eq!(night.run("/srv/strata/again.rhai", &[]).await.ending, Ending::Done);
    assert_eq!(policies(), before);
    for name in before.keys() {
        night.world.edit_container(name, |one| one.restart_policy = "no".to_owned());
    }
    night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
    night.edit_record(
        "UPDATE attempt SET state = 'started', ended_at = NULL, value = NULL \
         WHERE seq = (SELECT seq FROM entry WHERE verb = 'compose_up')",
    );
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    assert_eq!(policies(), before);
}
