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

/// One installation of the stand-in with its own database server. Removed when it is dropped.
#[derive(Debug)]
pub struct Stack {
    tools: Tools,
    project: String,
    folder: PathBuf,
    port: u16,
    postgres: String,
    shape: Shape,
}

const PREFIX: &str = "uplab";
static COUNT: AtomicU32 = AtomicU32::new(1);

/// The value of every secret holds one of these; none may ever be seen.
pub const CANARY: &str = "canary-7Q";

impl Stack {
    /// Brings up `release` of the stand-in from `registry`, healthy, with some data in it.
    pub fn start(tools: &Tools, images: &Images, registry: &Registry, shape: Shape, release: &str) -> Result<Self> {
        sweep(tools);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = format!("{PREFIX}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&project);
        let postgres = format!("{project}-pg");
        let stack = Self { tools: tools.clone(), project, folder, port: free_port()?, postgres, shape };
        fs::create_dir_all(&stack.folder).map_err(|error| format!("`{}`: {error}", stack.folder.display()))?;
        let (host, port) = stack.start_postgres(images)?;
        stack.write_files(registry, release, &host, port)?;
        tools.docker().args("pull -q").arg(format!("{}:{release}", registry.repository())).output()?;
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

    /// `docker compose` in the site folder.
    pub fn compose(&self, words: &str) -> Result<String> {
        self.tools.docker().args("compose").args(words).folder(&self.folder).output()
    }

    /// Unaligned rows of a query as the server's administrator.
    pub fn psql(&self, database: &str, query: &str) -> Result<String> {
        self.tools
            .docker()
            .arg("exec")
            .arg(&self.postgres)
            .args("/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -X -A -t -q -v ON_ERROR_STOP=1 -d")
            .arg(database)
            .arg("-c")
            .arg(query)
            .output()
    }

    /// Waits until `/up` answers 200 and the background service has written its heartbeat.
    pub fn wait_up(&self) -> Result<()> {
        self.wait_web()?;
        wait_until("the heartbeat of the background service", Duration::from_secs(90), || self.job_beats())
    }

    fn wait_web(&self) -> Result<()> {
        wait_until("`/up` of the stand-in", Duration::from_secs(90), || {
            super::writer::get(&self.address(), "/up").is_ok_and(|status| status == 200)
        })
        .map_err(|error| format!("{error}\n{}", self.compose("logs --no-color").unwrap_or_default()))
    }

    /// Whether the background service has been at work within the last five seconds.
    pub fn job_beats(&self) -> bool {
        let query = "SELECT count(*) FROM solid_queue_processes WHERE last_heartbeat_at > now() - interval '5 s'";
        self.psql("strata_production_queue", query).is_ok_and(|count| count != "0")
    }

    fn start_postgres(&self, images: &Images) -> Result<(String, u16)> {
        let gateway = self.gateway()?;
        let env = self.folder.join("postgres.env");
        let text = format!("ADMIN_PASSWORD=admin-{CANARY}\nAPP_PASSWORD={}\n", password());
        fs::write(&env, text).map_err(|error| format!("`{}`: {error}", env.display()))?;
        self.tools
            .docker()
            .args("run -d --name")
            .arg(&self.postgres)
            .arg("--env-file")
            .arg(env.display().to_string())
            .arg("-p")
            .arg(format!("{gateway}::5432"))
            .arg(images.postgres())
            .output()?;
        let _removed = fs::remove_file(&env);
        let port = self.tools.docker().arg("port").arg(&self.postgres).args("5432/tcp").output()?;
        let port = port.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.ok_or("the database's port is not published")?;
        wait_until("the database server", Duration::from_secs(60), || {
            std::net::TcpStream::connect((gateway.as_str(), port)).is_ok() && self.psql("postgres", "SELECT 1").is_ok()
        })?;
        Ok((gateway, port))
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
                let start = subnet.split('/').next().and_then(|start| start.parse::<std::net::Ipv4Addr>().ok());
                let start = start.ok_or(format!("the bridge network's subnet is `{subnet}`"))?;
                Ok(std::net::Ipv4Addr::from(u32::from(start) + 1).to_string())
            }
            _ => Err(format!("the bridge network has no address: {line}")),
        }
    }

    fn write_files(&self, registry: &Registry, release: &str, host: &str, port: u16) -> Result<()> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-in/site");
        let (port, web) = (port.to_string(), self.port.to_string());
        let address = registry.address();
        let hex = |length: usize| format!("{:0<length$}", "c4a7");
        let values = BTreeMap::from([
            ("@REGISTRY@", address),
            ("@VERSION@", release.to_owned()),
            ("@PORT@", web),
            ("@DB_HOST@", host.to_owned()),
            ("@DB_PORT@", port),
            ("@DB_PASSWORD@", password()),
            ("@SECRET_KEY_BASE@", hex(128)),
            ("@PRIMARY_KEY@", format!("{CANARY}-primary-key-000")),
            ("@DETERMINISTIC_KEY@", format!("{CANARY}-deterministic-0")),
            ("@SALT@", format!("{CANARY}-salt-0000000000")),
            ("@LICENSE_KEY@", format!("eyJ.{CANARY}.licence")),
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
}

/// With what breaks careless quoting in it. A single quote would end the quoted value in `.env`.
fn password() -> String {
    format!("{CANARY} pa\"ss$w#rd")
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

/// Takes away what killed processes left. A process id may be used again: then its leftovers wait for another day.
fn sweep(tools: &Tools) {
    let names = tools.docker().args("ps -a --format {{.Names}}").arg("--filter").arg(format!("name=^{PREFIX}-"));
    let Ok(names) = names.output() else { return };
    for name in names.lines() {
        let mut parts = name.split('-').skip(1);
        let (Some(pid), Some(number)) = (parts.next(), parts.next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            remove(tools, &format!("{PREFIX}-{pid}-{number}"));
            let _removed = fs::remove_dir_all(std::env::temp_dir().join(format!("{PREFIX}-{pid}-{number}")));
        }
    }
}

/// A shell command with its words, for tests that act as an operator.
pub fn in_folder(program: &str, folder: &Path) -> Shell {
    Shell::new(program).folder(folder)
}
