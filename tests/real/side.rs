//! Many sites on one machine and one engine, upgraded at the same time: nothing of one is another's.

use std::{fs, time::Duration};

use super::{Field, every};
use crate::lab::{Shape, Started};

/// Memory that one run may take, as the kernel has counted it at its highest.
const MEMORY_KIB: u64 = 150 * 1024;

#[test]
fn runs_side_by_side_on_many_sites_do_not_meet() {
    let count = if every() { 10 } else { 3 };
    let fields = Field::many(count, Shape::Present, "1.0.0");
    let before: Vec<_> = fields.iter().map(|field| field.stack.env_text().unwrap()).collect();
    let words = "upgrade --to 1.1.0 -y --settle 1s -o json";
    let runs: Vec<_> = fields.iter().map(|field| field.start(words)).collect();
    let highest: Vec<_> = {
        let mut highest = vec![0; runs.len()];
        while !runs.iter().all(Started::is_over) {
            for (run, highest) in runs.iter().zip(&mut highest) {
                *highest = memory(run.pid()).unwrap_or(*highest);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        highest
    };
    for ((field, run), before) in fields.iter().zip(runs).zip(&before) {
        let screen = field.ended(run, words).ends(0);
        // Nothing of any other site is in what this one has said.
        let others =
            fields.iter().map(|other| other.stack.project()).filter(|name| *name != field.stack.project());
        for other in others {
            let name = format!("{other}-");
            assert!(
                !screen.everything().contains(&name),
                "`{name}` in what was said about another site\n{screen}"
            );
        }
        field.assert_runs("1.1.0");
        let version = |version: &str| format!("STRATA_VERSION={version}\n");
        assert_eq!(field.stack.env_text().unwrap(), before.replace(&version("1.0.0"), &version("1.1.0")));
    }
    // Back again, all at once.
    let words = "rollback --restore-data always --jobs run -y --settle 1s -o json";
    let runs: Vec<_> = fields.iter().map(|field| field.start(words)).collect();
    for (field, run) in fields.iter().zip(runs) {
        field.ended(run, words).ends(0);
        field.assert_runs("1.0.0");
        field.assert_up();
    }
    eprintln!(
        "{count} runs side by side; the most memory that each took, in MiB: {:?}",
        highest.iter().map(|kib| kib / 1024).collect::<Vec<_>>()
    );
    for kib in highest {
        assert!((1..MEMORY_KIB).contains(&kib), "{kib} KiB");
    }
    for field in fields {
        field.end();
    }
}

/// The highest that a process has had of memory, in KiB, while it is there.
fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
