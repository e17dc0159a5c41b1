//! What an upgrade refuses before it stops anything.

use uplift::{
    Ending, World,
    ports::{docker::State, postgres::Session},
    run::PlanEnd,
    sim::Manner,
};

use super::night::Night;

/// The reason with its evidence; nothing was changed.
async fn refused(night: &Night) -> (String, String) {
    let before = night.world.running();
    let told = night.upgrade("1.1.0").await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(night.world.running(), before);
    (failure.code.clone(), format!("{failure} {}", failure.evidence.join(" ")))
}

#[tokio::test]
async fn an_edit_that_nobody_has_applied_is_named_without_its_value() {
    let night = Night::of(World::strata());
    night.world.set("LICENSE_KEY", "another-licence");
    let (code, text) = refused(&night).await;
    assert_eq!(code, "drift");
    assert!(text.contains("`LICENSE_KEY`") && !text.contains("another-licence"), "{text}");
}

#[tokio::test]
async fn a_port_that_nobody_has_applied_is_named() {
    let night = Night::of(World::strata());
    night.world.edit_container("strata-web-1", |web| web.ports.clear());
    let (code, text) = refused(&night).await;
    assert!(code == "drift" && text.contains("3000"), "{text}");
}

#[tokio::test]
async fn a_service_that_keeps_dying_is_told_from_one_that_is_stopped() {
    for (state, expected) in [(State::Restarting, "service_dying"), (State::Exited, "service_down")] {
        let night = Night::of(World::strata());
        night.world.edit_container("strata-job-1", |job| (job.state, job.restarts) = (state, 5));
        assert_eq!(refused(&night).await.0, expected);
    }
}

#[tokio::test]
async fn somebody_who_would_not_leave_a_database_is_named_while_the_site_still_runs() {
    for (manner, refused) in [(Manner::Superuser, true), (Manner::ComesBack, false)] {
        let night = Night::of(World::strata());
        let exporter = Session {
            pid: 4711,
            database: "strata_production_queue".to_owned(),
            user: "postgres".to_owned(),
            application: "exporter".to_owned(),
            client: "10.0.0.9".to_owned(),
            state: "idle".to_owned(),
            query: "SELECT ?".to_owned(),
            seconds: 60,
        };
        night.world.put_session(exporter, manner);
        let plan = night.plan("1.1.0").await;
        match plan.end {
            PlanEnd::Fails { failure, .. } if refused => {
                let text = format!("{failure} {}", failure.evidence.join(" "));
                assert_eq!(failure.code, "sessions_remain");
                assert!(text.contains("application `exporter`") && text.contains("4711"), "{text}");
            }
            PlanEnd::Complete | PlanEnd::Unknown { .. } if !refused => {}
            end => panic!("{manner:?}: {end:?}"),
        }
    }
}
