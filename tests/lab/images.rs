use std::{fs, path::Path};

use super::{Result, Tools, tools::mirror};

/// Tags of the stand-in, see `tests/stand-in/README.md`.
pub const RELEASES: [&str; 12] = [
    "1.0.0", "1.1.0", "1.1.1", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.7.1", "1.8.0",
    "1.9.0",
];

/// A Debian with nothing in it but itself.
pub const BASE: &str = "uplift-lab/base:bookworm";

/// The stand-in's images on this engine, named after what they were built from.
#[derive(Debug, Clone)]
pub struct Images {
    tools: Tools,
    hash: String,
}

impl Images {
    /// Builds what is missing: about two minutes from nothing, no time if all is there.
    pub fn bring(tools: &Tools) -> Result<Self> {
        let _lock = tools.lock()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-in");
        let images = Self { tools: tools.clone(), hash: hash_of(&source)? };
        if !images.exists(BASE) {
            images.base()?;
        }
        if !images.exists(&images.postgres()) {
            eprintln!("lab: building the PostgreSQL image");
            images.build(&source.join("postgres"), "Dockerfile", &[("BASE", BASE)], &images.postgres())?;
        }
        let app = images.name("app");
        if !images.exists(&app) {
            eprintln!("lab: building the stand-in");
            images.build(&source.join("app"), "Dockerfile", &[("BASE", BASE)], &app)?;
        }
        for release in RELEASES {
            let name = images.release(release);
            if !images.exists(&name) {
                let arguments = [("APP", app.as_str()), ("RELEASE", release)];
                images.build(&source.join("app"), "Dockerfile.release", &arguments, &name)?;
            }
        }
        Ok(images)
    }

    pub fn postgres(&self) -> String {
        self.name("postgres")
    }

    /// The local name of a release of the stand-in.
    pub fn release(&self, release: &str) -> String {
        format!("{}-{release}", self.name("strata"))
    }

    fn name(&self, what: &str) -> String {
        format!("uplift-lab/{what}:{}", self.hash)
    }

    fn exists(&self, name: &str) -> bool {
        self.tools.docker().args("image inspect").arg(name).output().is_ok()
    }

    fn build(&self, folder: &Path, file: &str, arguments: &[(&str, &str)], name: &str) -> Result<()> {
        // The classic builder: it needs no further plugin, and these files need no more.
        let mut build = self.tools.docker().env("DOCKER_BUILDKIT", "0").args("build -q -t").arg(name);
        for (key, value) in arguments {
            build = build.arg("--build-arg").arg(format!("{key}={value}"));
        }
        build =
            build.arg("-f").arg(folder.join(file).display().to_string()).arg(folder.display().to_string());
        build.output().map(|_| ())
    }

    /// A small Debian, from the packages that this machine is fed from.
    fn base(&self) -> Result<()> {
        eprintln!("lab: making a base image with debootstrap (half a minute)");
        let script = format!(
            "set -e; cd {}; rm -rf base; debootstrap --variant=minbase bookworm base {} >debootstrap.log; \
             rm -rf base/var/cache/apt/* base/var/lib/apt/lists/* base/usr/share/doc/* base/usr/share/man/* \
             base/usr/share/locale/*; tar -C base -c . | docker import - {BASE} >/dev/null; rm -rf base",
            self.tools.folder.display(),
            mirror()?,
        );
        super::Shell::new("bash").arg("-c").arg(script).output().map(|_| ())
    }
}

/// A name for the content of a folder: FNV-1a over names and bytes, in the order of the names.
fn hash_of(folder: &Path) -> Result<String> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    for file in files {
        let bytes = fs::read(&file).map_err(|error| format!("`{}`: {error}", file.display()))?;
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        for byte in name.bytes().chain(bytes) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}"))
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let path = entry.path();
        // The site's files are no part of any image.
        if path.is_dir() && path.file_name().is_some_and(|name| name != "site") {
            collect(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
