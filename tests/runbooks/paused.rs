//! Runbooks that stand still until a person lets them go on.

use uplift::{Ending, Event, World, run::PlanEnd};

use super::night::Night;

const BOOK: &str = "/srv/strata/pause.rhai";

fn night(first: &str) -> Night {
    let night = Night::of(World::strata());
    let text = format!(
        "const RUNBOOK = #{{ api: 1, summary: \"stop, look, start\", on_failure: \"undo\", params: #{{ \
         tested: #{{ type: \"choice\", of: [\"ask\", \"go\"], initial: \"ask\", help: \"whether it was tested\" }} }} }};\n\
         step \"first\" {{ {first} }}\n\
         step \"look\" {{ pause(#{{ question: \"is it green?\", param: \"tested\", answer: params::tested, \
         found: [\"look at the page\"] }}); }}\n\
         step \"start\" {{ compose_up(#{{ services: [site::job] }}); }}\n"
    );
    night.world.put_file(BOOK, text, 0o644);
    night
}

const STOP: &str = "compose_stop(#{ services: [site::job] });";

#[tokio::test]
async fn a_run_stands_still_until_a_person_says_go() {
    let night = night(STOP);
    let host = night.host().await;
    let plan = host.runbook(BOOK, &[].into()).await.unwrap().plan().await;
    assert_eq!(plan.end, PlanEnd::Complete);
    assert!(plan.steps[1].calls[0].assumed[0].contains("a person says `go`: is it green?"), "{plan:?}");
    let told = night.run(BOOK, &[]).await;
    let Ending::NeedsPerson { question, .. } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(
        (question.text.as_str(), question.found.as_slice()),
        ("is it green?", &["look at the page".to_owned()][..])
    );
    assert_eq!((told.ending.exit().code(), night.runs().as_str()), (7, "1.0.0 "));
    let told = night.resume(Some("go")).await;
    assert_eq!(told.ending, Ending::Done);
    let said = |event: &Event| matches!(event, Event::CallEnded { result, .. } if result.starts_with("is it green? alice@app1 said `go`: "));
    assert!(told.events.iter().any(said), "who, and why: {:?}", told.events);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    let (_, calls) = night.newest().await;
    let pause = calls.iter().find(|call| call.verb == "pause").unwrap();
    let decision = &pause.decisions[0].decision;
    assert_eq!(
        (decision.choice.as_str(), decision.by.as_str()),
        ("go", "alice@app1"),
        "who said so is on record"
    );
}

#[tokio::test]
async fn whoever_says_no_goes_back() {
    let night = night(STOP);
    night.run(BOOK, &[]).await;
    let told = night.rollback(None).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}

#[tokio::test]
async fn it_can_be_said_in_advance_and_must_be_before_any_change() {
    let before = night("");
    let told = before.run(BOOK, &[]).await;
    let Ending::Refused { failure } = &told.ending else { panic!("{:?}", told.ending) };
    let question = failure.question.as_ref().unwrap();
    assert_eq!((told.ending.exit().code(), question.flag.as_deref()), (7, Some("tested")));
    for night in [before, night(STOP)] {
        assert_eq!(night.run(BOOK, &[("tested", "go")]).await.ending, Ending::Done);
    }
}

/// Somebody else is to say it, hours later: the run waits, whatever came before.
#[tokio::test]
async fn where_no_parameter_can_say_it_the_run_waits_before_any_change() {
    for (before, back) in [("", false), ("backup();", false), ("", true), ("backup();", true)] {
        let night = Night::of(World::strata());
        let text = format!(
            "const RUNBOOK = #{{ api: 1, summary: \"ask, stop\" }};\n\
             step \"ask\" {{ {before} pause(#{{ question: \"may it go down?\" }}); }}\n\
             step \"stop\" {{ compose_stop(#{{ services: [site::job] }}); }}\n"
        );
        night.world.put_file(BOOK, text, 0o644);
        let told = night.run(BOOK, &[]).await;
        let Ending::NeedsPerson { question, .. } = &told.ending else { panic!("{:?}", told.ending) };
        assert_eq!((question.text.as_str(), told.ending.exit().code()), ("may it go down?", 7));
        assert_eq!(night.runs(), "1.0.0 1.0.0");
        // A minute of waiting, and nobody can begin another run meanwhile.
        assert!(night.try_upgrade("1.1.0").await.is_err());
        if back {
            let told = night.rollback(None).await;
            assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
            assert_eq!(night.runs(), "1.0.0 1.0.0");
        } else {
            assert_eq!(night.resume(Some("go")).await.ending, Ending::Done);
            assert_eq!(night.runs(), "1.0.0 ");
        }
    }
}
