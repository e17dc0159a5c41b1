//! What a site looks like after years: the length of its record, and how long it takes to tell of it.

use std::time::{Duration, Instant};

use super::desk::Desk;

/// No figure of it is a promise, so it runs only when it is asked for; what it prints is for people.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints figures"]
async fn a_thousand_runs_are_told_at_once() {
    let desk = Desk::new();
    let mut upgraded = false;
    for n in 0..1000 {
        let line = match n % 20 {
            9 if upgraded => "uplift rollback --restore-data always --jobs run -y",
            9 => "uplift upgrade --to 1.1.0 -y",
            19 => "uplift backup prune -y",
            _ => "uplift backup create -y",
        };
        upgraded ^= n % 20 == 9;
        let seen = desk.types(line).await;
        assert_eq!(seen.exit.code(), 0, "{n}: {}", seen.page());
        desk.world.advance(Duration::from_hours(12));
    }
    for name in ["journal.db", "journal.db-wal", "journal.reserve"] {
        let length = std::fs::metadata(desk.folder().join(name)).map_or(0, |about| about.len());
        println!("{name:<24}{:>8} KiB", length >> 10);
    }
    for line in ["history", "history --all", "status", "show", "rollback --list", "backup prune --dry-run"] {
        let start = Instant::now();
        let seen = desk.types(&format!("uplift {line}")).await;
        println!(
            "uplift {line:<24}{:>6} ms, {} lines",
            start.elapsed().as_millis(),
            seen.out.lines().count()
        );
        assert_eq!(seen.exit.code(), 0, "{}", seen.page());
        assert!(!line.ends_with("history") || seen.out.lines().count() == 22, "{}", seen.page());
    }
}
