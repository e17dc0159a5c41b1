//! Where the laws are tried.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use uplift::{
    event::Teller,
    ports::{
        compose::Up,
        docker::{RemoveContainer, Stop},
        postgres::{CopyDatabase, Kept, Mark, Session},
    },
    primitives::contract::{Catalogue, Verb},
    sim::{Answers, Does, Manner, Notifier, Shape, ToldQuery, World},
    site::{Grants, Notify, Occasion, Site},
};

/// One way for a world to begin.
pub(super) struct Start {
    pub(super) name: &'static str,
    make: fn() -> World,
}

impl Start {
    /// The same world every time. What has a history is made once.
    pub(super) fn world(&self) -> World {
        static MADE: Mutex<BTreeMap<&str, World>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(self.name).or_insert_with(|| equipped(&(self.make)())).fork()
    }
}

/// A program that takes web out of a load balancer and in again.
const BALANCER: &str = "/usr/local/bin/haproxyctl";

/// A command that is told of runs.
const TELL: &str = "/usr/local/bin/tell-the-team";

/// With what the site's runbooks may reach besides.
fn equipped(world: &World) -> World {
    let drained = Path::new("/run/haproxy/drained-web").to_owned();
    let does = |word: &str| Does { args: Some([word, "web"].map(str::to_owned).to_vec()), ..Does::default() };
    world.put_program(
        BALANCER,
        &[
            Does { makes: vec![drained.clone()], ..does("drain") },
            Does { removes: vec![drained.clone()], ..does("enable") },
            Does { where_is: Some(drained), ..does("is-drained") },
            Does { code: 1, ..does("is-drained") },
        ],
    );
    let (drained, own) =
        (Path::new("/run/lb/drained-web").to_owned(), "https://lb.internal:8443/backends/web/");
    world.put_answers(&[
        Answers { makes: vec![drained.clone()], ..Answers::to("POST", own) },
        Answers { removes: vec![drained.clone()], ..Answers::to("DELETE", own) },
        Answers { where_is: Some(drained), ..Answers::to("GET", own) },
        Answers { status: 404, ..Answers::to("GET", own) },
    ]);
    world.put_file("/srv/strata/uplift/maintenance.html", "<p>{{ version }} comes</p>\n", 0o644);
    world.put_file("/srv/strata/maintenance.html", "<p>soon</p>\n", 0o600);
    let idle = serde_json::json!({ "idle": true });
    let sql = "select count(*) = 0 as idle from orders".to_owned();
    world.put_queries(&[ToldQuery { sql, rows: vec![idle], where_is: None }]);
    let kept = |word: &str| Does { args: Some(vec![word.to_owned()]), ..Does::default() };
    let held = Path::new("/srv/strata/held").to_owned();
    world.put_image("caddy:2", 48 << 20, true);
    world.put_tasks(
        "caddy:2",
        &[
            Does { makes: vec![held.clone()], stdout: "held\n".to_owned(), ..kept("hold") },
            Does { removes: vec![held], ..kept("let-go") },
        ],
    );
    world.put_file("/srv/strata/uplift/page/index.html", "<p>soon</p>\n", 0o644);
    done_with(world, "docker_run", RUN, |options| {
        options["name"] = "waiting-page".into();
        options["publish"] = serde_json::json!(["8081:80"]);
    });
    world.put_notifier(TELL, Notifier::Takes);
    world.put_variable("HAPROXY_TOKEN", "canary-of-the-balancer");
    // What was done so far is no write of the one that is tried.
    world.fork()
}

/// The stock primitives, and those once more whose one example is not all that they do.
pub(super) fn verbs() -> Vec<Verb> {
    let mut verbs: Vec<_> = Catalogue::stock().iter().cloned().collect();
    let mut task = verbs.iter().find(|verb| verb.name == "docker_run").expect("it is in stock").clone();
    task.example = serde_json::json!({
        "image": "caddy:2", "command": ["hold"], "undo": ["let-go"], "network": "project",
        "secrets": { "TOKEN": "env:HAPROXY_TOKEN" },
    });
    verbs.push(task);
    verbs
}

/// The site as its settings file grants things to its runbooks.
pub(super) fn site(world: &World) -> Site {
    let http = vec!["lb.internal:8443".to_owned()];
    let (command, on) = (vec![TELL.to_owned()], Occasion::ALL.to_vec());
    let notify = Some(Notify { command, webhook: None, on, timeout: Notify::TIMEOUT });
    let grants =
        Grants { exec: vec![BALANCER.into()], http, images: vec!["caddy:2".to_owned()], ..Grants::default() };
    Site { grants, notify, ..world.site() }
}

