//! Who is told of a run, what, and that the run is the same whatever becomes of that.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use uplift::{
    Ending, Event, Failure, World,
    journal::{Folder, Reader},
    ports::{
        Ports,
        notices::{GiveNotice, Notice, Notices, NoticesRead, PostNotice},
    },
    sim::{Exit, Fault, Notifier, Release},
    site::{Notify, Occasion},
};

use super::night::{Night, Told, given, told};

const TELL: &str = "/usr/local/bin/tell-the-team";

/// A site whose team wants to be told.
fn night(does: Notifier) -> Night {
    let night = Night::of(World::strata());
    night.world.put_notifier(TELL, does);
    night.settings("[notify]\ncommand = [\"tell-the-team\", \"--room\", \"ops\"]\n");
    night
}

/// e.g. `start: -`, `end: done 0`.
fn heard(night: &Night) -> Vec<String> {
    let line = |one: &Notice| match (&one.result, one.exit) {
        (Some(result), Some(exit)) => format!("{}: {result} {exit}", one.event.as_str()),
        _ => format!("{}: -", one.event.as_str()),
    };
    night.world.notices().iter().map(line).collect()
}

fn warnings(told: &Told) -> Vec<&str> {
    let text = |event: &'_ Event| matches!(event, Event::Warning { text, .. } if text.contains("nobody"));
    told.events
        .iter()
        .filter(|event| text(event))
        .map(|event| match event {
            Event::Warning { text, .. } => text.as_str(),
            _ => "",
        })
        .collect()
}

#[tokio::test]
async fn a_run_is_told_at_its_beginning_and_its_end() {
    let night = night(Notifier::Takes);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    assert_eq!(heard(&night), ["start: -", "end: done 0"]);
    let told = night.world.notices();
    let (row, _) = night.newest().await;
    let (first, last) = (&told[0], &told[1]);
    assert_eq!((first.run.as_str(), first.site.as_str()), (row.id.as_str(), "strata"));
    assert_eq!((first.command.as_str(), first.again, first.started), ("uplift upgrade", false, row.started));
    assert_eq!(
        first.message,
        format!("strata: run {} begins: `uplift upgrade` by {}", row.id, uplift::who())
    );
    assert!(first.next[0].starts_with("uplift -C /srv/strata --state "), "{:?}", first.next);
    assert!(first.next[0].ends_with(&format!("show {} --follow", row.id)), "{:?}", first.next);
    let told = last.message.strip_prefix("strata: done (").expect("how it ended comes first");
    let times = told.strip_suffix("): `uplift upgrade`").expect("and the command last");
    let words: Vec<_> = times.split(", ").map(|one| one.split_once(char::is_numeric).unwrap().0).collect();
    assert_eq!(words, ["", "web away ", "job away "], "{times}");
    assert_eq!(last.away_ms.keys().collect::<Vec<_>>(), ["job", "web"]);
    assert!(last.away_ms["job"] > last.away_ms["web"] && last.away_ms["web"] > 1000, "{:?}", last.away_ms);
    assert!(last.away_since.is_empty() && last.at > first.at, "{last:?}");
    assert_eq!(night.runs(), "1.1.0 1.1.0");
}

/// The fields are an interface: others read them by their names.
#[tokio::test]
async fn the_fields_of_a_notice_stay() {
    let night = night(Notifier::Takes);
    night.upgrade("1.7.0").await;
    let last = serde_json::to_value(night.world.notices().pop().unwrap()).unwrap();
    let names: Vec<_> = last.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names.join(" "),
        "again at away_ms away_since by code command event exit folder host message next notice result run runbook \
         site started"
    );
    assert_eq!((last["notice"].as_u64(), last["event"].as_str()), (Some(1), Some("end")));
    assert_eq!((last["result"].as_str(), last["exit"].as_u64()), (Some("taken_back"), Some(6)));
    assert_eq!(last["code"], "container_died");
    let message = last["message"].as_str().unwrap();
    assert!(
        message.starts_with("strata: failed and was taken back (")
            && message.contains(", web away ")
            && message.contains("): `uplift upgrade`: the trial's container of `web` died"),
        "{message}"
    );
}

