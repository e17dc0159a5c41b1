//! The engine itself is restarted in the middle of a run. It is one of the test's own: the machine's is not touched.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use super::{
    super::{Field, field::lab},
    end::Way,
    judge::Scene,
    walk::{Flow, Walk},
};
use crate::lab::{Images, RELEASES, Registry, Shape, Shell, Stack, Tools, wait_until};

const BRIDGE: &str = "uplab-engine";

/// When it is restarted: as soon as this call has begun, and so many milliseconds later.
const WHEN: [(Flow, &str, u64); 4] = [
    (Flow::Upgrade, "migrate in the dark/compose_trial#1", 1500),
    (Flow::Upgrade, "switch web/compose_up#1", 500),
    (Flow::Returns, "switch web/compose_up#1", 500),
    (Flow::Upgrade, "stop/compose_stop#1", 300),
];

#[test]
#[ignore = "it needs an engine of its own, and some minutes"]
fn an_engine_that_is_restarted_in_the_middle_costs_no_data() {
    for keeps_containers in [true, false] {
        let mut engine = Engine::start(keeps_containers);
        let images = Images::bring(&engine.tools).unwrap();
        let registry = Registry::start(&engine.tools, &images).unwrap();
        registry.push("1.0.0").unwrap();
        registry.push("1.1.0").unwrap();
        let stack = Stack::quick(&engine.tools, &images, &registry, Shape::Present, "1.0.0").unwrap();
        let mut walk = Walk::on(Field::of(stack));
        for (number, (flow, address, after)) in WHEN.into_iter().enumerate() {
            let way = if number % 2 == 0 { Way::Resume } else { Way::Rollback };
            let exit = restart(&mut engine, &mut walk, flow, (address, after), way);
            eprintln!(
                "{flow:?}: engine restarted in `{address}`, containers kept: {keeps_containers}: exit {exit:?}, then {way:?}"
            );
        }
        walk.field.end();
    }
}

/// Power is lost, or somebody has pressed the button: the engine, every container and uplift are gone at once. Nothing of
/// ours starts by itself, and the first command tells where the site stands, with and without its database.
#[test]
#[ignore = "it needs an engine of its own, and some minutes"]
fn a_machine_that_is_rebooted_in_the_middle_is_told_where_it_stands() {
    let mut engine = Engine::start(false);
    let images = Images::bring(&engine.tools).unwrap();
    let registry = Registry::start(&engine.tools, &images).unwrap();
    registry.push("1.0.0").unwrap();
    registry.push("1.1.0").unwrap();
    let stack = Stack::quick(&engine.tools, &images, &registry, Shape::Present, "1.0.0").unwrap();
    let mut walk = Walk::on(Field::of(stack));
    for (number, (flow, address, after)) in WHEN.into_iter().enumerate() {
        walk.reach(flow);
        let mut scene = walk.scene(flow, false);
        let words = format!("{} -o json", walk.words(flow));
        let run = walk.field.start(&words);
        super::super::told::until_it_begins(&run, address);
        std::thread::sleep(Duration::from_millis(after));
        let postgres = walk.field.stack.postgres().to_owned();
        engine.power_cut(run.pid());
        drop(run);
        let status = walk.field.uplift("status").ends(9);
        let status = status.shows(&["is not finished (interrupted)", "uplift resume", "uplift rollback"]);
        assert!(status.seconds() < 15.0, "{status}");
        engine.database_back(&postgres);
        scene.listen_again(&walk.field);
        let way = if number % 2 == 0 { Way::Rollback } else { Way::Resume };
        ended(&mut engine, &mut walk, scene, way);
        eprintln!("{flow:?}: power cut in `{address}`, told in {:.1} s, then {way:?}", status.seconds());
    }
    walk.field.end();
}

fn restart(
    engine: &mut Engine,
    walk: &mut Walk,
    flow: Flow,
    (address, after): (&str, u64),
    way: Way,
) -> Option<i32> {
    let postgres = walk.field.stack.postgres().to_owned();
    let (scene, exit) = walk.disturbed(flow, ("call_started", address, after), |_| engine.restart(&postgres));
    ended(engine, walk, scene, way);
    exit
}

/// An engine may hold the port of a container that it has lost, until it is restarted once more: uplift says so.
fn ended(engine: &mut Engine, walk: &mut Walk, scene: Scene, way: Way) {
    let postgres = walk.field.stack.postgres().to_owned();
    walk.ended_with(scene, way, &mut |screen| {
        let said = screen.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let holds = said.contains("port is already allocated");
        if holds {
            assert!(said.contains("systemctl restart docker"), "{said}");
            eprintln!("the engine holds a port: restarted once more");
            engine.restart(&postgres);
        }
        holds
    });
}

/// A Docker Engine with a bridge, a socket and a folder of its own.
struct Engine {
    tools: Tools,
    folder: PathBuf,
    daemon: Child,
    /// Where the machine's own engine has its default bridge. A second engine was seen to take it away.
    machines: Option<String>,
}