pub(super) const WORLDS: &[Start] = &[
    Start { name: "at 1.0.0", make: World::strata },
    Start { name: "set to 1.1.0", make: set },
    Start { name: "migrated and set to 1.1.0", make: migrated },
    Start { name: "upgraded to 1.1.0, with a backup and savepoints", make: upgraded },
    Start { name: "stopped, with a backup", make: stopped },
    Start { name: "stopped at 1.1.0, with savepoints", make: to_return },
    Start { name: "stopped before 1.1.0", make: before_a_trial },
    Start { name: "stopped, with a set loaded beside", make: loaded },
    Start { name: "nothing left but a backup", make: lost },
    Start { name: "stopped at 1.1.0, with savepoints and a set loaded beside", make: all_beside },
    Start {
        name: "stopped at 1.1.0 behind a proxy, with savepoints and a set loaded beside",
        make: behind_a_proxy,
    },
    Start { name: "web and job removed by hand", make: removed },
    Start { name: "job removed by hand behind a proxy", make: removed_behind_a_proxy },
];

/// Nothing in a world waits for anything but its own clock, so that whatever is asked of it is there at once.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("a world answers at once")
}

/// The run that tries what is tried.
const RUN: &str = super::trial::RUN;

/// As the stock primitive leaves it.
fn backed_up() -> World {
    backed_up_on(World::strata())
}

fn backed_up_on(world: World) -> World {
    done(&world, "backup", EARLIER);
    world
}

/// Nobody reaches web but a proxy on its network, and compose does not ask how it is.
fn proxied() -> World {
    World::shaped(&Shape { health_check: false, published: false, ..Shape::default() })
}

/// A stock primitive's example is executed.
fn done(world: &World, verb: &str, run: &str) {
    done_with(world, verb, run, |_| {});
}

