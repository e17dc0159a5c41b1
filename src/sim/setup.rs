//! A ready site to begin with.

mod texts;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    compose::{Model, ServiceModel},
    disk::{Disk, FileSystem},
    engine::Host,
    faults::Faults,
    hidden,
    kept::Keeper,
    registry::{Exit, Registry, Release, WebHealth},
    server::{Db, Lock, Server},
    state::{State, Writer},
    trees::{checksum, place},
    watched::Onlooker,
    world::World,
};
use crate::{
    ports::{
        docker::Engine,
        files::{File, Space},
        postgres::{Blob, DumpClient, Extension},
    },
    site::Project,
};

pub(super) const REPOSITORY: &str = "registry.example/strata/server";
const FOLDER: &str = "/srv/strata";
const GIB: u64 = 1 << 30;

const MIGRATIONS: [&str; 3] = [
    "20260105090000_create_accounts.rb",
    "20260105090100_create_projects.rb",
    "20260212140000_add_archived_at_to_projects.rb",
];
/// Files that users have uploaded: their keys.
const UPLOADS: [&str; 12] = [
    "0k3x7avh1m4qz8w2",
    "1p9c5rty6u0bn3ls",
    "2h8d4fgk7j1xv6mq",
    "3w2e9rty5u8io0pa",
    "4s6d1fgh3j7kl9zx",
    "5c8v2bnm4q0we6rt",
    "6y1u7iop9a3sd5fg",
    "7h4j0klz2x8cv6bn",
    "8m5q3wer1t9yu7io",
    "9p2a6sdf0g4hj8kl",
    "ab7z1xcv5b3nm9qw",
    "cd0e8rty4u6io2pa",
];
const NEWER: [&str; 2] = ["20260703101500_create_webhooks.rb", "20260709083000_add_plan_to_accounts.rb"];

/// Of 1.3.0: the second one raises.
const EXPORTS: [&str; 2] = ["20260720080000_create_exports.rb", "20260720080100_add_kind_to_exports.rb"];
const ORDERS: &str = "20260801120000_backfill_orders.rb";
const PROJECTS: &str = "20260820100000_backfill_projects.rb";

/// How a site's compose file looks, where sites differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The worker's service, `None` where web does its work.
    pub job: Option<String>,
    pub health_check: bool,
    /// Web's port is bound on the host; else a proxy reaches it on its network.
    pub published: bool,
    /// The database server is a container of the project, under this service's name, and no port of it is published.
    pub database: Option<String>,
}

impl Default for Shape {
    /// The vendor's newest: `web` and `job`, with a health check.
    fn default() -> Self {
        Self { job: Some("job".to_owned()), health_check: true, published: true, database: None }
    }
}

/// The site before its first start.
pub(super) fn strata(shape: &Shape) -> State {
    let model = model(shape);
    State {
        now: days_before(NIGHT.parse().unwrap_or_default()),
        made: 0,
        disk: disk(&model, shape),
        host: host(),
        registry: registry(),
        model,
        server: server(),
        way: None,
        faults: Faults::default(),
        elsewhere: BTreeMap::new(),
        writer: Writer::default(),
        told: super::notices::Told::default(),
        tools: super::programs::Tools::default(),
        services: super::requests::Elsewhere::default(),
        queries: Vec::new(),
        tasks: BTreeMap::new(),
        keeper: Keeper::default(),
        onlooker: Onlooker::default(),
    }
}

/// Web and job come up as compose would bring them, four days ago.
pub(super) fn start(world: &World) {
    world.pulled("1.0.0");
    let mut state = world.lock();
    if let Some(name) = state.database_service() {
        state.start_database(&name);
    }
    // Web comes before its worker, whatever that is called.
    let mut services: Vec<_> = state.model.services.keys().cloned().collect();
    services.sort_by_key(|name| name != "web");
    for service in &services {
        let config = state.service_config(service);
        let Some(config) = config else { continue };
        let reference = config.image.clone().unwrap_or_default();
        let Some(image) = state.host.image(&reference).map(|image| image.id.clone()) else { continue };
        let id = state.create(service, &config, &image);
        // It was just made: it cannot be missing.
        let _started = state.start(&id);
    }
    state.pass(Duration::from_hours(DAYS * 24));
}

/// The night on which the tests play.
const NIGHT: &str = "2026-11-24T03:15:00Z";
/// For so many days the site runs already.
const DAYS: u64 = 4;

