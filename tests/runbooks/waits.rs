//! Runbooks that wait for what a service answers, and for what a program says.

use uplift::{
    Ending, Plan, World,
    run::PlanEnd,
    sim::{Answers, Does, Fault},
};

use super::night::{Night, Told};

const BOOK: &str = "/srv/strata/wait.rhai";
const LB: &str = "http://127.0.0.1:8404/";
const TOOL: &str = "/usr/local/bin/haproxyctl";
const READY: &str = "/srv/strata/ready";

fn night(call: &str) -> Night {
    let night = Night::of(World::strata());
    let at = |path: &str| format!("{LB}{path}");
    let (ready, get) = (Some(READY.into()), |path: &str| Answers::to("GET", &at(path)));
    night.world.put_answers(&[
        Answers { where_is: ready.clone(), body: "web DRAIN".to_owned(), ..get("web") },
        Answers { body: "web UP canary-of-the-token".to_owned(), ..get("web") },
        Answers { where_is: ready.clone(), status: 204, ..get("busy") },
        Answers { status: 503, ..get("busy") },
        Answers { where_is: ready, ..get("refused") },
        Answers { status: 401, body: "who is that?".to_owned(), ..get("denied") },
    ]);
    night.world.put_program(
        TOOL,
        &[
            Does { where_is: Some(READY.into()), ..Does::default() },
            Does { code: 3, stderr: "3 sessions, canary-of-the-token".to_owned(), ..Does::default() },
        ],
    );
    night.world.put_variable("TOKEN", "canary-of-the-token");
    night.settings(&format!("[grants]\nhttp = [\"127.0.0.1:8404\"]\nexec = [\"{TOOL}\"]\n"));
    write(&night, call);
    night
}

fn write(night: &Night, call: &str) {
    let head = format!("const RUNBOOK = #{{ api: 1, summary: \"wait\" }}; const LB = \"{LB}\";\n");
    let stop = "compose_stop(#{ services: [site::job] });";
    night.world.put_file(
        BOOK,
        format!("{head}step \"wait\" {{ wait_until(#{{ {call} }}); {stop} }}\n"),
        0o644,
    );
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

const DRAINED: &str =
    "http: #{ url: LB + \"web\", contains: \"DRAIN\", bearer: \"env:TOKEN\" }, timeout: \"1m\"";
const SESSIONS: &str = "exec: [\"/usr/local/bin/haproxyctl\", \"is-drained\"], secrets: #{ TOKEN: \"env:TOKEN\" }, timeout: \"1m\"";

#[tokio::test]
async fn it_is_waited_for_until_it_is_so_or_the_time_is_over() {
    for (call, words, last) in [
        (
            DRAINED,
            "`GET http://127.0.0.1:8404/web` is answered with `DRAIN`",
            "lacks what it has to contain: web UP [secret]",
        ),
        (
            "http: #{ url: LB + \"web\", lacks: \"UP\", bearer: \"env:TOKEN\" }, timeout: \"1m\"",
            "is answered without `UP`",
            "has what it must not contain",
        ),
        ("http: #{ url: LB + \"busy\" }, timeout: \"1m\"", "is answered well", "last answered with 503"),
        (
            "http: #{ url: LB + \"refused\" }, timeout: \"1m\"",
            "is answered well",
            "is not reached: nobody is there",
        ),
        (
            SESSIONS,
            "`/usr/local/bin/haproxyctl is-drained` ends well",
            "last ended with exit code 3: 3 sessions, [secret]",
        ),
    ] {
        let night = night(call);
        let planned = plan(&night).await;
        assert_eq!(planned.end, PlanEnd::Complete, "{call}");
        let shown = &planned.steps[0].calls[0];
        assert!(shown.summary.contains(words), "{call}: {}", shown.summary);
        assert!(shown.assumed.iter().any(|text| text.starts_with("it comes: ")), "{call}: {shown:?}");
        assert!(night.world.asked().is_empty() && night.world.started().is_empty(), "a plan asks nobody");
        let Ending::Refused { failure } = run(&night).await.ending else { panic!("{call}") };
        assert_eq!(failure.code, "wait_over", "{call}");
        assert!(failure.evidence.iter().any(|line| line.contains(last)), "{call}: {failure:?}");
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
        let asked = night.world.asked().len() + night.world.started().len();
        assert!((25..=31).contains(&asked) || call.contains("refused"), "{call}: {asked}");
        night.world.put_file(READY, "", 0o644);
        assert_eq!(run(&night).await.ending, Ending::Done, "{call}");
    }
}

#[tokio::test]
async fn a_code_may_mean_that_it_is_so() {
    let night = night(&format!("{SESSIONS}, codes: [0, 3]"));
    assert_eq!(run(&night).await.ending, Ending::Done);
}

#[tokio::test]
async fn what_waiting_does_not_mend_ends_it_at_once() {
    let night = night("http: #{ url: LB + \"denied\" }");
    let begun = night.host().await.now();
    let Ending::Refused { failure } = run(&night).await.ending else { panic!("it is denied") };
    assert_eq!(
        (failure.code.as_str(), failure.evidence.as_slice()),
        ("http_refused", &["who is that?".to_owned()][..])
    );
    assert!(night.host().await.now().duration_since(begun).as_secs() < 60, "it has not waited");
    write(&night, "http: #{ url: LB + \"denied\", expect: [401] }");
    assert_eq!(run(&night).await.ending, Ending::Done, "unless that is what is waited for");
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused_while_it_is_planned() {
    let night = night("");
    for (call, code, hint) in [
        ("", "bad_option", "e.g. `http:"),
        ("sql: \"select true as so\", http: #{ url: LB }", "bad_option", "e.g. `http:"),
        ("sql: \"select true as so\", codes: [1]", "bad_option", "take them out"),
        ("http: #{ url: LB, method: \"POST\" }", "bad_option", "`GET` or `HEAD`"),
        ("http: #{ url: LB, method: \"HEAD\", contains: \"x\" }", "bad_option", "write `GET`"),
        ("http: #{ url: \"https://other.example/\" }", "not_granted", "other.example"),
        ("http: #{ url: LB, bearer: \"env:NOT_SET\" }", "secret_missing", "export NOT_SET"),
        ("exec: [\"/bin/sh\"]", "not_granted", "\"/bin/sh\""),
        ("exec: [\"haproxyctl\"]", "bad_option", "command -v"),
        ("exec: [\"/usr/local/bin/haproxyctl\"], env: #{ \"A B\": \"x\" }", "bad_option", "letters"),
    ] {
        write(&night, call);
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, code, "{call}: {failure:?}");
        assert!(failure.hint.as_ref().is_some_and(|said| said.contains(hint)), "{call}: {failure:?}");
    }
}

/// The answer stands in the record: whoever goes on does not wait once more.
#[tokio::test]
async fn a_run_that_goes_on_does_not_wait_again() {
    let night = night(DRAINED);
    night.world.put_file(READY, "", 0o644);
    night.world.fault_at("stop job", Fault::LosesLock);
    let text = String::from("const RUNBOOK = #{ api: 1, summary: \"wait\" };\n")
        + "step \"wait\" { wait_until(#{ http: #{ url: \"http://127.0.0.1:8404/web\", contains: \"DRAIN\" } }); "
        + "compose_stop(#{ services: [site::job] }); compose_up(#{ services: [site::job] }); }";
    night.world.put_file(BOOK, text, 0o644);
    assert!(matches!(run(&night).await.ending, Ending::Unfinished { .. }));
    let asked = night.world.asked().len();
    night.world.remove_file(READY);
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    assert_eq!(night.world.asked().len(), asked);
}