/// The same with other options.
fn done_with(world: &World, verb: &str, run: &str, other: impl FnOnce(&mut serde_json::Value)) {
    let (ports, site, tell) = (world.ports(), site(world), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get(verb).expect("it is in stock");
    let mut options = verb.example.clone();
    other(&mut options);
    let call = verb.parse(options).expect("its example is one");
    let intent = at_once(call.intend(ports.observe(&site, run, &tell))).expect("it is decided on");
    let intent = intent.0.expect("it is an effect");
    let kept = verb.kept().expect("it is an effect");
    at_once(kept.execute(verb.version, intent, ports.operate(&site, run, &tell))).expect("it is made");
}

/// The run that these worlds have behind them.
const EARLIER: &str = "20261120-031500-0001";

/// An uploaded file that somebody deletes after the upgrade.
const DELETED: &str = "k5aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An upgrade that ended well: what ran before is on the host, and savepoints of the databases are on the server.
fn upgraded() -> World {
    upgraded_on(backed_up())
}

fn upgraded_on(world: World) -> World {
    world.upload(DELETED, "until the upgrade");
    rest(&world);
    done(&world, "storage_savepoint", EARLIER);
    let endpoint = world.site().databases.endpoint;
    let names: Vec<_> = world.site().databases.all.into_iter().map(|one| one.name).collect();
    for from in at_once(world.ports().postgres.databases(&endpoint, &names)).unwrap() {
        let mark = Mark {
            kind: Kept::Savepoint,
            of: from.name.clone(),
            run: EARLIER.to_owned(),
            made: "2026-11-20T03:20:00Z".to_owned(),
            expires: "2026-11-27T03:20:00Z".to_owned(),
            snapshot: at_once(world.ports().postgres.snapshot(&endpoint, &from.name)).unwrap(),
        };
        let to = Kept::Savepoint.name(&from.name, EARLIER);
        let copy = CopyDatabase { endpoint: endpoint.clone(), from, to, mark };
        at_once(world.ports().postgres.copy_database(&copy, &Teller::silent())).unwrap();
    }
    // A backup that was never finished, and one whose removal was not.
    for left in ["20261103-031500-00aa.partial", ".deleting-20261101-031500-00bb"] {
        world.put_file(format!("/srv/strata/.uplift/backups/{left}/config-0-env"), "A=1", 0o600);
    }
    // What runs of long ago have left, and a removal of it that was not finished.
    for run in super::record::LONG_AGO {
        world.put_file(format!("/srv/strata/.uplift/kept/{run}/before/0-env"), "A=1", 0o600);
        world.put_file(format!("/srv/strata/.uplift/logs/{run}.jsonl"), "{}\n", 0o600);
    }
    world.put_file("/srv/strata/.uplift/kept/.deleting-20260901-031500-00cc/before/0-env", "A=1", 0o600);
    world.pulled("1.1.0");
    world.set("STRATA_VERSION", "1.1.0");
    let services = vec!["web".to_owned(), "job".to_owned()];
    at_once(world.ports().compose.up(&Up { project: world.site().project, services })).unwrap();
    world.advance(Duration::from_mins(5));
    world.place_orders(25);
    world.remove_file(world.uploaded(DELETED));
    world
}

/// As a return stands once everything is stopped.
fn to_return() -> World {
    let world = upgraded();
    rest(&world);
    polled(&world);
    world
}

/// As a restore stands before the swap: a set is loaded into databases of its own, and somebody has edited the settings.
fn loaded() -> World {
    loaded_on(stopped())
}

/// The same after an upgrade: what one can return by is there as well.
fn all_beside() -> World {
    let world = upgraded();
    rest(&world);
    loaded_on(world)
}

fn behind_a_proxy() -> World {
    let world = upgraded_on(backed_up_on(proxied()));
    rest(&world);
    loaded_on(world)
}

/// The containers are gone, what they held is not.
fn removed() -> World {
    removed_on(stopped(), &["strata-web-1", "strata-job-1"])
}

fn removed_behind_a_proxy() -> World {
    let world = backed_up_on(proxied());
    rest(&world);
    removed_on(world, &["strata-job-1"])
}

fn removed_on(world: World, names: &[&str]) -> World {
    for one in world.containers().into_iter().filter(|one| names.contains(&one.name.as_str())) {
        let service = one.service().unwrap_or_default().to_owned();
        at_once(world.ports().docker.remove(&RemoveContainer { id: one.id, service })).unwrap();
    }
    world
}

fn loaded_on(world: World) -> World {
    done(&world, "compose_stop", RUN);
    done(&world, "pg_load", RUN);
    let beside = "/var/lib/docker/volumes/strata_strata_storage/beside";
    world.put_file(format!("{beside}/k1"), "one", 0o644);
    world.set("WEB_CONCURRENCY", "7");
    polled(&world);
    world
}

/// Containers, volumes, configuration and databases are gone; somebody has put the configuration back.
fn lost() -> World {
    let world = backed_up();
    let project = world.site().project;
    let files: Vec<_> = project.config_files().into_iter().map(|path| (world.file(&path), path)).collect();
    world.lose_everything();
    for (file, path) in files {
        let file = file.expect("it was there");
        world.put_file(path, file.bytes, file.mode);
    }
    world
}

/// Web and job were stopped by hand.
fn stopped() -> World {
    let world = backed_up();
    rest(&world);
    world
}

fn rest(world: &World) {
    for one in world.containers() {
        let service = one.service().unwrap_or_default().to_owned();
        at_once(world.ports().docker.stop(&Stop { id: one.id, service, timeout: None })).unwrap();
    }
}

/// As a run stands before the switch: the image is there, the settings ask for it, 1.0.0 runs.
fn set() -> World {
    let world = World::strata();
    world.pulled("1.1.0");
    world.set("STRATA_VERSION", "1.1.0");
    world
}

/// As a run stands before a trial: the image is there, and nobody writes any more.
fn before_a_trial() -> World {
    let world = World::strata();
    world.pulled("1.1.0");
    for container in world.containers() {
        world.edit_container(&container.name, |container| {
            container.state = uplift::ports::docker::State::Exited;
            container.exit_code = Some(0);
        });
    }
    polled(&world);
    world
}

/// Somebody else looks at the databases from time to time.
fn polled(world: &World) {
    let product = world.site().databases.all.into_iter().map(|one| one.name);
    let names: Vec<_> = product.flat_map(|name| [Kept::Restoring.name(&name, RUN), name]).collect();
    for database in names.into_iter().filter(|name| world.database(name).is_some()) {
        let session = Session {
            pid: 77,
            database,
            user: "exporter".to_owned(),
            application: "exporter".to_owned(),
            client: "192.0.2.7".to_owned(),
            state: "idle".to_owned(),
            query: "SELECT 1".to_owned(),
            seconds: 60,
            quiet_ms: 0,
        };
        world.put_session(session, Manner::ComesBack);
    }
}

/// The same on the new schema, as after a trial in the dark.
fn migrated() -> World {
    let world = set();
    let mut primary = world.database("strata_production").expect("the primary is there");
    let versions = primary.versions.get_or_insert_default();
    versions.extend(["20260703101500", "20260709083000"].map(str::to_owned));
    world.put_database(primary);
    world
}

/// The world that [`migrated`] describes is the one that the release itself makes.
#[tokio::test]
async fn the_migrated_world_is_what_the_release_makes() {
    let world = set();
    let up = Up { project: world.site().project, services: vec!["web".to_owned()] };
    world.ports().compose.up(&up).await.unwrap();
    world.advance(Duration::from_mins(1));
    let versions = |world: &World| world.database("strata_production").unwrap().versions;
    assert_eq!(versions(&world), versions(&migrated()));
}