/// When the site was started that a world of this moment has.
pub(super) fn days_before(moment: Timestamp) -> Timestamp {
    let hours = i64::try_from(DAYS * 24).unwrap_or_default();
    moment.checked_sub(jiff::SignedDuration::from_hours(hours)).unwrap_or(moment)
}

fn disk(model: &Model, shape: &Shape) -> Disk {
    let mut disk = Disk::default();
    let system = |at: &str, free: u64, device: u64| FileSystem {
        at: at.into(),
        space: Space { free: free * GIB, total: 100 * GIB, device, network: false },
    };
    disk.systems = vec![system("/", 40, 1), system("/var/lib/docker", 30, 2)];
    disk.make_folders(FOLDER.as_ref(), 0o755);
    let folder = PathBuf::from(FOLDER);
    let file = |text: &str, mode| File { bytes: text.as_bytes().to_vec(), mode, uid: 1000, gid: 1000 };
    disk.files
        .insert(folder.join(".env"), file(&texts::env(shape.database.as_deref().unwrap_or(SERVER)), 0o600));
    disk.files.insert(folder.join("docker-compose.yml"), file(&texts::compose_file(model), 0o644));
    let volume = PathBuf::from(mount_point());
    disk.make_folders(&volume, 0o755);
    for key in UPLOADS {
        let path = volume.join(place(key));
        disk.make_folders(path.parent().unwrap_or(&volume), 0o755);
        disk.files.insert(path, file(&upload(key), 0o644));
    }
    disk
}

/// What a user has uploaded under a key.
fn upload(key: &str) -> String {
    format!("upload {key}\n").repeat(20 + usize::from(key.as_bytes()[0]))
}

const VOLUME: &str = "strata_strata_storage";

fn mount_point() -> String {
    format!("/var/lib/docker/volumes/{VOLUME}/_data")
}

/// Where the database server is, unless it is in a container.
const SERVER: &str = "db.example";
const PASSWORD: &str = "correct horse #7 battery";

fn host() -> Host {
    Host {
        engine: Engine {
            version: "24.0.7".to_owned(),
            api_version: "1.43".to_owned(),
            root: "/var/lib/docker".to_owned(),
            rootless: false,
            kind: "Docker Engine".to_owned(),
            local: true,
        },
        reachable: true,
        logs_lost: false,
        images: BTreeMap::new(),
        instances: BTreeMap::new(),
        volumes: [(VOLUME.to_owned(), mount_point())].into(),
        files: BTreeMap::new(),
    }
}