#[tokio::test]
async fn every_way_to_stand_still_or_end_is_told() {
    let night = night(Notifier::Takes);
    night.upgrade("1.6.0").await;
    assert_eq!(heard(&night), ["start: -", "question: needs_person 7"]);
    let asked = night.world.notices().pop().unwrap();
    let run = &asked.run;
    assert!(
        asked.next.iter().any(|line| line.ends_with(&format!("rollback {run} --choose stay --reason TEXT")))
    );
    assert!(asked.away_since.contains_key("job"), "{asked:?}");
    assert!(asked.message.contains(", job away since 0"), "{}", asked.message);
    night.rollback(Some("return-code")).await;
    assert_eq!(heard(&night)[2..], ["start: -", "end: rolled_back 0"]);
    let again = &night.world.notices()[2];
    assert!(
        again.again && again.message.contains("is taken up again: `uplift rollback`"),
        "{}",
        again.message
    );
    night.world.fault(32, Fault::LosesLock);
    night.upgrade("1.1.1").await;
    assert_eq!(heard(&night)[4..], ["start: -", "end: unfinished 9"]);
    let stopped = night.world.notices().pop().unwrap();
    assert_eq!(stopped.code.as_deref(), Some("lock_lost"));
    let verbs: Vec<_> = stopped.next.iter().filter_map(|line| line.rsplit(' ').nth(1)).collect();
    assert_eq!(verbs, ["resume", "rollback"]);
    night.resume(None).await;
    night.run("compose/backup", &[]).await;
    assert_eq!(heard(&night)[6..], ["start: -", "end: done 0", "start: -", "end: done 0"]);
}

#[tokio::test]
async fn a_run_that_is_stopped_before_it_changes_anything_is_told() {
    let night = night(Notifier::Takes);
    let upgrade = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let mut run = upgrade.start(upgrade.plan().await, "uplift upgrade").await.unwrap();
    run.cancel().cancel();
    while run.next().await.is_some() {}
    assert_eq!(run.ended().await, Ending::Interrupted);
    assert_eq!(heard(&night), ["start: -", "end: interrupted 130"]);
}

#[tokio::test]
async fn only_what_was_asked_for_is_told() {
    let night = night(Notifier::Takes);
    night.settings("[notify]\ncommand = [\"tell-the-team\"]\non = [\"question\"]\n");
    night.upgrade("1.6.0").await;
    night.rollback(Some("stay")).await;
    night.upgrade("1.1.0").await;
    assert_eq!(heard(&night), ["question: needs_person 7"]);
}

#[tokio::test]
async fn what_begins_nothing_is_told_to_nobody() {
    let night = night(Notifier::Takes);
    night.plan("1.1.0").await;
    let host = night.host().await;
    host.status().await;
    host.places().await.unwrap();
    night.world.hold_lock("uplift 20261124-031500-7f3a ann@web2");
    night.try_upgrade("1.1.0").await.err().expect("another machine holds it");
    night.world.lose_lock();
    let upgrade = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let plan = upgrade.plan().await;
    night.world.set("APP_HOST", "elsewhere.example");
    upgrade.start(plan, "uplift upgrade").await.expect_err("the plan is stale");
    assert!(night.world.notices().is_empty(), "{:?}", heard(&night));
}

/// A run on a site where nobody is told is the measure.
#[tokio::test]
async fn whatever_becomes_of_a_notice_the_run_is_the_same() {
    for tag in ["1.1.0", "1.7.0", "1.6.0"] {
        let silent = Night::of(World::strata());
        let measure = silent.upgrade(tag).await;
        for (does, said) in [
            (Some(Notifier::Takes), ""),
            (Some(Notifier::Fails), "exit code 3 and said: the room is closed"),
            (Some(Notifier::Hangs), "was still at work after 10s, and was ended"),
            (None, "there is no `tell-the-team` in `PATH`: correct `command`"),
        ] {
            let night = night(does.unwrap_or_default());
            if does.is_none() {
                night.world.remove_file(TELL);
            }
            let plan = night.plan(tag).await;
            let warned = plan.warnings.iter().any(|text| text.starts_with("nobody will be told of this run"));
            assert_eq!(warned, does.is_none(), "{:?}", plan.warnings);
            let told = night.upgrade(tag).await;
            let kinds = |told: &Told| {
                let kind = |event: &Event| std::mem::discriminant(event);
                let own = |event: &&Event| !matches!(event, Event::Warning { .. });
                told.events.iter().filter(own).map(kind).collect::<Vec<_>>()
            };
            assert_eq!(
                (kinds(&told), told.ending.exit()),
                (kinds(&measure), measure.ending.exit()),
                "{tag} {does:?}"
            );
            assert_eq!(night.runs(), silent.runs(), "{tag} {does:?}");
            assert_eq!(night.world.log().len(), silent.world.log().len(), "{tag} {does:?}");
            let lines = warnings(&told);
            assert_eq!(lines.len(), if said.is_empty() { 0 } else { 2 }, "{tag} {does:?}: {lines:?}");
            assert!(lines.iter().all(|line| line.contains(said)), "{tag} {does:?}: {lines:?}");
        }
    }
}

