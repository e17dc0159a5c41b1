//! What is measured, in turn, so that what the machine does besides falls on both sides.

use std::{fs, thread, time::Duration};

use crate::{
    Site, data,
    figures::Figures,
    lab::{Result, Writer},
};

pub(crate) fn all(site: &Site, rounds: u64) -> Result<()> {
    site.runbook("databases", "pg_dump()")?;
    site.runbook("uploads", "storage_copy()")?;
    let mut figures = Figures::default();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        dumps(site, &mut figures)?;
        uploads(site, round, &mut figures)?;
        returns(site, &mut figures)?;
    }
    println!("\n{figures}");
    Ok(())
}

/// The guide dumps one database of four and looks at nothing; uplift dumps all four and proves each row.
fn dumps(site: &Site, figures: &mut Figures) -> Result<()> {
    let tables = "psql -AtX strata_production -c \"SELECT 'COPY ' || relid::regclass || ' TO STDOUT;' FROM \
                  pg_stat_user_tables\" | psql -qX strata_production > /dev/null";
    figures.add("the server gives out the primary's rows (COPY)", site.by_hand(tables)?);
    figures.add(GUIDE_DUMP, site.by_hand("pg_dump -Fc strata_production > guide.dump; rm guide.dump")?);
    figures.against(
        GUIDE_DUMP,
        "0.25",
        "uplift: all databases, dumped and verified",
        site.uplift("run databases.rhai -y")?,
    );
    clear(site)
}

fn uploads(site: &Site, round: u64, figures: &mut Figures) -> Result<()> {
    let copy = "docker compose cp web:/rails/storage ./storage-copy 2>/dev/null && sync -f storage-copy";
    figures.add(GUIDE_COPY, site.by_hand(copy)?);
    site.by_hand("rm -r storage-copy; sync -f .")?;
    figures.against(
        GUIDE_COPY,
        "0.75",
        "uplift: files copied, hashed and read back",
        site.uplift("run uploads.rhai -y")?,
    );
    data::more(&site.stack, round)?;
    figures.against(
        GUIDE_COPY,
        "0.45",
        "uplift: the second copy, 100 files later",
        site.uplift("run uploads.rhai -y")?,
    );
    clear(site)
}

/// How long users are without web, on the way back from a finished upgrade and when web is only made again.
fn returns(site: &Site, figures: &mut Figures) -> Result<()> {
    let boot =
        silence(site, || site.by_hand("docker compose up -d --no-deps --force-recreate web 2>/dev/null"))?;
    site.stack.wait_up()?;
    site.uplift("upgrade --to 1.1.0 -y --settle 2s --storage none")?;
    let back = silence(site, || site.uplift("rollback --restore-data always --jobs run -y --settle 2s"))?;
    figures.add(BOOT, boot);
    figures.add("uplift: web is away while data goes back by savepoint", back);
    figures.add("the same, less the boot", back.saturating_sub(boot));
    site.stack.wait_up()?;
    for name in site
        .stack
        .psql("postgres", "SELECT datname FROM pg_database WHERE datname ~ '__(failed|pre)_'")?
        .lines()
    {
        site.stack.psql("postgres", &format!("ALTER DATABASE \"{name}\" IS_TEMPLATE false"))?;
        site.stack.psql("postgres", &format!("DROP DATABASE \"{name}\""))?;
    }
    clear(site)
}

const GUIDE_DUMP: &str = "guide: `pg_dump -Fc` of the primary database";
const GUIDE_COPY: &str = "guide: `docker compose cp` of the files, synced";
const BOOT: &str = "web is away while compose makes it again";

/// The longest time in which a client got no answer.
fn silence(site: &Site, act: impl FnOnce() -> Result<Duration>) -> Result<Duration> {
    let client = Writer::start(&site.stack);
    thread::sleep(Duration::from_secs(1));
    let done = act();
    let answers = site.stack.wait_web();
    thread::sleep(Duration::from_secs(1));
    let ledger = client.stop();
    done.and(answers).map(|()| ledger.longest_gap)
}

/// Every round begins without earlier backups, and with what was written on its disk.
fn clear(site: &Site) -> Result<()> {
    let backups = site.stack.dir().join(".uplift/backups");
    fs::remove_dir_all(&backups).map_err(|error| format!("`{}`: {error}", backups.display()))?;
    site.by_hand("sync -f .").map(|_| ())
}
