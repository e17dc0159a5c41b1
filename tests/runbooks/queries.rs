//! Runbooks that ask the databases, and wait for what they say.

use uplift::{Ending, Event, Plan, World, run::PlanEnd, sim::ToldQuery};

use super::night::{Night, Told};

const BOOK: &str = "/srv/strata/ask.rhai";
const IDLE: &str = "select count(*) = 0 as idle from imports";

fn night(body: &str) -> Night {
    let night = Night::of(World::strata());
    let secret = night.world.setting("DB_PASSWORD").unwrap();
    let told = |sql: &str, rows: serde_json::Value, where_is: Option<&str>| ToldQuery {
        sql: sql.to_owned(),
        rows: rows.as_array().unwrap().clone(),
        where_is: where_is.map(Into::into),
    };
    night.world.put_queries(&[
        told(IDLE, serde_json::json!([{ "idle": true }]), Some("/srv/strata/idle")),
        told(IDLE, serde_json::json!([{ "idle": false }]), None),
        told("select key from tokens", serde_json::json!([{ "key": secret }, { "key": "b" }]), None),
    ]);
    write(&night, body);
    night
}

fn write(night: &Night, body: &str) {
    let head = "const RUNBOOK = #{ api: 1, summary: \"ask\" };\n";
    night.world.put_file(BOOK, format!("{head}step \"ask\" {{ {body} }}\n"), 0o644);
}

async fn plan(night: &Night) -> Plan {
    night.host().await.runbook(BOOK, &[].into()).await.unwrap().plan().await
}

async fn run(night: &Night) -> Told {
    night.run(BOOK, &[]).await
}

fn notes(told: &Told) -> Vec<String> {
    let note = |event: &Event| match event {
        Event::Note { text, .. } => Some(text.clone()),
        _ => None,
    };
    told.events.iter().filter_map(note).collect()
}

const STOP: &str = "compose_stop(#{ services: [site::job] });";

#[tokio::test]
async fn an_answer_decides_in_a_plan_too() {
    let ask = "if sql_query(#{ sql: \"select count(*) as orders from orders;\" }).rows[0].orders > 0";
    let night = night(&format!("{ask} {{ print(\"some\"); {STOP} }}"));
    let planned = plan(&night).await;
    assert_eq!((planned.end.clone(), planned.notes.clone()), (PlanEnd::Complete, vec!["some".to_owned()]));
    assert_eq!(planned.addresses(), ["ask/sql_query#1", "ask/compose_stop#1"]);
    assert!(planned.steps[0].calls[0].assumed[0].contains("answered as it is now"), "{planned:?}");
    let told = run(&night).await;
    assert_eq!((told.ending.clone(), notes(&told)), (Ending::Done, vec!["some".to_owned()]));
}

#[tokio::test]
async fn rows_are_bounded_and_hold_no_secret() {
    let night = night(
        "let found = sql_query(#{ sql: \"select key from tokens\", limit: 1 }); print(`${found.rows} ${found.more}`);",
    );
    let said = notes(&run(&night).await).join("");
    assert!(said.contains("true"), "there are more: {said}");
    assert!(said.contains("[secret]") && !said.contains("battery"), "{said}");
    let record = night.record("SELECT value FROM attempt");
    assert!(record.contains("[secret]") && !record.contains("battery"), "{record}");
}

#[tokio::test]
async fn what_is_no_question_is_refused_while_it_is_planned() {
    let night = night("");
    for (call, code) in [
        ("sql_query(#{ sql: \"select pg_terminate_backend(1) as gone\" })", "query_refused"),
        ("sql_query(#{ sql: \"delete from orders\" })", "query_failed"),
        ("sql_query(#{ sql: \"select 1 as one\", database: \"primry\" })", "bad_option"),
        ("sql_query(#{ sql: \"select 1 as one\", limit: 0 })", "bad_option"),
        ("wait_until(#{ sql: \"select count(*) as orders from orders\" })", "query_refused"),
        ("wait_until(#{ sql: \"select count(*) as orders from orders\", every: \"10ms\" })", "bad_option"),
    ] {
        write(&night, &format!("{call}; {STOP}"));
        let end = plan(&night).await.end;
        let PlanEnd::Fails { failure, .. } = end else { panic!("{call}: {end:?}") };
        assert_eq!(failure.code, code, "{call}: {failure:?}");
        assert!(failure.hint.is_some(), "{call}: {failure:?}");
    }
}

/// A plan says that it would wait, and goes on.
#[tokio::test]
async fn a_wait_ends_when_it_is_so_or_its_time_is_over() {
    let wait =
        format!("wait_until(#{{ sql: \"{IDLE}\", what: \"no import runs\", timeout: \"1m\" }}); {STOP}");
    let night = night(&wait);
    let planned = plan(&night).await;
    assert_eq!(planned.end, PlanEnd::Complete);
    let call = &planned.steps[0].calls[0];
    assert_eq!(call.summary, "wait until no import runs, for 1m at most");
    assert!(call.assumed.iter().any(|text| text == "it comes: no import runs"), "{call:?}");
    let begun = night.host().await.now();
    let told = run(&night).await;
    let Ending::Refused { failure } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "wait_over");
    let waited = night.host().await.now().duration_since(begun).as_secs();
    assert!((60..70).contains(&waited), "{waited} s");
    night.world.put_file("/srv/strata/idle", "", 0o644);
    assert_eq!(run(&night).await.ending, Ending::Done);
}

/// A runbook that only waits has something to do as well.
#[tokio::test]
async fn who_only_waits_does_not_say_that_nothing_is_needed() {
    let wait = format!("wait_until(#{{ sql: \"{IDLE}\", what: \"no import runs\", timeout: \"1m\" }});");
    let night = night(&wait);
    assert_eq!(plan(&night).await.end, PlanEnd::Complete);
    let told = run(&night).await;
    let Ending::Refused { failure } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "wait_over");
}
