use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{Images, Registry, Result, Shell, Tools, free_port, wait_until};

/// The two shapes of the vendor's compose file that the fixtures have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `web` and `job`, with a health check.
    Present,
    /// `web` and `worker`, without.
    Older,
}

/// Where a stack's database server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// At an address that this host and the containers reach.
    Published,
    /// On the project's network alone, by the name `db`.
    Hidden,
    /// A container of another project on a network that both join, by the name `db`.
    Neighbour,
}

/// Settings of a site that is quick to boot and to stop.
pub const QUICK: &str = "STAND_IN_BOOT_SECONDS=0.5\nSTAND_IN_STOP_SECONDS=0.5\n";

/// One installation of the stand-in with its own database server. Removed when it is dropped.
#[derive(Debug)]
pub struct Stack {
    tools: Tools,
    project: String,
    folder: PathBuf,
    port: u16,
    postgres: String,
    /// Where this host reaches the database server, if it does.
    server: Option<(String, u16)>,
    shape: Shape,
}

pub(super) const PREFIX: &str = "uplab";
static COUNT: AtomicU32 = AtomicU32::new(1);

/// On this host and in the server's image.
const PSQL: &str = "/usr/lib/postgresql/15/bin/psql";

/// Every secret that may hold any text holds this; none may ever be seen.
pub const CANARY: &str = "canary-7Q";

/// Secrets of `.env`, as compose reads them there.
const SECRETS: [&str; 7] = [
    "DB_PASSWORD",
    "STRATA_SECRET_KEY_BASE",
    "STRATA_ENCRYPTION_PRIMARY_KEY",
    "STRATA_ENCRYPTION_DETERMINISTIC_KEY",
    "STRATA_ENCRYPTION_KEY_DERIVATION_SALT",
    "LICENSE_KEY",
    "AWS_SECRET_ACCESS_KEY",
];

impl Stack {
    /// Brings up `release` of the stand-in from `registry`, healthy, as slow to boot and to stop as the product.
    pub fn start(
        tools: &Tools,
        images: &Images,
        registry: &Registry,
        shape: Shape,
        release: &str,
    ) -> Result<Self> {
        Self::with(tools, images, registry, shape, release, "")
    }

    /// The same, quick to boot and to stop, for tests that are not about time.
    pub fn quick(
        tools: &Tools,
        images: &Images,
        registry: &Registry,
        shape: Shape,
        release: &str,
    ) -> Result<Self> {
        Self::with(tools, images, registry, shape, release, QUICK)
    }

    /// The same, with more lines in `.env`.
    pub fn with(
        tools: &Tools,
        images: &Images,
        registry: &Registry,
        shape: Shape,
        release: &str,
        settings: &str,
    ) -> Result<Self> {
        Self::at(Server::Published, tools, images, registry, shape, release, settings)
    }

    /// The same, with its database server somewhere else.
    pub fn at(
        server: Server,
        tools: &Tools,
        images: &Images,
        registry: &Registry,
        shape: Shape,
        release: &str,
        settings: &str,
    ) -> Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = format!("{PREFIX}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&project);
        let postgres = format!("{project}-pg");
        let (tools, port) = (tools.clone(), free_port()?);
        let mut stack = Self { tools, project, folder, port, postgres, server: None, shape };
        fs::create_dir_all(&stack.folder)
            .map_err(|error| format!("`{}`: {error}", stack.folder.display()))?;
        let (host, port) = stack.start_postgres(images, server)?;
        stack.server = (server == Server::Published).then(|| (host.clone(), port));
        stack.write_files(registry, release, &host, port, settings)?;
        if server == Server::Neighbour {
            stack.join(&stack.backend())?;
        }
        let image = format!("{}:{release}", registry.repository());
        stack.tools.docker().args("pull -q").arg(image).output()?;
        // One after the other: compose would wait for the health check's first interval, half a minute.
        stack.compose("up -d --quiet-pull --no-deps web")?;
        stack.wait_web()?;
        stack.compose(&format!("up -d --no-deps {}", stack.job()))?;
        stack.wait_up()?;
        Ok(stack)
    }

    /// The site folder, with `docker-compose.yml` and `.env`.
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    pub fn project(&self) -> &str {
        &self.project
    }

    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Where web is published, e.g. `127.0.0.1:41234`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The database container's name, for `docker stop` and `docker start`.
    pub fn postgres(&self) -> &str {
        &self.postgres
    }

