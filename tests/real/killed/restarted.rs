//! The database server is restarted in the middle of a run: the run ends in a state that has a name, and can be ended.

use super::{
    super::every,
    end::Way,
    record::reached,
    walk::{Flow, Walk, tried},
};

/// When it is restarted: as soon as this has been told, and so many milliseconds later.
#[derive(Debug, Clone, Copy)]
struct When {
    flow: Flow,
    event: &'static str,
    address: &'static str,
    after: u64,
}

const WHEN: [When; 7] = [
    // The trial has begun to migrate.
    When::new(Flow::Upgrade, "call_started", "migrate in the dark/compose_trial#1", 1200),
    When::new(Flow::Upgrade, "call_started", "migrate in the dark/pg_savepoint#1", 100),
    When::new(Flow::Returns, "call_started", "let the data return/pg_return#1", 50),
    When::new(Flow::Fails, "undone", "migrate in the dark/compose_trial#1", 50),
    When::new(Flow::Restores, "call_started", "load beside/pg_load#1", 300),
    When::new(Flow::Restores, "call_started", "take the places/pg_swap#1", 50),
    When::new(Flow::Upgrade, "call_started", "prepare/backup#1", 300),
];

impl When {
    const fn new(flow: Flow, event: &'static str, address: &'static str, after: u64) -> Self {
        Self { flow, event, address, after }
    }
}

#[test]
fn a_database_server_that_is_restarted_in_the_middle_costs_no_data() {
    let (mut walk, mut wrong) = (Walk::begin(), Vec::new());
    let ways: &[Way] = if every() { &[Way::Resume, Way::Rollback] } else { &[Way::Resume] };
    let whens = if every() { &WHEN[..] } else { &WHEN[..1] };
    for when in whens {
        for way in ways {
            match tried(&mut walk, Walk::begin, |walk| restart(walk, *when, *way)) {
                Ok(line) => eprintln!("{line}"),
                Err(text) => wrong.push(format!("{when:?}, then {way:?}: {text}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    walk.field.end();
}

fn restart(walk: &mut Walk, when: When, way: Way) -> String {
    eprintln!("{when:?}, then {way:?}");
    let (scene, exit) = walk.disturbed(when.flow, (when.event, when.address, when.after), |stack| {
        stack.tools().docker().args("restart -t 1").arg(stack.postgres()).output().unwrap();
    });
    let run = scene.run(&walk.field).map(|run| run.id).unwrap_or_default();
    let at = reached(walk.field.dir(), &run);
    walk.ended(scene, way);
    format!("{:?}: restarted in `{}`: exit {exit:?} at `{at}`, then {way:?}", when.flow, when.address)
}
