//! Runbooks that tell people something on the way, and chats that are told of runs.

use uplift::{
    Ending, Event, Plan, World,
    run::PlanEnd,
    sim::{Answers, Fault, Notifier},
    site::Occasion,
};

use super::night::{Night, Told};

const TELL: &str = "/usr/local/bin/tell-the-team";
const BOOK: &str = "/srv/strata/tell.rhai";
const HOOK: &str = "https://hooks.example.org/services/T0/canary-of-the-hook";
const BY_COMMAND: &str = "[notify]\ncommand = [\"tell-the-team\"]\n";
const BY_CHAT: &str = "[notify]\nwebhook = \"env:HOOK\"\n";

fn night(settings: &str, body: &str) -> Night {
    let night = Night::of(World::strata());
    night.world.put_notifier(TELL, Notifier::Takes);
    night.world.put_answers(&[
        Answers {
            status: 404,
            body: "no_team".to_owned(),
            ..Answers::to("POST", "https://hooks.example.org/gone")
        },
        Answers::to("POST", "https://hooks.example.org/"),
    ]);
    night.world.put_variable("HOOK", HOOK);
    night.settings(settings);
    write(&night, body);
    night
}

fn write(night: &Night, body: &str) {
    let head = "const RUNBOOK = #{ api: 1, summary: \"tell\" };\n";
    night.world.put_file(BOOK, format!("{head}step \"tell\" {{ {body} }}\n"), 0o644);
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

/// What a runbook has told the command.
fn messages(night: &Night) -> Vec<String> {
    let told = night.world.notices().into_iter().filter(|notice| notice.event == Occasion::Message);
    told.map(|notice| notice.message).collect()
}

fn warnings(told: &Told) -> String {
    let text = |event: &Event| match event {
        Event::Warning { text, .. } => Some(text.clone()),
        _ => None,
    };
    told.events.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

const STOP: &str = "compose_stop(#{ services: [site::job] });";

#[tokio::test]
async fn people_are_told_how_long_it_has_taken_so_far() {
    let body = format!("{STOP} notify(#{{ text: \"{{site}} {{run}}: stopped after {{took}}\" }});");
    let night = night(BY_COMMAND, &body);
    let planned = plan(&night).await;
    assert_eq!((&planned.end, night.world.notices().len()), (&PlanEnd::Complete, 0), "a plan tells nobody");
    let call = &planned.steps[0].calls[1];
    assert_eq!(call.summary, "tell the people of `[notify]`: {site} {run}: stopped after {took}");
    assert_eq!(run(&night).await.ending, Ending::Done);
    let (row, _) = night.newest().await;
    let told = messages(&night);
    assert!(
        told[0].starts_with(&format!("strata {}: stopped after ", row.id)) && told[0].ends_with(" s"),
        "{told:?}"
    );
    let notice = night.world.notices().into_iter().find(|one| one.event == Occasion::Message).unwrap();
    assert_eq!((notice.run, notice.runbook, notice.started), (row.id, row.runbook, row.started));
    assert_eq!((notice.result, notice.exit, notice.command.as_str()), (None, None, "uplift run"));
    assert!(notice.at > notice.started);
}

#[tokio::test]
async fn a_chat_of_the_runbook_s_own_needs_a_grant_and_shows_no_address() {
    let night = night("", "notify(#{ text: \"now\", webhook: \"env:HOOK\" });");
    let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("it is not granted") };
    assert_eq!(failure.code, "not_granted");
    assert!(failure.hint.unwrap().contains("http = [\"hooks.example.org\"]"));
    night.settings("[grants]\nhttp = [\"hooks.example.org\"]\n");
    let planned = plan(&night).await;
    let shell = planned.steps[0].calls[0].writes[0].shell.clone().unwrap();
    assert!(shell.contains("{\"text\":\"now\"}") && shell.ends_with("\"$HOOK\""), "{shell}");
    let told = run(&night).await;
    assert_eq!((&told.ending, night.world.posted()), (&Ending::Done, vec!["now".to_owned()]));
    assert_eq!(night.world.asked()[0].body.as_deref(), Some("{\"text\":\"now\"}"));
    let record = night.record("SELECT group_concat(coalesce(e.intent, '') || e.input || coalesce(a.value, '')) FROM entry e JOIN attempt a USING (run, seq)");
    let all = format!("{planned:?} {:?} {record}", told.events);
    assert!(all.contains("env:HOOK") && !all.contains("canary"), "{all}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_while_it_is_planned() {
    let night = night(BY_COMMAND, "");
    for (call, code, hint) in [
        ("text: \"{tok}\"", "bad_option", "did you mean `took`?"),
        ("text: \"{elapsed_minutes}\"", "bad_option", "known: `took`, `site`, `run`"),
        ("text: \" \"", "bad_option", "a line for people"),
        ("text: \"x\", webhook: \"https://other.example/\"", "not_granted", "other.example"),
        ("text: \"x\", webhook: \"other.example\"", "bad_option", "env:SLACK_WEBHOOK"),
        ("text: \"x\", webhook: \"env:NOT_SET\", must: true", "secret_missing", "export NOT_SET"),
    ] {
        write(&night, &format!("notify(#{{ {call} }});"));
        let PlanEnd::Fails { failure, .. } = plan(&night).await.end else { panic!("{call}") };
        assert_eq!(failure.code, code, "{call}: {failure:?}");
        assert!(failure.hint.as_ref().is_some_and(|said| said.contains(hint)), "{call}: {failure:?}");
    }
}

/// A site without `[notify]` runs the same runbooks.
#[tokio::test]
async fn that_nobody_could_be_told_is_a_warning_unless_it_must_be() {
    for (settings, webhook, said, code) in [
        ("", "", "`uplift.toml` names nobody who is told of runs", "nobody_listens"),
        (
            "[notify]\ncommand = [\"tell-the-team\"]\non = [\"end\"]\n",
            "",
            "leaves `message` out",
            "nobody_listens",
        ),
        ("[notify]\ncommand = [\"/none/tell\"]\n", "", "there is no `/none/tell`", "notifier_missing"),
        (
            "[notify]\nwebhook = \"env:GONE\"\n",
            "",
            "the chat in env:GONE answered with 404 and said: no_team",
            "webhook_refused",
        ),
        ("", ", webhook: \"env:NOT_SET\"", "without the variable `NOT_SET`", "secret_missing"),
    ] {
        let call = |must: &str| format!("{STOP} notify(#{{ text: \"x\"{webhook}{must} }});");
        let night = night(settings, &call(""));
        night.world.put_variable("GONE", "https://hooks.example.org/gone/canary-of-the-hook");
        let told = run(&night).await;
        assert_eq!(told.ending, Ending::Done, "{said}");
        assert!(warnings(&told).contains(said), "{said}: {}", warnings(&told));
        write(&night, &call(", must: true"));
        let told = run(&night).await;
        let Ending::TakenBack { failure, .. } = &told.ending else { panic!("{said}: {:?}", told.ending) };
        assert_eq!(failure.code, code, "{said}");
        assert!(!format!("{:?}", told.events).contains("canary"));
    }
}

#[tokio::test]
async fn what_was_told_is_not_told_again_and_what_is_in_doubt_is() {
    for (at, fault, times) in [("tell ", Fault::TimeoutAfter, 2), ("tell ", Fault::FailBefore, 1)] {
        let night = night(BY_COMMAND, &format!("{STOP} notify(#{{ text: \"x\", must: true }});"));
        night.world.put_file(BOOK, "const RUNBOOK = #{ api: 1, summary: \"tell\", on_failure: \"pause\" };\n\
            step \"tell\" { compose_stop(#{ services: [site::job] }); notify(#{ text: \"x\", must: true }); }", 0o644);
        night.world.fault_at(at, fault);
        assert!(matches!(run(&night).await.ending, Ending::Unfinished { .. } | Ending::NeedsPerson { .. }));
        assert_eq!(night.resume(None).await.ending, Ending::Done);
        assert_eq!(messages(&night).len(), times, "{fault:?}");
        assert_eq!(
            night.world.notices().iter().filter(|one| one.again).count(),
            3,
            "the second command tells it too"
        );
    }
}

/// Two lines of settings, and no script.
#[tokio::test]
async fn a_chat_of_the_settings_is_told_how_each_run_ended_and_how_long_it_took() {
    for (tag, words) in [("1.1.0", "strata: done ("), ("1.7.0", "strata: failed and was taken back (")] {
        let night = night(BY_CHAT, "");
        let told = night.upgrade(tag).await;
        let posted = night.world.posted();
        assert_eq!(posted.len(), 2, "{posted:?}");
        assert!(posted[0].contains(" begins: ") && posted[1].starts_with(words), "{posted:?}");
        assert!(posted[1].contains(", web away "), "{posted:?}");
        assert_eq!(warnings(&told).matches("told").count(), 0, "{}", warnings(&told));
        assert!(!format!("{:?}", told.events).contains("canary"));
        let zero = night.record("SELECT group_concat(CAST(bytes AS TEXT)) FROM blob");
        assert!(zero.contains("/srv/strata") && !zero.contains("canary") && !zero.contains("HOOK"), "{zero}");
    }
}

#[tokio::test]
async fn of_a_command_and_a_chat_the_one_is_told_where_the_other_fails() {
    let night = night("[notify]\ncommand = [\"tell-the-team\"]\nwebhook = \"env:NOT_SET\"\n", "");
    let plan = night.plan("1.1.0").await;
    let said = "not everybody will be told of this run: uplift was started without the variable `NOT_SET`";
    assert!(plan.warnings.iter().any(|text| text.starts_with(said)), "{:?}", plan.warnings);
    let told = night.upgrade("1.1.0").await;
    assert_eq!((&told.ending, night.world.notices().len()), (&Ending::Done, 2));
    assert_eq!(
        warnings(&told).matches("not everybody was told that this run").count(),
        2,
        "{}",
        warnings(&told)
    );
    night.settings("[notify]\nwebhook = \"file:hook\"\n");
    night.world.put_file("/srv/strata/hook", format!("{HOOK}\n"), 0o644);
    let plan = night.plan("1.1.1").await;
    assert!(plan.warnings.iter().any(|text| text.contains("may be read by others")), "{:?}", plan.warnings);
    night.world.put_file("/srv/strata/hook", format!("{HOOK}\n"), 0o600);
    night.upgrade("1.1.1").await;
    assert_eq!(night.world.posted().len(), 2);
}