    /// The background service's name in this shape.
    pub fn job(&self) -> &'static str {
        match self.shape {
            Shape::Present => "job",
            Shape::Older => "worker",
        }
    }

    pub fn env_text(&self) -> Result<String> {
        fs::read_to_string(self.folder.join(".env")).map_err(|error| format!("`.env`: {error}"))
    }

    /// Writes a setting into `.env`, in place of the one that is there.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let text = self.env_text()?;
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with(&format!("{name}="))).collect();
        let line = format!("{name}={value}");
        lines.push(&line);
        fs::write(self.folder.join(".env"), lines.join("\n") + "\n")
            .map_err(|error| format!("`.env`: {error}"))
    }

    /// Name and value of every secret in `.env`, as web gets it.
    pub fn secrets(&self) -> Result<Vec<(&'static str, String)>> {
        let read = |name: &&'static str| {
            let value = self.compose(&format!("exec -T web printenv {name}"))?;
            Ok((*name, value))
        };
        SECRETS.iter().map(read).collect()
    }

    /// `docker compose` in the site folder.
    pub fn compose(&self, words: &str) -> Result<String> {
        self.compose_words(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// The same, for words that hold blanks.
    pub fn compose_words(&self, words: &[&str]) -> Result<String> {
        let compose = self.tools.docker().arg("compose").folder(&self.folder);
        words.iter().fold(compose, |compose, word| compose.arg(*word)).output()
    }

    /// Unaligned rows of a query as the server's administrator.
    pub fn psql(&self, database: &str, query: &str) -> Result<String> {
        // Five times as quick as a process in the container.
        let psql = if let Some((host, port)) = &self.server {
            let psql = Shell::new(PSQL).env("PGPASSWORD", format!("admin-{CANARY}"));
            psql.arg(format!("--host={host}")).arg(format!("--port={port}"))
        } else {
            let exec = self.tools.docker().arg("exec").arg(&self.postgres).arg(PSQL);
            exec.arg("--host=/var/run/postgresql")
        };
        psql.args("-U postgres -X -A -t -q -v ON_ERROR_STOP=1 -d").arg(database).arg("-c").arg(query).output()
    }

    /// Waits until `/up` answers 200 and the background service has written its heartbeat.
    pub fn wait_up(&self) -> Result<()> {
        self.wait_web()?;
        wait_until("the heartbeat of the background service", Duration::from_mins(4), || self.job_beats())
    }

    /// Waits until `/up` answers 200.
    pub fn wait_web(&self) -> Result<()> {
        wait_until("`/up` of the stand-in", Duration::from_mins(4), || {
            super::writer::get(&self.address(), "/up").is_ok_and(|status| status == 200)
        })
        .map_err(|error| format!("{error}\n{}", self.compose("logs --no-color").unwrap_or_default()))
    }

    /// Whether the background service has been at work within the last five seconds.
    pub fn job_beats(&self) -> bool {
        let query =
            "SELECT count(*) FROM solid_queue_processes WHERE last_heartbeat_at > now() - interval '5 s'";
        self.psql("strata_production_queue", query).is_ok_and(|count| count != "0")
    }

    fn start_postgres(&self, images: &Images, server: Server) -> Result<(String, u16)> {
        let env = self.folder.join("postgres.env");
        let text = format!("ADMIN_PASSWORD=admin-{CANARY}\nAPP_PASSWORD={}\n", password());
        fs::write(&env, text).map_err(|error| format!("`{}`: {error}", env.display()))?;
        let run = self.tools.docker().args("run -d --name").arg(&self.postgres);
        // Not in the container's own layer, where making a database costs several times as much.
        let run = run.args("-v /var/lib/postgresql/data");
        let run = run.arg("--env-file").arg(env.display().to_string());
        let (run, host, port) = match server {
            Server::Published => {
                let (gateway, port) = (self.gateway()?, free_port()?);
                // Not one of Docker's choosing: that would be another after a stop and a start.
                (run.arg("-p").arg(format!("{gateway}:{port}:5432")), gateway, port)
            }
            Server::Hidden => {
                let network = self.make_network()?;
                (run.arg("--network").arg(network).args("--network-alias db"), "db".to_owned(), 5432)
            }
            Server::Neighbour => {
                let network = self.backend();
                self.tools.docker().args("network create").arg(&network).output()?;
                let label = |name: &str, value: &str| format!("com.docker.compose.{name}={value}");
                let run = run.arg("--label").arg(label("project", &format!("{}-db", self.project)));
                let run = run.arg("--label").arg(label("service", "db"));
                (run.arg("--network").arg(network).args("--network-alias db"), "db".to_owned(), 5432)
            }
        };
        run.arg(images.postgres()).output()?;
        let _removed = fs::remove_file(&env);
        wait_until("the database server", Duration::from_mins(4), || {
            let reached =
                server != Server::Published || std::net::TcpStream::connect((host.as_str(), port)).is_ok();
            reached && self.psql("postgres", "SELECT 1").is_ok()
        })?;
        Ok((host, port))
    }

    /// A network that is not the project's own.
    fn backend(&self) -> String {
        format!("{}_backend", self.project)
    }

    /// Has the project's services join a network that somebody else has made.
    fn join(&self, network: &str) -> Result<()> {
        let path = self.folder.join("docker-compose.yml");
        let io = |error: std::io::Error| format!("`{}`: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(io)?;
        let text = format!("{text}\nnetworks:\n  default:\n    name: {network}\n    external: true\n");
        fs::write(&path, text).map_err(io)
    }

    /// The project's network, as compose would make it.
    pub fn make_network(&self) -> Result<String> {
        let network = format!("{}_default", self.project);
        let label = format!("--label com.docker.compose.project={}", self.project);
        let create = self.tools.docker().args("network create --label com.docker.compose.network=default");
        create.args(&label).arg(&network).output()?;
        Ok(network)
    }

    /// An address of this host that both the host and every container network reach. The default bridge often
    /// names no gateway; it is the first address of its subnet then.
    fn gateway(&self) -> Result<String> {
        let format = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}}{{end}}";
        let line = self.tools.docker().args("network inspect bridge -f").arg(format).output()?;
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [gateway, _] => Ok((*gateway).to_owned()),
            [subnet] => {
                let start =
                    subnet.split('/').next().and_then(|start| start.parse::<std::net::Ipv4Addr>().ok());
                let start = start.ok_or(format!("the bridge network's subnet is `{subnet}`"))?;
                Ok(std::net::Ipv4Addr::from(u32::from(start) + 1).to_string())
            }
            _ => Err(format!("the bridge network has no address: {line}")),
        }
    }

    fn write_files(
        &self,
        registry: &Registry,
        release: &str,
        host: &str,
        port: u16,
        settings: &str,
    ) -> Result<()> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-in/site");
        let hex = |name: &str, length| self.hex(name, length);
        let values = BTreeMap::from([
            ("@REGISTRY@", registry.address()),
            ("@VERSION@", release.to_owned()),
            ("@PORT@", self.port.to_string()),
            ("@DB_HOST@", host.to_owned()),
            ("@DB_PORT@", port.to_string()),
            ("@DB_PASSWORD@", password()),
            ("@SECRET_KEY_BASE@", hex("secret key base", 128)),
            ("@PRIMARY_KEY@", hex("primary key", 32)),
            ("@DETERMINISTIC_KEY@", hex("deterministic key", 32)),
            ("@SALT@", hex("salt", 32)),
            // Each as the way of quoting that stands around it in the file permits.
            ("@LICENSE_KEY@", format!("eyJ.{CANARY}-licence it's #1 \\$x")),
            ("@AWS_SECRET@", format!("{CANARY}-aws it's a\"b#c$$d")),
            ("@SETTINGS@", settings.to_owned()),
        ]);
        let compose = match self.shape {
            Shape::Present => "present.yml",
            Shape::Older => "older.yml",
        };
        for (from, to) in [(compose, "docker-compose.yml"), ("env", ".env")] {
            let io = |error: std::io::Error| format!("`{from}`: {error}");
            let mut text = fs::read_to_string(source.join(from)).map_err(io)?;
            for (mark, value) in &values {
                text = text.replace(mark, value);
            }
            fs::write(self.folder.join(to), text).map_err(io)?;
        }
        Ok(())
    }

    /// A key of this site and no other.
    fn hex(&self, name: &str, length: usize) -> String {
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        let mut key = String::new();
        while key.len() < length {
            for byte in self.project.bytes().chain(name.bytes()) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            key = format!("{key}{state:016x}");
        }
        key.truncate(length);
        key
    }
}

/// With what breaks careless quoting in it. A single quote would end the quoted value in `.env`.
fn password() -> String {
    format!("{CANARY}-password pa\"ss$w#rd")
}

impl Drop for Stack {
    fn drop(&mut self) {
        remove(&self.tools, &self.project);
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// Everything on the engine that carries a project's name.
fn remove(tools: &Tools, project: &str) {
    let list = |words: &str| tools.docker().args(words).output().unwrap_or_default();
    for id in list(&format!("ps -aq --filter name=^{project}-")).lines() {
        let _removed = tools.docker().args("rm -f -v").arg(id).output();
    }
    for name in list(&format!("volume ls -q --filter name=^{project}_")).lines() {
        let _removed = tools.docker().args("volume rm -f").arg(name).output();
    }
    for id in list(&format!("network ls -q --filter name=^{project}_")).lines() {
        let _removed = tools.docker().args("network rm").arg(id).output();
    }
}
