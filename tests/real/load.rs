//! More writes than one client makes, without web in between.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::Field;
use crate::lab::{Started, wait_until};

/// Clients at work; they end with it.
pub(super) struct Load<'a> {
    field: &'a Field,
    work: Option<Started>,
}

static LOADS: AtomicU32 = AtomicU32::new(1);

impl<'a> Load<'a> {
    /// Comes back once they have placed their first orders.
    pub(super) fn start(field: &'a Field) -> Self {
        let name = format!("load-{}", LOADS.fetch_add(1, Ordering::Relaxed));
        exec(field, "rm -f /tmp/enough");
        let docker = field.stack.tools().docker().arg("compose").folder(field.dir());
        let python = docker.args("exec -T web python3 -B -c").arg(include_str!("load.py")).arg(&name);
        let work = python.start().unwrap();
        let load = Self { field, work: Some(work) };
        let first = format!("SELECT count(*) FROM orders WHERE key LIKE '{name}-%'");
        wait_until("the first orders", Duration::from_mins(2), || {
            field.stack.psql("strata_production", &first).is_ok_and(|count| count.len() > 2)
        })
        .unwrap();
        load
    }

    /// How many orders were placed, and in which time.
    pub(super) fn ends(mut self) -> (f64, f64) {
        exec(self.field, "touch /tmp/enough");
        let ran = self.work.take().unwrap().wait(Duration::from_mins(30)).unwrap();
        let mut words = ran.stdout.split_whitespace();
        let mut next = || words.next().unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
        (next().parse().unwrap(), next().parse().unwrap())
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        if self.work.is_some() {
            exec(self.field, "touch /tmp/enough");
        }
    }
}

fn exec(field: &Field, words: &str) {
    field.stack.compose(&format!("exec -T web {words}")).unwrap();
}
