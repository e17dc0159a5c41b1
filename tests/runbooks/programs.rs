//! Runbooks that start programs of the operator's own.

use std::path::Path;

use uplift::{
    Ending, Event, Plan, World,
    event::ExitClass,
    journal::State,
    run::PlanEnd,
    sim::{Does, Fault},
};

use super::night::{Night, Told};

const BALANCER: &str = "/usr/local/bin/haproxyctl";
const DRAINED: &str = "/run/haproxy/drained-web";
const BOOK: &str = "/srv/strata/drain.rhai";
const TOKEN: &str = "canary-of-the-balancer";

const HEAD: &str = "const RUNBOOK = #{ api: 1, summary: \"drain\", on_failure: \"undo\" };\n\
                    const LB = \"/usr/local/bin/haproxyctl\";\n";
const DRAIN: &str = "exec(#{ command: [LB, \"drain\", \"web\"], probe: [LB, \"is-drained\", \"web\"], \
                     undo: [LB, \"enable\", \"web\"], secrets: #{ TOKEN: \"env:TOKEN\" } })";

/// A site with a balancer and this in a step of its runbook.
fn night(body: &str) -> Night {
    let night = Night::of(World::strata());
    let does = |word: &str| Does { args: Some([word, "web"].map(str::to_owned).to_vec()), ..Does::default() };
    night.world.put_program(
        BALANCER,
        &[
            Does { makes: vec![DRAINED.into()], stdout: format!("draining with {TOKEN}\n"), ..does("drain") },
            Does { removes: vec![DRAINED.into()], ..does("enable") },
            Does { where_is: Some(DRAINED.into()), ..does("is-drained") },
            Does { code: 1, ..does("is-drained") },
            Does { code: 4, stderr: format!("no backend for {TOKEN}\n"), ..does("fail") },
            Does { takes: "5m".parse().ok(), makes: vec![DRAINED.into()], ..does("hang") },
        ],
    );
    night.world.put_variable("TOKEN", TOKEN);
    night.settings("[grants]\nexec = [\"/usr/local/bin/haproxyctl\"]\n");
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

fn is_drained(night: &Night) -> bool {
    night.world.file(Path::new(DRAINED)).is_some()
}

fn commands(night: &Night) -> Vec<String> {
    let words = |command: String| command.replace("/usr/local/bin/haproxyctl ", "");
    night.world.started().into_iter().map(|one| words(one.command)).collect()
}

#[tokio::test]
async fn a_plan_starts_nothing_and_shows_the_command() {
    let night = night(&format!("{DRAIN}; exec(#{{ command: [LB, \"note\"] }});"));
    let plan = plan(&night).await;
    assert_eq!(plan.end, PlanEnd::Complete);
    let calls = &plan.steps[0].calls;
    let shell = calls[0].writes[0].shell.as_deref().unwrap();
    assert_eq!(shell, "(cd /srv/strata && TOKEN=\"$TOKEN\" /usr/local/bin/haproxyctl drain web)");
    assert_eq!(calls[0].undo.as_deref(), Some("run `/usr/local/bin/haproxyctl enable web`"));
    assert!(calls[1].undo.as_ref().unwrap().contains("cannot take it back"), "{calls:?}");
    let back = plan.going_back.unwrap();
    assert_eq!(back.ways[0].stays.len(), 1, "{back:?}");
    assert!(commands(&night).is_empty() && night.world.writes() == 0);
}

/// What a program answers is not known before it has run; what does not depend on it is planned on.
#[tokio::test]
async fn a_plan_ends_where_it_would_have_to_know_the_answer() {
    let night =
        night(&format!("let ran = {DRAIN}; print(ran.stdout); exec(#{{ command: [LB, \"note\"] }});"));
    let plan = plan(&night).await;
    let PlanEnd::Unknown { why } = &plan.end else { panic!("{:?}", plan.end) };
    assert_eq!(why, "what `/usr/local/bin/haproxyctl drain web` says is known once it is started");
    assert_eq!(plan.addresses(), ["balancer/exec#1"]);
    let told = run(&night).await;
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(commands(&night), ["drain web", "note"]);
    let said = format!("{:?}", told.events);
    assert!(said.contains("draining with [secret]") && !said.contains(TOKEN), "{said}");
    let (_, calls) = night.newest().await;
    let outcome = calls[0].attempts[0].value.clone().unwrap();
    assert_eq!(outcome["stdout"], "draining with [secret]\n");
    assert!(!calls[0].attempts[0].masked, "a resume can go past it");
}

#[tokio::test]
async fn what_is_not_granted_is_refused_with_the_line_to_add() {
    let night = night(DRAIN);
    for (settings, line) in [
        ("", "exec = [\"/usr/local/bin/haproxyctl\"]"),
        ("[grants]\nexec = [\"/bin/true\"]\n", "exec = [\"/bin/true\", \"/usr/local/bin/haproxyctl\"]"),
    ] {
        night.settings(settings);
        let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it is planned") };
        assert_eq!(failure.code, "not_granted");
        let hint = failure.hint.unwrap();
        assert!(hint.contains(line) && hint.contains("`/srv/strata/uplift.toml`"), "{hint}");
    }
    write(&night, "exec(#{ shell: \"haproxyctl drain web | tee log\" });");
    let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it is planned") };
    assert!(failure.hint.unwrap().contains("\"/bin/sh\""));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_while_it_is_planned() {
    let night = night(DRAIN);
    for (call, code) in [
        ("exec(#{ })", "bad_option"),
        ("exec(#{ command: [LB], shell: \"x\" })", "bad_option"),
        ("exec(#{ command: [\"haproxyctl\", \"drain\"] })", "bad_option"),
        ("exec(#{ command: [LB], env: #{ \"A B\": \"x\" } })", "bad_option"),
        ("exec(#{ command: [LB], undo: [LB], leaves_nothing: true })", "bad_option"),
        ("exec(#{ command: [LB], secrets: #{ A: \"env:NOT_SET\" } })", "secret_missing"),
        ("exec(#{ command: [LB], secrets: #{ A: \"setting:NOT_SET\" } })", "secret_missing"),
        ("exec(#{ command: [LB], secrets: #{ A: \"file:none\" } })", "secret_missing"),
        ("exec(#{ command: [LB], secrets: #{ A: \"file:open\" } })", "secret_unfit"),
    ] {
        night.world.put_file("/srv/strata/open", "abcdefgh\n", 0o644);
        write(&night, &format!("{call};"));
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, code, "{call}: {failure}");
        assert!(failure.hint.is_some(), "{call}: {failure}");
    }
    // Whoever writes the secret itself does not see it again.
    write(&night, "exec(#{ command: [LB], secrets: #{ A: \"hunter2-canary\" } });");
    let error = night.host().await.runbook(BOOK, &[].into()).await.err().expect("it is no reference");
    let failure = error.failure();
    assert!(failure.evidence[0].contains("`env:NAME`"), "{failure:?}");
}

#[tokio::test]
async fn secrets_come_from_where_they_are() {
    let night = night(
        "exec(#{ command: [LB, \"note\"], secrets: #{ A: \"file:uplift/token\", B: \"setting:DB_PASSWORD\", C: \"env:TOKEN\" } });",
    );
    night.world.put_file("/srv/strata/uplift/token", "of-the-file\n", 0o600);
    assert_eq!(run(&night).await.ending, Ending::Done);
    assert_eq!(night.world.started()[0].secrets, ["A", "B", "C"]);
    let all = night.record("SELECT group_concat(coalesce(intent, '') || coalesce(input, '')) FROM entry");
    assert!(all.contains("file:uplift/token"), "{all}");
    for secret in ["of-the-file", TOKEN, "battery"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test]
async fn a_code_that_is_not_fine_can_be_caught() {
    let night = night(
        "try { exec(#{ command: [LB, \"fail\", \"web\"], leaves_nothing: true }); } \
         catch (e) { print(`${e.code}`); } exec(#{ command: [LB, \"fail\", \"web\"], codes: [4], leaves_nothing: true });",
    );
    let told = run(&night).await;
    assert_eq!(told.ending, Ending::Done);
    let caught = |event: &Event| matches!(event, Event::Note { text, .. } if text == "exec_failed");
    assert!(told.events.iter().any(caught), "{:?}", told.events);
}

#[tokio::test]
async fn what_failed_is_taken_back_by_its_own_commands() {
    let night = night(&format!("{DRAIN}; exec(#{{ command: [LB, \"fail\", \"web\"] }});"));
    let told = run(&night).await;
    let Ending::TakenBack { failure, left } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "exec_failed");
    // The balancer was never told of the secret, but uplift was when the first command began.
    assert_eq!(failure.evidence, ["no backend for [secret]"]);
    assert!(left[0].contains("was left as it is"), "{left:?}");
    assert_eq!(commands(&night), ["drain web", "fail web", "enable web"]);
    assert!(!is_drained(&night));
}

#[tokio::test]
async fn a_lost_answer_is_looked_for() {
    for (fault, ends) in [(Fault::TimeoutAfter, "done"), (Fault::FailBefore, "taken back")] {
        let night = night(&format!("{DRAIN};"));
        night.world.fault_at("run /usr/local/bin/haproxyctl drain", fault);
        let ending = run(&night).await.ending;
        assert_eq!(matches!(ending, Ending::Done), ends == "done", "{fault:?}: {ending:?}");
        assert_eq!(is_drained(&night), ends == "done", "{fault:?}");
    }
}

#[tokio::test]
async fn whoever_hangs_is_asked_about_or_repeated() {
    let hang = |more: &str| format!("exec(#{{ command: [LB, \"hang\", \"web\"], timeout: \"10s\"{more} }});");
    let asks = night(&hang(""));
    let told = run(&asks).await;
    assert_eq!(told.ending.exit().code(), 9, "{:?}", told.ending);
    let question = told.ending.question().unwrap();
    assert!(question.found.iter().any(|line| line.contains("no `probe`")), "{question:?}");
    assert_eq!(asks.answer("applied").await.ending, Ending::Done);
    let looks = night(&hang(", probe: [LB, \"is-drained\", \"web\"]"));
    let told = run(&looks).await;
    assert!(
        matches!(told.ending, Ending::TakenBack { .. }),
        "the probe says that it was not done: {:?}",
        told.ending
    );
    assert_eq!(commands(&looks), ["hang web", "is-drained web"]);
}

/// A run that was killed while a program was at work goes on from what the probe says.
#[tokio::test]
async fn a_run_that_was_killed_goes_on() {
    for (drained, again) in [(true, false), (false, true)] {
        let night = night(&format!("{DRAIN};"));
        assert_eq!(run(&night).await.ending, Ending::Done);
        night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
        night.edit_record("UPDATE attempt SET state = 'started', value = NULL, ended_at = NULL");
        if !drained {
            night.world.remove_file(DRAINED);
        }
        assert_eq!(night.resume(None).await.ending, Ending::Done);
        assert_eq!(commands(&night).iter().filter(|one| *one == "drain web").count(), 1 + usize::from(again));
        let (_, calls) = night.newest().await;
        assert_eq!(calls[0].state, State::Succeeded);
        assert!(is_drained(&night));
    }
}

/// A program that will not take it back keeps nothing of the site down for ever.
#[tokio::test]
async fn whoever_cannot_be_taken_back_is_left_by_a_persons_word() {
    let stuck = "exec(#{ command: [LB, \"drain\", \"web\"], undo: [LB, \"fail\", \"web\"] });";
    let night =
        night(&format!("compose_stop(#{{ services: [site::job] }}); {stuck} fail(\"enough\", \"enough\");"));
    let told = run(&night).await;
    assert_eq!(told.ending.exit().code(), 7, "{:?}", told.ending);
    let question = told.ending.question().unwrap();
    assert!(question.text.contains("drain web"), "{question:?}");
    // Once more is tried once more.
    assert_eq!(night.rollback(None).await.ending.exit().code(), 7);
    let told = night.rollback(Some("leave")).await;
    let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
    assert!(left[0].contains("was left as it is"), "{left:?}");
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}

/// What leaves nothing leaves no doubt: a smoke test that hangs has failed.
#[tokio::test]
async fn whoever_leaves_nothing_and_hangs_has_failed() {
    let night = night("exec(#{ command: [LB, \"hang\", \"web\"], timeout: \"10s\", leaves_nothing: true });");
    let told = run(&night).await;
    assert_eq!(told.ending.exit(), ExitClass::Refused, "and nothing was changed: {:?}", told.ending);
}

/// A look is no change, whatever it finds: exit code 1, and there is nothing to take back.
#[tokio::test]
async fn whoever_leaves_nothing_and_fails_has_changed_nothing() {
    for (leaves_nothing, exit) in [(true, ExitClass::Refused), (false, ExitClass::TakenBack)] {
        let night = night(&format!(
            "exec(#{{ command: [LB, \"fail\", \"web\"], leaves_nothing: {leaves_nothing} }});"
        ));
        assert_eq!(run(&night).await.ending.exit(), exit, "{leaves_nothing}");
    }
}

/// What a program has done to the databases nobody knows: the savepoint before it is what the site goes on with.
#[tokio::test]
async fn what_a_program_may_have_written_goes_back_by_the_savepoint_before_it() {
    for (leaves_nothing, swapped) in [(false, true), (true, false)] {
        let night = night(&format!(
            "compose_stop(#{{ services: [site::job, site::web] }}); pg_savepoint(#{{ mode: \"always\" }});\n\
             exec(#{{ command: [LB, \"note\"], leaves_nothing: {leaves_nothing} }}); fail(\"own\", \"here\");"
        ));
        let before = night.world.running();
        let ending = run(&night).await.ending;
        assert!(matches!(ending, Ending::TakenBack { .. }), "{ending:?}");
        let aside = "rename strata_production to strata_production__failed_";
        let back = night.world.log().iter().any(|line| line.starts_with(aside));
        assert_eq!((back, night.world.running()), (swapped, before), "{leaves_nothing}");
    }
}

/// Whoever says that it was done has not seen how: the runbook gets the map that its page promises.
#[tokio::test]
async fn what_a_person_says_was_done_gives_what_is_known_of_it() {
    let night = night(
        "let hung = exec(#{ command: [LB, \"hang\", \"web\"], timeout: \"10s\" });\n\
         if hung.code != () || hung.stdout != \"\" { fail(\"heard\", hung.command); }",
    );
    assert_eq!(run(&night).await.ending.exit().code(), 9);
    assert_eq!(night.answer("applied").await.ending, Ending::Done);
}

/// A secret of several lines would be heard line by line, and known by none of them; a setting that is none is no secret.
#[tokio::test]
async fn a_secret_is_one_line_and_a_plain_setting_is_none() {
    let night = night("exec(#{ command: [LB, \"note\"], secrets: #{ A: \"file:uplift/key\" } });");
    night.world.put_file("/srv/strata/uplift/key", "-----BEGIN\nof-the-key\n-----END\n", 0o600);
    let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it has three lines") };
    assert_eq!(failure.code, "secret_unfit");
    write(
        &night,
        "exec(#{ command: [LB, \"note\"], secrets: #{ A: \"setting:APP_HOST\" } }); print(site::settings.APP_HOST);",
    );
    let told = run(&night).await;
    assert_eq!(told.ending, Ending::Done);
    let said = |event: &Event| matches!(event, Event::Note { text, .. } if text == "strata.example");
    assert!(told.events.iter().any(said), "{:?}", told.events);
}
