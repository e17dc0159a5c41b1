//! A change whose answer is lost, and that only a person can tell.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uplift::{
    Catalogue,
    event::{Failure, Refusal},
    ports::{Observe, Operate},
    primitives::contract::{Back, Effect, Found, Read, Undone, WhenUnknown},
};

use super::{desk::Desk, golden};

/// Tell the load balancer.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TellBalancer {}

impl Effect for TellBalancer {
    const NAME: &'static str = "tell_balancer";
    type Intent = ();
    type Outcome = ();

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Ask
    }

    async fn intend(&self, _: Observe<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn result((): &()) -> String {
        "the balancer knows".to_owned()
    }

    fn summary((): &()) -> String {
        "tell the balancer to leave the site out".to_owned()
    }

    fn undo_summary((): &()) -> String {
        "tell the balancer to take the site in".to_owned()
    }

    async fn probe((): &(), _: Observe<'_>) -> Result<Found<()>, Failure> {
        Ok(Found::CannotTell("the balancer cannot be asked what it knows".to_owned()))
    }

    async fn execute((): &(), site: Operate<'_>) -> Result<(), Failure> {
        // A rehearsal has nobody to lose an answer.
        if site.run == "plan" {
            return Ok(());
        }
        Err(Failure::new("no_answer", "the balancer did not answer within 30 s").unknown())
    }

    async fn undo((): &(), _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::restored("told the balancer to take the site in"))
    }
}

/// Wait until a person lets the run go on.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitForGo {}

impl Read for WaitForGo {
    const NAME: &'static str = "wait_for_go";
    type Outcome = ();

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "wait until somebody says go".to_owned()
    }

    fn result((): &()) -> String {
        "somebody said go".to_owned()
    }

    async fn look(&self, site: Observe<'_>) -> Result<(), Failure> {
        while site.run != "plan" && site.files.size(HOLD.as_ref()).await? == Some(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

const HOLD: &str = "/srv/strata/hold";

/// A runbook that stops job, and waits.
pub(super) const HALF: &str = "/srv/strata/half.rhai";

const HALF_TEXT: &str = r#"
const RUNBOOK = #{ api: 1, summary: "start job again when somebody says go" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "wait" { wait_for_go(); }
step "start" { compose_up(#{ services: [site::job] }); }
"#;

pub(super) fn hold(desk: &Desk) {
    desk.world.put_file(HALF, HALF_TEXT, 0o644);
    desk.world.put_file(HOLD, "", 0o644);
}

/// What only looks at the rest of a run need not wait.
pub(super) fn planned(desk: &Desk) {
    desk.world.put_file(HOLD, "not for plans", 0o644);
}

pub(super) fn go(desk: &Desk) {
    desk.world.remove_file(HOLD);
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::stock().effect::<TellBalancer>().read::<WaitForGo>()
}

const RUNBOOK: &str = r#"
const RUNBOOK = #{
    api: 1,
    summary: "leave the site out of the balancer",
    params: #{
        note: #{ type: "text", initial: "none", help: "what to write beside it" },
        project: #{ type: "text", initial: "none", help: "a name that uplift itself uses as a flag" },
    },
};

step "settings" { env_set(#{ MAINTENANCE_NOTE: params::note }); }
step "balancer" { tell_balancer(); }
"#;

/// Web runs the new release on migrated databases, and then nobody knows.
const MOVED: &str = r#"
const RUNBOOK = #{ api: 1, summary: "switch web, and leave the site out of the balancer", on_failure: "undo" };

step "switch" {
    compose_pull(#{ tag: "1.1.0" });
    compose_stop(#{ services: [site::job, site::web], hold: true });
    pg_savepoint(#{ mode: "always" });
    compose_trial(#{ tag: "1.1.0" });
    env_set(#{ STRATA_VERSION: "1.1.0" });
    compose_up(#{ services: [site::web] });
}
step "balancer" { tell_balancer(); }
"#;

/// The way back asks about the data while the way forward still asks what was done: each answer finds its question.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_about_the_question_that_knows_it() {
    let desk = Desk::new();
    desk.world.put_file("/srv/strata/moved.rhai", MOVED, 0o644);
    let asked = desk.types("uplift run /srv/strata/moved.rhai -y").await;
    assert_eq!(asked.exit.code(), 9, "{}{}", asked.out, asked.err);
    let back = desk.types("uplift rollback -y").await;
    assert!(back.exit.code() == 7 && back.err.contains("--choose restore-data"), "{}{}", back.out, back.err);
    let wrong = desk.types("uplift rollback --choose nothing-of-it --reason tested -y").await;
    assert!(wrong.exit.code() == 2 && wrong.err.contains("restore-data"), "{}{}", wrong.out, wrong.err);
    let done = desk.types("uplift rollback --choose restore-data --reason tested -y").await;
    assert_eq!(done.exit.code(), 0, "{}{}", done.out, done.err);
}

/// Who has only looked what going back would cost can still answer what the run stands still for.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_way_back_leaves_the_way_forward_open() {
    let desk = Desk::new();
    desk.world.put_job("SendInvoice", Some("worker 7"));
    desk.types("uplift upgrade --to 1.1.0 -y").await;
    desk.world.advance(Duration::from_mins(9));
    let asked = desk.types("uplift rollback --restore-data always -y").await;
    assert_eq!(asked.exit.code(), 7, "{}", asked.page());
    let looked = desk.types("uplift rollback -y").await;
    golden("return_looked", &looked.page());
    for words in ["--choose restore-data", "--choose run", "--choose hold"] {
        assert!(looked.err.contains(words), "{}", looked.page());
    }
    let wrong = desk.types("uplift resume --choose rnu --reason tested").await;
    assert!(wrong.exit.code() == 2 && wrong.err.contains("jobs of the queue"), "{}", wrong.page());
    let done = desk.types("uplift resume --choose run --reason tested").await;
    assert_eq!(done.exit.code(), 0, "{}", done.page());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_only_a_person_can_tell() {
    let desk = Desk::new();
    desk.world.put_file("/srv/strata/out.rhai", RUNBOOK, 0o644);
    let typed = ["--note soon", "--param note=soon", "--param project=mine"];
    for params in typed {
        let plan = desk.types(&format!("uplift run /srv/strata/out.rhai {params} --dry-run")).await;
        assert_eq!(plan.exit.code(), 0, "{}{}", plan.out, plan.err);
    }
    for (name, line) in [
        ("ask_help", "uplift run /srv/strata/out.rhai --help"),
        ("ask_wrong_flag", "uplift run /srv/strata/out.rhai --nots soon -y"),
        ("ask_wrong_param", "uplift run /srv/strata/out.rhai --param nots=soon -y"),
        ("ask", "uplift run /srv/strata/out.rhai --note soon -y"),
        ("ask_status", "uplift status"),
        ("ask_no_reason", "uplift resume --outcome applied"),
        ("ask_applied", "uplift resume --outcome applied --reason I_looked"),
    ] {
        golden(name, &desk.types(line).await.page());
    }
}
