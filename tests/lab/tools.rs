use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{Result, Shell, janitor};

/// Programs that the laboratory needs, with the Debian package that brings each.
const PACKAGES: [(&str, &str); 7] = [
    ("/usr/sbin/haproxy", "haproxy"),
    ("/usr/bin/socat", "socat"),
    ("/usr/bin/rsync", "rsync"),
    ("/usr/bin/strace", "strace"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/lib/postgresql/15/bin/pg_dump", "postgresql-client-15"),
];

/// The tools of this machine, brought where they were missing.
#[derive(Debug, Clone)]
pub struct Tools {
    /// For every child that calls `docker`.
    pub env: BTreeMap<String, String>,
    /// Where the laboratory keeps its things: `target/lab`.
    pub folder: PathBuf,
}

impl Tools {
    /// Finds everything, and installs what is missing. Several processes may call it at once.
    pub fn bring() -> Result<Self> {
        let folder = lab_folder();
        fs::create_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        let _lock = locked(&folder)?;
        Shell::new("docker").args("version").output().map_err(|error| {
            format!("a running Docker Engine is needed, and root or the group `docker` to use it\n{error}")
        })?;
        packages()?;
        let env = compose(&folder)?;
        let tools = Self { env, folder };
        janitor::hire(&tools)?;
        Ok(tools)
    }

    /// A `docker` command that finds compose v2.
    pub fn docker(&self) -> Shell {
        Shell::new("docker").envs(&self.env)
    }

    /// One lock for all laboratories of this machine's checkout, freed when it is dropped.
    pub fn lock(&self) -> Result<File> {
        locked(&self.folder)
    }
}

/// Below the target folder, so that `cargo clean` takes it away.
fn lab_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    target.join("lab")
}

fn locked(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    file.lock().map_err(|error| format!("`{}`: {error}", path.display()))?;
    Ok(file)
}

fn packages() -> Result<()> {
    let missing: Vec<_> = PACKAGES.iter().filter(|(file, _)| !Path::new(file).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    eprintln!("lab: installing {} with apt-get", names.join(", "));
    let apt = Shell::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    apt.clone().args("update -qq").output()?;
    let mut install = apt.args("install -y -qq --no-install-recommends");
    for name in names {
        install = install.arg(name);
    }
    install.output().map(|_| ())
}

/// Compose v2: the machine's own, or Debian's next release's in a plugin folder of the laboratory.
fn compose(folder: &Path) -> Result<BTreeMap<String, String>> {
    let works = |env: &BTreeMap<String, String>| {
        Shell::new("docker").envs(env).args("compose version --short").output().is_ok()
    };
    let config = folder.join("docker");
    let ours = BTreeMap::from([("DOCKER_CONFIG".to_owned(), config.display().to_string())]);
    if works(&ours) {
        return Ok(ours);
    }
    if works(&BTreeMap::new()) {
        return Ok(BTreeMap::new());
    }
    eprintln!("lab: fetching docker compose v2 from Debian 13's packages");
    let plugins = config.join("cli-plugins");
    fs::create_dir_all(&plugins).map_err(|error| format!("`{}`: {error}", plugins.display()))?;
    let apt = folder.join("apt");
    fetch_compose(&apt, &plugins)?;
    let _gone = fs::remove_dir_all(&apt);
    if works(&ours) { Ok(ours) } else { Err("compose was fetched but does not run".to_owned()) }
}

fn fetch_compose(apt: &Path, plugins: &Path) -> Result<()> {
    let io = |error: std::io::Error| format!("`{}`: {error}", apt.display());
    fs::create_dir_all(apt.join("lists/partial")).map_err(io)?;
    fs::create_dir_all(apt.join("cache/archives/partial")).map_err(io)?;
    let list = apt.join("trixie.list");
    fs::write(&list, format!("deb {} trixie main\n", mirror()?)).map_err(io)?;
    // The sandbox user of apt may not enter a folder of root's.
    let options = format!(
        "-qq -o Dir::Etc::sourcelist={} -o Dir::Etc::sourceparts=- -o Dir::State::lists={} \
         -o Dir::Cache={} -o APT::Sandbox::User=root",
        list.display(),
        apt.join("lists").display(),
        apt.join("cache").display(),
    );
    Shell::new("apt-get").args(&options).arg("update").output()?;
    Shell::new("apt-get").args(&options).args("download docker-compose").folder(apt).output()?;
    let names = fs::read_dir(apt).map_err(io)?.filter_map(std::result::Result::ok);
    let package = names
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or("apt-get downloaded no package")?;
    let unpacked = apt.join("root");
    Shell::new("dpkg-deb")
        .arg("-x")
        .arg(package.display().to_string())
        .arg(unpacked.display().to_string())
        .output()?;
    let found = Shell::new("find")
        .arg(unpacked.display().to_string())
        .args("-type f -path */cli-plugins/docker-compose")
        .output()?;
    let binary = found.lines().next().ok_or("the package holds no `docker-compose`")?;
    fs::copy(binary, plugins.join("docker-compose")).map_err(io)?;
    Ok(())
}

/// The address that this machine gets its own packages from.
pub fn mirror() -> Result<String> {
    let files = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    for file in files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("URIs:") => {
                    return words.next().map(str::to_owned).ok_or(format!("`{file}` has no URI"));
                }
                Some("deb") => {
                    if let Some(uri) = words.find(|word| word.contains("://")) {
                        return Ok(uri.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    Err("no Debian mirror in /etc/apt".to_owned())
}
