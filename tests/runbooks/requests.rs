//! Runbooks that ask services elsewhere.

use std::path::Path;

use uplift::{
    Ending, Plan, World,
    run::PlanEnd,
    sim::{Answers, Fault},
};

use super::night::{Night, Told};

const DRAINED: &str = "/run/lb/drained-web";
const BOOK: &str = "/srv/strata/drain.rhai";
const HOOK: &str = "https://hooks.example.org/services/canary-of-the-hook";

const HEAD: &str = "const RUNBOOK = #{ api: 1, summary: \"drain\", on_failure: \"undo\" };\n\
                    const LB = \"https://lb.internal:8443/web/drain\";\n";
const DRAIN: &str = "http_request(#{ method: \"POST\", url: LB, json: #{ wait: true }, bearer: \"env:TOKEN\", \
                     probe: #{ url: LB }, undo: #{ method: \"DELETE\", url: LB, bearer: \"env:TOKEN\" } })";
const TELL: &str = "http_request(#{ method: \"POST\", url: \"env:HOOK\", json: #{ text: \"draining\" } })";

fn night(body: &str) -> Night {
    let night = Night::of(World::strata());
    let (lb, drained) = ("https://lb.internal:8443/web/", vec![DRAINED.into()]);
    let body_of_it = "{\"left\": 3, \"token\": \"canary-of-the-balancer\"}".to_owned();
    night.world.put_answers(&[
        Answers { makes: drained.clone(), body: body_of_it, ..Answers::to("POST", lb) },
        Answers { removes: drained, ..Answers::to("DELETE", lb) },
        Answers { where_is: Some(DRAINED.into()), ..Answers::to("GET", lb) },
        Answers { status: 404, ..Answers::to("GET", lb) },
        Answers {
            status: 503,
            body: "busy, canary-of-the-hook".to_owned(),
            ..Answers::to("POST", "https://lb.internal:8443/busy")
        },
        Answers { status: 504, ..Answers::to("POST", "https://lb.internal:8443/late") },
        Answers::to("POST", "https://hooks.example.org/"),
    ]);
    night.world.put_variable("TOKEN", "canary-of-the-balancer");
    night.world.put_variable("HOOK", HOOK);
    night.settings("[grants]\nhttp = [\"lb.internal:8443\", \"hooks.example.org\"]\n");
    write(&night, body);
    night
}

fn write(night: &Night, body: &str) {
    night.world.put_file(BOOK, format!("{HEAD}step \"balancer\" {{ {body} }}\n"), 0o644);
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

fn asked(night: &Night) -> Vec<String> {
    night.world.asked().into_iter().map(|one| one.what.replace("https://lb.internal:8443", "")).collect()
}

#[tokio::test]
async fn a_plan_asks_nobody_and_shows_the_request() {
    let night = night(&format!("{DRAIN}; {TELL};"));
    let plan = plan(&night).await;
    assert_eq!(plan.end, PlanEnd::Complete);
    let shell = |at: usize| plan.steps[0].calls[at].writes[0].shell.clone().unwrap();
    assert_eq!(
        shell(0),
        "curl -X POST -H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\" \
         --data-raw '{\"wait\":true}' https://lb.internal:8443/web/drain"
    );
    assert!(shell(1).ends_with(" \"$HOOK\""), "{}", shell(1));
    assert!(!format!("{plan:?}").contains("canary"), "{plan:?}");
    assert!(asked(&night).is_empty() && night.world.writes() == 0);
}

#[tokio::test]
async fn an_answer_is_known_once_it_is_asked() {
    let night = night(&format!("let said = {DRAIN}; print(`${{said.json.left}} left`); {TELL};"));
    let end = plan(&night).await.end;
    let PlanEnd::Unknown { why } = end else { panic!("{end:?}") };
    assert_eq!(why, "what `POST https://lb.internal:8443/web/drain` answers is known once it is asked");
    let told = run(&night).await;
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(asked(&night), ["POST /web/drain", "POST the address in env:HOOK"]);
    let first = &night.world.asked()[0];
    assert_eq!(
        (first.bearer.as_deref(), first.body.as_deref()),
        (Some("env:TOKEN"), Some("{\"wait\":true}"))
    );
    let all = format!("{:?}", told.events);
    assert!(all.contains("3 left") && !all.contains("canary"), "{all}");
    let record = night.record("SELECT group_concat(coalesce(e.intent, '') || e.input || coalesce(a.value, '')) FROM entry e JOIN attempt a USING (run, seq)");
    assert!(
        record.contains("env:HOOK") && record.contains("[secret]") && !record.contains("canary"),
        "{record}"
    );
}

#[tokio::test]
async fn what_is_not_granted_or_cannot_be_sent_is_refused_while_it_is_planned() {
    let night = night("");
    for (call, code, hint) in [
        (
            "url: \"https://other.example/\"",
            "not_granted",
            "http = [\"lb.internal:8443\", \"hooks.example.org\", \"other.example\"]",
        ),
        ("url: \"https://hooks.example.org:444/\"", "not_granted", "\"hooks.example.org:444\""),
        (
            "url: LB, undo: #{ method: \"DELETE\", url: \"https://other.example/\" }",
            "bad_option",
            "take it out",
        ),
        (
            "method: \"POST\", url: LB, undo: #{ url: \"https://other.example/\" }",
            "not_granted",
            "other.example",
        ),
        ("url: \"https://lb.internal:8443@other.example/\"", "bad_option", "https://"),
        ("url: \"lb.internal\"", "bad_option", "https://"),
        ("url: \"env:NOT_SET\"", "secret_missing", "export NOT_SET"),
        ("url: LB, bearer: \"env:NOT_SET\"", "secret_missing", "export NOT_SET"),
        ("url: LB, method: \"GRAB\"", "bad_option", "`POST`"),
        ("url: LB, json: 1, body: \"1\"", "bad_option", "take one"),
        ("url: LB, headers: #{ authorization: \"Basic x\" }", "bad_option", "env:NAME"),
        ("url: LB, headers: #{ \"X-Api-Key\": \"12345\" }", "bad_option", "env:NAME"),
        ("url: LB, headers: #{ \"X-Api-Key\": \"env:NOT_SET\" }", "secret_missing", "export NOT_SET"),
        ("url: LB, headers: #{ \"A B\": \"x\" }", "bad_option", "one line"),
        ("url: LB, probe: #{ method: \"POST\", url: LB }", "bad_option", "`GET`"),
    ] {
        write(&night, &format!("http_request(#{{ {call} }});"));
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, code, "{call}: {failure}");
        assert!(failure.hint.as_ref().is_some_and(|known| known.contains(hint)), "{call}: {failure:?}");
    }
    night.world.put_variable("HOOK", "https://user:canary-of-a-user@hooks.example.org/");
    write(&night, &format!("{TELL};"));
    let end = format!("{:?}", plan(&night).await.end);
    assert!(end.contains("the address in env:HOOK") && !end.contains("canary"), "{end}");
}

