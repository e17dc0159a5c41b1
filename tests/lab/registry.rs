use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use super::{Images, Result, Shell, Tools, free_port, proxy::Proxy, wait_until};

/// A registry on loopback, killed when it is dropped.
#[derive(Debug)]
pub struct Registry {
    tools: Tools,
    images: Images,
    process: Child,
    data: PathBuf,
    port: u16,
    proxy: Proxy,
}

impl Registry {
    /// Starts it on a free port, empty.
    pub fn start(tools: &Tools, images: &Images) -> Result<Self> {
        let (port, behind) = (free_port()?, free_port()?);
        let data = tools.folder.join(format!("registry-{}-{port}", std::process::id()));
        let io = |error: std::io::Error| format!("`{}`: {error}", data.display());
        fs::create_dir_all(&data).map_err(io)?;
        let config = data.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 127.0.0.1:{behind}\n",
            data.join("data").display()
        );
        fs::write(&config, text).map_err(io)?;
        let process = Shell::new("docker-registry")
            .arg("serve")
            .arg(config.display().to_string())
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("docker-registry cannot be started: {error}"))?;
        // For the janitor.
        fs::write(data.join("pid"), process.id().to_string()).map_err(io)?;
        let proxy = Proxy::start(port, behind)?;
        let registry = Self { tools: tools.clone(), images: images.clone(), process, data, port, proxy };
        wait_until("the registry", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", behind)).is_ok()
        })?;
        Ok(registry)
    }

    /// `localhost:PORT`, which engines take for safe without TLS.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Holds back pulls: they begin and do not end, while tags are still looked up.
    pub fn hold(&self, held: bool) {
        self.proxy.hold(held);
    }

    /// The product's repository in this registry.
    pub fn repository(&self) -> String {
        format!("{}/stratado/server", self.address())
    }

    /// Pushes a release under its own tag.
    pub fn push(&self, release: &str) -> Result<()> {
        self.push_as(release, release)
    }

    /// Pushes a release under any tag, also one that is taken: that is how tags move. Leaves no local name.
    pub fn push_as(&self, release: &str, tag: &str) -> Result<()> {
        let name = format!("{}:{tag}", self.repository());
        let held = self.tools.docker().args("image inspect -f {{.Id}}").arg(&name).output().ok();
        self.tools.docker().arg("tag").arg(self.images.release(release)).arg(&name).output()?;
        self.tools.docker().args("push -q").arg(&name).output()?;
        match held {
            Some(id) => self.tools.docker().arg("tag").arg(id).arg(&name).output()?,
            None => self.tools.docker().args("image rm").arg(&name).output()?,
        };
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
        let _removed = fs::remove_dir_all(&self.data);
        // What was pulled by its digest has a name by that too.
        for kind in ["{{.Repository}}:{{.Tag}}", "{{.Repository}}@{{.Digest}}"] {
            let list = self.tools.docker().args("image ls --digests --filter");
            let list =
                list.arg(format!("reference={}", self.repository())).arg("--format").arg(kind).output();
            for name in list.unwrap_or_default().lines().filter(|name| !name.contains("<none>")) {
                let _untagged = self.tools.docker().args("image rm").arg(name).output();
            }
        }
    }
}