fn registry() -> Registry {
    let mut registry = Registry { reachable: true, ..Registry::default() };
    let newer = [&MIGRATIONS[..], &NEWER[..]].concat();
    let with = |more: &[&'static str]| [&newer[..], more].concat();
    let ends = |after: u64, line: &str| {
        Some(Exit { code: 1, lines: vec![line.to_owned()], after: Duration::from_millis(after) })
    };
    let slow = |file: &str, seconds: u64| Some((file.to_owned(), Duration::from_secs(seconds)));
    let releases = [
        Release::new("1.0.0", &MIGRATIONS),
        Release::new("1.1.0", &newer),
        Release::new("1.1.1", &newer),
        Release { web: WebHealth::Never, ..Release::new("1.2.0", &newer) },
        Release { raises: Some(EXPORTS[1].to_owned()), ..Release::new("1.3.0", &with(&EXPORTS)) },
        Release { slow: slow(ORDERS, 90), ..Release::new("1.4.0", &with(&[ORDERS])) },
        Release {
            web_exits: ends(5_000, "bin/rails: stack level too deep (SystemStackError)"),
            purges: true,
            ..Release::new("1.5.0", &with(&["20260810090000_create_reports.rb"]))
        },
        Release {
            job_exits: ends(2_000, "bin/jobs: uninitialized constant Strata::Exports (NameError)"),
            ..Release::new("1.6.0", &newer)
        },
        Release {
            exits: ends(200, "bin/rails: cannot load such file -- strata/license (LoadError)"),
            ..Release::new("1.7.0", &newer)
        },
        Release {
            job_exits: ends(2_000, "bin/jobs: uninitialized constant Strata::Invoices (NameError)"),
            ..Release::new("1.8.0", &with(&["20260815090000_create_invoices.rb"]))
        },
        Release {
            slow: slow(PROJECTS, 600),
            one_statement: true,
            ..Release::new("1.9.0", &with(&[PROJECTS]))
        },
    ];
    for release in releases {
        registry.push(REPOSITORY, release, 0);
    }
    registry
}

fn model(shape: &Shape) -> Model {
    let service = |command: &[&str], prepare: &str| ServiceModel {
        image: format!("{REPOSITORY}:${{STRATA_VERSION:-latest}}"),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        environment: [("STRATA_RUN_DB_PREPARE".to_owned(), prepare.to_owned())].into(),
        port: None,
        has_healthcheck: false,
        depends_on: Vec::new(),
        takes_env_file: true,
        profiles: Vec::new(),
    };
    let web = ServiceModel {
        port: shape.published.then(|| ("${PORT:-3000}".to_owned(), 80)),
        has_healthcheck: shape.health_check,
        ..service(&[], "true")
    };
    let job = ServiceModel { depends_on: vec!["web".to_owned()], ..service(&["./bin/jobs"], "false") };
    let job = shape.job.clone().map(|name| (name, job));
    let database = ServiceModel {
        image: hidden::DATABASE.to_owned(),
        takes_env_file: false,
        environment: BTreeMap::new(),
        ..service(&[], "")
    };
    let database = shape.database.clone().map(|name| (name, database));
    Model {
        project: Project {
            name: "strata".to_owned(),
            dir: FOLDER.into(),
            files: vec![PathBuf::from(FOLDER).join("docker-compose.yml")],
            env_files: Vec::new(),
            profiles: Vec::new(),
        },
        version: semver::Version::new(2, 26, 1),
        services: [("web".to_owned(), web)].into_iter().chain(job).chain(database).collect(),
        volumes: [("strata_storage".to_owned(), "/rails/storage".to_owned())].into(),
    }
}

fn server() -> Server {
    let versions: Vec<_> = MIGRATIONS.iter().map(|name| &name[..14]).collect();
    let blobs = UPLOADS.len() as u64;
    let mut primary = Db::new(
        "strata_production",
        "strata",
        &versions,
        &[("accounts", 42), ("projects", 380), ("orders", 1_204 - blobs), ("active_storage_blobs", blobs)],
    );
    primary.blobs = UPLOADS.iter().map(|key| blob(key, upload(key).as_bytes())).collect();
    // What a copy does not take along, and somebody would miss.
    primary.facts.acl = ["=T/strata", "strata=CTc/strata", "grafana=c/strata"].map(str::to_owned).to_vec();
    primary.facts.settings = vec!["statement_timeout=30s".to_owned()];
    primary.facts.comment = Some("Strata, do not touch".to_owned());
    let extension = |name: &str| Extension {
        name: name.to_owned(),
        version: "1.6".to_owned(),
        schema: "public".to_owned(),
        trusted: true,
    };
    primary.facts.extensions = vec![extension("citext"), extension("pg_trgm")];
    primary.large_objects = 2;
    let extra = |name: &str, tables: &[(&str, u64)]| {
        Db::new(&format!("strata_production_{name}"), "strata", &["1"], tables)
    };
    // Every server has it; the product has nothing in it.
    let maintenance = Db { versions: None, ..Db::new("postgres", "postgres", &[], &[]) };
    let all = [
        primary,
        extra("queue", &[("solid_queue_jobs", 17)]),
        extra("cache", &[("solid_cache_entries", 230)]),
        extra("cable", &[("solid_cable_messages", 3)]),
    ];
    let mut server = Server {
        host: SERVER.to_owned(),
        port: 5432,
        user: "strata".to_owned(),
        password: PASSWORD.to_owned(),
        reachable: true,
        version_num: 150_018,
        version: "15.18 (Debian 15.18-0+deb12u1)".to_owned(),
        in_recovery: false,
        may_create: true,
        may_set_roles: true,
        product: all.iter().map(|db| db.facts.name.clone()).collect(),
        databases: BTreeMap::new(),
        clients: vec![dump_client("15.18")],
        pooler: None,
        foreign: Vec::new(),
        backends: Vec::new(),
        cut: BTreeSet::new(),
        obstacles: Vec::new(),
        standbys: Vec::new(),
        room: Some(200 * GIB),
        lock: Lock::Free,
        transaction: 7_301,
        next: 16_384,
    };
    for db in all.into_iter().chain([maintenance]) {
        server.put(db);
    }
    server
}

/// The row of an uploaded file.
pub(super) fn blob(key: &str, bytes: &[u8]) -> Blob {
    Blob { key: key.to_owned(), byte_size: bytes.len() as u64, checksum: Some(checksum(bytes)) }
}

pub(super) fn dump_client(version: &str) -> DumpClient {
    let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    DumpClient {
        path: format!("/usr/lib/postgresql/{major}/bin/pg_dump").into(),
        version: version.to_owned(),
        major,
    }
}
