//! The whole upgrade, by the vendor's guide and by uplift in turn, on sites that stop alike.
//!
//! Each walks 1.0.0 -> 1.1.0, which migrates, and on to 1.1.1, which does not; then the site is made anew.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Site,
    figures::Figures,
    lab::{Images, Registry, Result, Shape, Stack, Tools, get},
};

/// How long an image takes to stop: one that drains its requests, and one that is quick.
const STOPS: [(&str, &str); 2] =
    [("10", "an image that takes 10 s to stop"), ("0.5", "an image that stops at once")];

pub(crate) fn all(tools: &Tools, images: &Images, registry: &Registry, rounds: u64) -> Result<()> {
    for (seconds, what) in STOPS {
        println!("\n{what}");
        let mut figures = Figures::default();
        for round in 1..=rounds {
            println!("round {round} of {rounds}");
            for by_hand in [true, false] {
                let settings = format!("STAND_IN_BOOT_SECONDS=4\nSTAND_IN_STOP_SECONDS={seconds}\n");
                let stack = Stack::with(tools, images, registry, Shape::Present, "1.0.0", &settings)?;
                let site = Site { stack };
                for (to, kind) in [("1.1.0", "with migrations"), ("1.1.1", "without migrations")] {
                    measured(&site, by_hand, to, kind, &mut figures)?;
                }
                if !by_hand {
                    figures.add("`uplift status`", site.uplift("status")?);
                    figures.add("`uplift upgrade --dry-run`", site.uplift("upgrade --to 1.2.0 --dry-run")?);
                    figures.add("`uplift --version`", site.uplift("--version")?);
                }
            }
        }
        println!("\n{figures}");
    }
    Ok(())
}

fn measured(site: &Site, by_hand: bool, to: &str, kind: &str, figures: &mut Figures) -> Result<()> {
    let over = AtomicBool::new(false);
    let (wall, web, job) = thread::scope(|threads| {
        let web = threads.spawn(|| {
            away(&over, || {
                get(&site.stack.address(), "/up").is_ok_and(|status| status == 200).then(Instant::now)
            })
        });
        let job = threads.spawn(|| beats(&over, site));
        thread::sleep(Duration::from_secs(2));
        let done = if by_hand { guide(site, to) } else { site.uplift(&format!("upgrade --to {to} -y")) };
        let up = site.stack.wait_up();
        thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        (
            done.and_then(|wall| up.map(|()| wall)),
            web.join().unwrap_or_default(),
            job.join().unwrap_or_default(),
        )
    });
    for (what, took, most) in [("wall", wall?, "1"), ("web away", web, "1"), ("job away", job, "0.4")] {
        let guide = format!("guide {kind}: {what}");
        if by_hand {
            figures.add(&guide, took);
        } else {
            figures.against(&guide, most, &format!("uplift {kind}: {what}"), took);
        }
    }
    Ok(())
}

/// As the guide has it: a dump, a copy of the files, the tag, pull, up.
fn guide(site: &Site, to: &str) -> Result<Duration> {
    site.by_hand(&format!(
        "pg_dump -Fc strata_production > guide.dump
         rm -rf storage-backup; docker compose cp web:/rails/storage ./storage-backup 2>/dev/null
         sed -i 's/^STRATA_VERSION=.*/STRATA_VERSION={to}/' .env
         docker compose pull -q 2>/dev/null
         docker compose up -d 2>/dev/null"
    ))
}

/// A gap between two signs of life that is no gap.
const ALIVE: Duration = Duration::from_millis(1200);

/// The time without a sign of life.
fn away(over: &AtomicBool, sign: impl Fn() -> Option<Instant>) -> Duration {
    let (mut away, mut last) = (Duration::ZERO, Instant::now());
    while !over.load(Ordering::Relaxed) {
        if let Some(at) = sign() {
            let gap = at.duration_since(last);
            if gap > Duration::from_millis(300) {
                away += gap;
            }
            last = at;
        }
        thread::sleep(Duration::from_millis(50));
    }
    away
}

/// The time without a heartbeat of the worker, by the worker's own clock in its database.
fn beats(over: &AtomicBool, site: &Site) -> Duration {
    let query = "SELECT extract(epoch FROM max(last_heartbeat_at)) FROM solid_queue_processes";
    let (mut away, mut last) = (Duration::ZERO, None);
    while !over.load(Ordering::Relaxed) {
        let beat =
            site.stack.psql("strata_production_queue", query).ok().and_then(|text| text.parse::<f64>().ok());
        if let Some(beat) = beat {
            let gap = Duration::try_from_secs_f64(beat - last.unwrap_or(beat)).unwrap_or_default();
            if gap > ALIVE {
                away += gap;
            }
            last = Some(beat);
        }
        thread::sleep(Duration::from_millis(200));
    }
    away
}