#[tokio::test]
async fn what_failed_is_taken_back_by_its_own_requests() {
    let busy = "http_request(#{ method: \"POST\", url: \"https://lb.internal:8443/busy\" })";
    let night = night(&format!("{DRAIN}; {TELL}; {busy};"));
    let told = run(&night).await;
    let Ending::TakenBack { failure, left } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!((failure.code.as_str(), failure.retryable), ("http_refused", true));
    assert!(left.iter().any(|line| line.contains("services elsewhere")), "{left:?}");
    let back = asked(&night).split_off(3);
    assert_eq!(back, ["DELETE /web/drain"]);
    assert!(night.world.file(Path::new(DRAINED)).is_none());
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_or_asked_about() {
    for (fault, ends) in [(Fault::TimeoutAfter, true), (Fault::FailBefore, false)] {
        let night = night(&format!("{DRAIN};"));
        night.world.fault_at("ask POST", fault);
        let ending = run(&night).await.ending;
        assert_eq!(matches!(ending, Ending::Done), ends, "{fault:?}: {ending:?}");
        assert_eq!(night.world.file(Path::new(DRAINED)).is_some(), ends, "{fault:?}");
    }
    let late = night("http_request(#{ method: \"POST\", url: \"https://lb.internal:8443/late\" });");
    let told = run(&late).await;
    assert_eq!(told.ending.exit().code(), 9, "a proxy does not know either: {:?}", told.ending);
    assert_eq!(late.answer("applied").await.ending, Ending::Done);
}

/// A grant that is taken away while the run stands still keeps nobody from going back.
#[tokio::test]
async fn what_was_granted_when_it_was_decided_is_granted_on_the_way_back() {
    let night = night(&format!("{DRAIN}; pause(#{{ question: \"on?\" }});"));
    assert_eq!(run(&night).await.ending.exit().code(), 7);
    night.settings("");
    let told = night.rollback(None).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    assert!(night.world.file(Path::new(DRAINED)).is_none());
}

/// A `DELETE` that finds nothing has nothing to remove; whatever else finds nothing may have been misspelt.
#[tokio::test]
async fn only_a_delete_may_find_nothing_to_take_back() {
    for (method, code) in [("DELETE", 6), ("POST", 7)] {
        let undo = format!("undo: #{{ method: \"{method}\", url: \"https://lb.internal:8443/misspelt\" }}");
        let night =
            night(&format!("http_request(#{{ method: \"POST\", url: LB, {undo} }}); fail(\"a\", \"b\");"));
        let gone = Answers { status: 404, ..Answers::to(method, "https://lb.internal:8443/misspelt") };
        night.world.put_answers(&[gone]);
        let told = run(&night).await;
        assert_eq!(told.ending.exit().code(), code, "{method}: {:?}", told.ending);
    }
}

/// A header that is a secret is sent, recorded by its place only, and typed by hand by its place too.
#[tokio::test]
async fn a_header_that_is_a_secret_is_told_by_its_place() {
    let night =
        night("http_request(#{ method: \"POST\", url: LB, headers: #{ \"X-Api-Key\": \"env:TOKEN\" } });");
    let plan = plan(&night).await;
    let shell = plan.steps[0].calls[0].writes[0].shell.clone().unwrap();
    assert!(shell.contains("\"X-Api-Key: $TOKEN\""), "{shell}");
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(night.world.asked()[0].headers["X-Api-Key"], "env:TOKEN");
    let all = night.record("SELECT group_concat(coalesce(intent, '') || coalesce(input, '')) FROM entry");
    assert!(all.contains("env:TOKEN") && !all.contains("canary-of-the-balancer"), "{all}");
}
