//! Times of uplift against the same work by hand, in turn on one site: `cargo bench --bench guide`.
//!
//! By hand is what the vendor's upgrading guide says: `pg_dump -Fc` of the primary database, `docker compose cp` of the
//! uploaded files. Ratios are what counts: seconds belong to the machine, and to whatever else it does meanwhile, so that
//! each figure stands beside the server's own rate of giving out rows at that moment.
//!
//! It needs what the tests need, 15 GB of disk and a quiet machine for a quarter of an hour. `UPLIFT_BENCH_ROUNDS`
//! (3), `UPLIFT_BENCH_PERCENT` of 2 GB of rows and 2 GB of files (100), `UPLIFT_BENCH_ONLY` of `upgrades` and `data`.
#![expect(clippy::print_stdout, reason = "figures")]
#![expect(clippy::disallowed_methods, reason = "it stands outside of uplift, where an operator stands")]

mod data;
mod figures;
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../lab.rs"]
mod lab;
mod rounds;
mod upgrades;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use lab::{Images, Registry, Result, Shape, Shell, Stack, Tools};

fn main() -> ExitCode {
    // `cargo test --benches` runs it too, and asks for no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let tools = Tools::bring()?;
    let images = Images::bring(&tools)?;
    let registry = Registry::start(&tools, &images)?;
    for release in ["1.0.0", "1.1.0", "1.1.1", "1.2.0"] {
        registry.push(release)?;
    }
    let only = std::env::var("UPLIFT_BENCH_ONLY").unwrap_or_default();
    if only != "data" {
        upgrades::all(&tools, &images, &registry, from_env("UPLIFT_BENCH_ROUNDS", 3))?;
    }
    if only == "upgrades" {
        return Ok(());
    }
    let stack = Stack::start(&tools, &images, &registry, Shape::Present, "1.0.0")?;
    let site = Site { stack };
    data::fill(&site.stack, from_env("UPLIFT_BENCH_PERCENT", 100))?;
    rounds::all(&site, from_env("UPLIFT_BENCH_ROUNDS", 3))
}

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The site that is measured.
struct Site {
    stack: Stack,
}

impl Site {
    /// `uplift WORDS` in the site's folder, which has to succeed.
    fn uplift(&self, words: &str) -> Result<Duration> {
        let shell = Shell::new(env!("CARGO_BIN_EXE_uplift")).args(words).folder(self.stack.dir());
        let ran = shell.envs(&self.stack.tools().env).env("NO_COLOR", "1").run()?;
        match ran.code {
            Some(0) => Ok(ran.took),
            code => Err(format!("`uplift {words}` ended with {code:?}\n{}{}", ran.stdout, ran.stderr)),
        }
    }

    /// A script as somebody at the site's prompt would run it, with the password of its database.
    fn by_hand(&self, script: &str) -> Result<Duration> {
        let setting = |name: &str| self.stack.compose(&format!("exec -T web printenv {name}"));
        let shell = Shell::new("bash").args("-euo pipefail -c").arg(script).folder(self.stack.dir());
        let shell = shell.envs(&self.stack.tools().env).env("PGPASSWORD", setting("DB_PASSWORD")?);
        let shell = shell.env("PGHOST", setting("DB_HOST")?).env("PGPORT", setting("DB_PORT")?);
        let ran = shell.env("PGUSER", setting("DB_USERNAME")?).run()?;
        match ran.code {
            Some(0) => Ok(ran.took),
            code => Err(format!("`{script}` ended with {code:?}\n{}{}", ran.stdout, ran.stderr)),
        }
    }

    /// A runbook of one step, in the site's folder.
    fn runbook(&self, name: &str, call: &str) -> Result<()> {
        let header = format!(
            "const RUNBOOK = #{{ api: 1, summary: \"{name}\", on_failure: \"undo\", params: #{{}} }};"
        );
        let path: PathBuf = self.stack.dir().join(format!("{name}.rhai"));
        std::fs::write(&path, format!("{header}\nstep \"{name}\" {{ {call}; }}\n"))
            .map_err(|error| format!("`{}`: {error}", path.display()))
    }
}
