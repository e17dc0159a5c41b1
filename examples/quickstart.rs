//! See an upgrade and a way back, on this machine: `cargo run --example quickstart`.
//!
//! It needs Docker Engine, a Debian whose packages can be installed, and Rust. It starts a small stand-in for Strata
//! with a PostgreSQL server, upgrades it with `uplift` while a client keeps writing, upgrades it to a release that is
//! broken, and counts at the end whether anything that the client was promised is missing. However it ends, what it
//! made is taken away again.
#![expect(clippy::print_stdout, reason = "it tells what it does")]
#![expect(clippy::disallowed_methods, reason = "it stands outside of uplift, where an operator stands")]

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../tests/lab.rs"]
mod lab;

use std::{path::PathBuf, process::ExitCode, thread, time::Duration};

use lab::{Images, Registry, Result, Shape, Shell, Stack, Tools, Writer};

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThis did not go as it should: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show() -> Result<()> {
    say("Ctrl-C stops this at any time; what it made is then taken away.");
    let uplift = build()?;
    say("Bringing what this machine lacks: the first time this takes about two minutes.");
    let tools = Tools::bring()?;
    let images = Images::bring(&tools)?;
    let registry = Registry::start(&tools, &images)?;
    for release in ["1.0.0", "1.1.0", "1.6.0"] {
        registry.push(release)?;
    }

    say("Starting a site: Strata 1.0.0 (a stand-in for it) under docker compose, and a PostgreSQL server.");
    let site = Stack::start(&tools, &images, &registry, Shape::Present, "1.0.0")?;
    say("A client now places 50 orders a second, and remembers each one that was acknowledged.");
    let client = Writer::start(&site);
    thread::sleep(Duration::from_secs(2));

    say("The upgrade, as an operator types it in the site's folder:");
    let operator = Operator { uplift, site: &site };
    operator.types("upgrade --to 1.1.0 -y", 0)?;

    say("Now a release that is broken: its background service dies a moment after it has started.");
    operator.types("upgrade --to 1.6.0 -y", 6)?;

    say("It was taken back. What happened on this site:");
    operator.types("history", 0)?;

    thread::sleep(Duration::from_secs(1));
    let ledger = client.stop();
    site.settle()?;
    let (missing, undone) = (ledger.missing(&site)?, ledger.undone(&site)?);
    let acknowledged = ledger.acknowledged.len();
    say(&format!(
        "{acknowledged} orders acknowledged, {} there, {} worked off; the longest time without an answer was {:.1} s.",
        acknowledged - missing.len(),
        acknowledged - undone.len(),
        ledger.longest_gap.as_secs_f64(),
    ));
    if !missing.is_empty() || !undone.is_empty() {
        return Err("orders were lost".to_owned());
    }
    say("Cleaning up. The images stay for the next time; `docker image ls 'uplift-lab/*'` lists them.");
    Ok(())
}

/// Somebody at a terminal.
struct Operator<'a> {
    uplift: PathBuf,
    site: &'a Stack,
}

impl Operator<'_> {
    fn types(&self, words: &str, expected: i32) -> Result<()> {
        println!("\n{}$ uplift {words}", self.site.dir().display());
        let uplift = Shell::new(&self.uplift.display().to_string()).args(words).folder(self.site.dir());
        let status = uplift.envs(&self.site.tools().env).command().status();
        let code = status.map_err(|error| format!("uplift cannot be started: {error}"))?.code();
        if code == Some(expected) {
            return Ok(());
        }
        Err(format!("`uplift {words}` ended with {code:?} instead of {expected}"))
    }
}

/// Builds `uplift` with the profile that this example was built with.
fn build() -> Result<PathBuf> {
    say("Building uplift.");
    let cargo = Shell::new(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    let build = cargo.args("build --locked --quiet --bin uplift").folder(env!("CARGO_MANIFEST_DIR"));
    let build = if cfg!(debug_assertions) { build } else { build.arg("--release") };
    build.limit(Duration::from_mins(30)).output()?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    // `target/debug/examples/quickstart`, beside `target/debug/uplift`.
    let folder = own.parent().and_then(std::path::Path::parent).ok_or("where is this program?")?;
    Ok(folder.join("uplift"))
}

fn say(text: &str) {
    println!("\n{text}");
}