impl Engine {
    /// With all images that the machine's engine has for the laboratory.
    fn start(keeps_containers: bool) -> Self {
        let ours = &lab().tools;
        let folder = std::env::temp_dir().join(format!("{BRIDGE}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("daemon.json"), format!("{{\"live-restore\": {keeps_containers}}}")).unwrap();
        for words in
            ["link add name BRIDGE type bridge", "addr add 10.231.0.1/24 dev BRIDGE", "link set BRIDGE up"]
        {
            Shell::new("ip").args(&words.replace("BRIDGE", BRIDGE)).output().unwrap();
        }
        let mut tools = ours.clone();
        let socket = format!("unix://{}/docker.sock", folder.display());
        tools.env.insert("DOCKER_HOST".to_owned(), socket);
        let daemon = daemon(&folder);
        let shown = Shell::new("ip").args("-brief addr show docker0").output();
        let machines = shown.ok().and_then(|line| Some(line.split_whitespace().nth(2)?.to_owned()));
        let engine = Self { tools, folder, daemon, machines };
        engine.wait();
        engine.load();
        engine
    }

    fn wait(&self) {
        let answers = || self.tools.docker().arg("version").output().is_ok();
        wait_until("the engine", Duration::from_mins(1), answers).unwrap_or_else(|error| {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(20).collect();
            panic!("{error}; the end of its log, last line first:\n{}", end.join("\n"));
        });
    }

    fn load(&self) {
        let images = &lab().images;
        let names: Vec<_> =
            RELEASES.iter().map(|release| images.release(release)).chain([images.postgres()]).collect();
        let socket = &self.tools.env["DOCKER_HOST"];
        let app = names[0].replace("/strata:", "/app:").replace(&format!("-{}", RELEASES[0]), "");
        let script = format!(
            "set -o pipefail; docker save uplift-lab/base:bookworm {app} {} | docker -H {socket} load -q",
            names.join(" ")
        );
        Shell::new("bash").arg("-c").arg(script).output().unwrap();
    }

    /// As a package upgrade does it.
    fn restart(&mut self, postgres: &str) {
        self.stop();
        self.daemon = daemon(&self.folder);
        self.wait();
        self.database_back(postgres);
    }

    /// All is gone at once, and the engine comes back.
    fn power_cut(&mut self, uplift: u32) {
        let pids = |pattern: &str| {
            let found = Shell::new("pgrep").arg("-f").arg(pattern).run().unwrap().stdout;
            found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let held = self.tools.docker().args("ps -q").output().unwrap();
        let inside: Vec<_> = held
            .lines()
            .filter_map(|id| self.tools.docker().args("inspect -f {{.State.Pid}}").arg(id).output().ok())
            .collect();
        let shims = pids(&format!("containerd-shim.*{}", self.folder.display()));
        let containerd = pids(&format!("containerd .*{}", self.folder.display()));
        let own = [uplift.to_string(), self.daemon.id().to_string()];
        // Among them what holds the published ports.
        let children = Shell::new("pgrep").arg("-P").arg(self.daemon.id().to_string()).run().unwrap().stdout;
        let children: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        for pid in own.iter().chain(&children).chain(&containerd).chain(&shims).chain(&inside) {
            let _gone = Shell::new("kill").arg("-KILL").arg(pid).run();
        }
        let _ended = self.daemon.wait();
        let _stale = fs::remove_file(self.folder.join("pid"));
        self.empty_memory();
        self.daemon = daemon(&self.folder);
        self.wait();
    }

    /// What a machine keeps in its memory, mounts and what lies in `/run`, is not there after it was started again.
    fn empty_memory(&self) {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let folder = format!("{}/", self.folder.display());
        let below =
            |line: &str| line.split(' ').nth(1).filter(|at| at.starts_with(&folder)).map(str::to_owned);
        // What was mounted last lies in what was mounted before.
        for mount in mounts.lines().rev().filter_map(below) {
            let _unmounted = Shell::new("umount").arg("-l").arg(mount).run();
        }
        fs::remove_dir_all(self.folder.join("exec")).unwrap();
    }

    fn database_back(&self, postgres: &str) {
        // Nothing restarts it, as the operator's own server would be.
        self.tools.docker().arg("start").arg(postgres).output().unwrap();
        let answers = "/usr/lib/postgresql/15/bin/pg_isready -q -h /var/run/postgresql";
        let answers = || self.tools.docker().arg("exec").arg(postgres).args(answers).output().is_ok();
        wait_until("the database server", Duration::from_mins(1), answers).unwrap();
    }

    fn stop(&mut self) {
        let _told = Shell::new("kill").arg("-TERM").arg(self.daemon.id().to_string()).output();
        let _ended = self.daemon.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for id in self.tools.docker().args("ps -aq").output().unwrap_or_default().lines() {
            let _removed = self.tools.docker().args("rm -f -v").arg(id).output();
        }
        self.stop();
        let _gone = Shell::new("ip").args("link del").arg(BRIDGE).output();
        // What holds a container for an engine that comes back lives on where the engine has lost the container.
        let mine = format!("containerd-shim.*{}", self.folder.display());
        let _ended = Shell::new("pkill").arg("-f").arg(mine).output();
        let _unmounted = Shell::new("umount").arg(self.folder.join("data").display().to_string()).output();
        let _removed = fs::remove_dir_all(&self.folder);
        if let (Some(address), Err(_)) = (&self.machines, Shell::new("ip").args("link show docker0").output())
        {
            eprintln!("the default bridge of the machine's engine was gone: it is put back");
            for words in
                ["link add docker0 type bridge", "addr add ADDRESS dev docker0", "link set docker0 up"]
            {
                let _back = Shell::new("ip").args(&words.replace("ADDRESS", address)).output();
            }
        }
    }
}

fn daemon(folder: &std::path::Path) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    // What it would write into the kernel's tables is the other engine's.
    let fixed = "--storage-driver fuse-overlayfs --iptables=false --ip6tables=false --default-address-pool \
                 base=10.232.0.0/16,size=24 --bridge";
    let dockerd = Shell::new("dockerd").args(fixed).arg(BRIDGE);
    let dockerd = dockerd.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
    let dockerd = dockerd.arg("--pidfile").arg(at("pid")).arg("--config-file").arg(at("daemon.json"));
    let mut dockerd = dockerd.arg("-H").arg(format!("unix://{}", at("docker.sock"))).command();
    dockerd.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}