/// Looks at the site in the moment in which somebody is told.
struct Looks {
    world: World,
    state: std::path::PathBuf,
    seen: Mutex<Vec<(Occasion, bool)>>,
}

#[async_trait::async_trait]
impl NoticesRead for Looks {
    async fn ready(&self, _: &Notify, _: &Path) -> Result<(), Failure> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl Notices for Looks {
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure> {
        let folder = Folder::find(&self.state).unwrap();
        let holder = Reader::open(&folder).unwrap().unwrap().holder();
        let free = holder.is_none() && self.world.lock_holder().is_none();
        self.seen.lock().unwrap().push((request.notice.event, free));
        Ok(())
    }

    async fn post(&self, _: &PostNotice) -> Result<(), Failure> {
        Ok(())
    }
}

/// The next run may begin while the command is still told how this one has ended.
#[tokio::test]
async fn whoever_is_told_of_the_end_finds_the_site_free() {
    let night = night(Notifier::Takes);
    let looks = Looks { world: night.world.clone(), state: night.folder(), seen: Mutex::default() };
    let looks = Arc::new(looks);
    let ports = Ports { notices: looks.clone(), ..night.world.ports() };
    let upgrade = night.host_on(ports).await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let run = upgrade.start(upgrade.plan().await, "uplift upgrade").await.unwrap();
    assert_eq!(told(run).await.ending, Ending::Done);
    assert_eq!(*looks.seen.lock().unwrap(), [(Occasion::Start, false), (Occasion::End, true)]);
}

/// What a release says when it ends may hold anything, and so may the command itself.
#[tokio::test]
async fn no_secret_is_told() {
    let night = night(Notifier::Takes);
    let password = night.world.setting("DB_PASSWORD").unwrap();
    let mut release = Release::new("6.6.6", &[]);
    let lines = vec![format!("cannot connect with {password}")];
    release.exits = Some(Exit { code: 1, lines, after: std::time::Duration::ZERO });
    night.world.push(release);
    let upgrade = night.host().await.runbook("compose/upgrade", &given("6.6.6")).await.unwrap();
    let typed = format!("uplift upgrade --to 6.6.6 --param x={password}");
    told(upgrade.start(upgrade.plan().await, &typed).await.unwrap()).await;
    let heard = night.world.notices();
    assert_eq!(heard.len(), 2);
    for notice in &heard {
        let all = format!("{} {:?}", serde_json::to_string(notice).unwrap(), notice.variables());
        assert!(!all.contains(&password) && all.contains("x=[secret]"), "{all}");
    }
}

/// An address to which notices go has a key in it, as a rule.
#[tokio::test]
async fn the_command_s_own_arguments_are_shown_nowhere() {
    let night = night(Notifier::Fails);
    let address = "https://chat.example/hooks/T0123/B4567";
    night.settings(&format!("[notify]\ncommand = [\"{TELL}\", \"{address}\"]\n"));
    let host = night.host().await;
    assert_eq!(host.scrubber().scrub(address), "[secret]");
    let upgrade = host.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let plan = upgrade.plan().await;
    let shown = format!("{} {:?}", serde_json::to_string(&plan).unwrap(), host.site());
    let told = told(upgrade.start(plan, "uplift upgrade").await.unwrap()).await;
    assert_eq!(warnings(&told).len(), 2);
    assert!(!format!("{shown} {:?}", told.events).contains("T0123"));
    let zero = night.record("SELECT group_concat(CAST(bytes AS TEXT)) FROM blob");
    assert!(zero.contains("/srv/strata") && !zero.contains("T0123"), "{zero}");
}

/// Whoever may write the file would say what is executed in another's name.
#[tokio::test]
async fn a_settings_file_that_everybody_may_write_names_no_command() {
    let night = night(Notifier::Takes);
    let text = format!("[notify]\ncommand = [\"{TELL}\"]\n");
    night.world.put_file("/srv/strata/uplift.toml", text, 0o666);
    let failure = night.try_host().await.err().expect("refused").failure();
    assert_eq!(failure.code, "settings_invalid");
    assert_eq!(failure.hint.as_deref(), Some("`chmod o-w /srv/strata/uplift.toml`"));
}
