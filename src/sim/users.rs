//! Users of a world's site: they place orders through web, and remember each that was acknowledged.

use super::{engine::of_project, state::State};
use crate::ports::postgres::Job;

const ORDERS: &str = "orders";
const JOBS: &str = "solid_queue_jobs";

impl State {
    /// What users write in this many milliseconds, if they reach web at their end.
    pub(super) fn users_write(&mut self, milliseconds: u64) {
        if !self.is_served() {
            self.writer.rest = 0;
            return;
        }
        let due = self.writer.rest + milliseconds * self.writer.rate;
        self.writer.rest = due % 1_000;
        self.place_orders(due / 1_000);
    }

    /// A web that users reach answers well: a trial is none.
    fn is_served(&self) -> bool {
        let web = self.host.instances.values().filter(|one| {
            one.is_web()
                && of_project(&one.shown, &self.model.project.name)
                && one.shown.service() == Some("web")
        });
        let answers = |one: &super::instance::Instance| {
            let release = self.host.images.get(&one.shown.image_id).and_then(|built| built.release.as_ref());
            release.and_then(|release| one.answers(release, self.now)) == Some(200)
        };
        web.into_iter().any(answers)
    }

    /// Each order is a row in the primary, then a job in the queue, and only then acknowledged.
    pub(super) fn place_orders(&mut self, count: u64) {
        let product = self.server.product.clone();
        let (Some(primary), Some(queue)) = (product.first(), product.get(1)) else { return };
        let ready = |name: &String| self.server.databases.get(name).is_some_and(|db| db.facts.open);
        if count == 0 || !self.server.reachable || !ready(primary) || !ready(queue) {
            return;
        }
        let Some(first) = self.server.insert(primary, ORDERS, count) else { return };
        let Some(job) = self.server.insert(queue, JOBS, count) else { return };
        if let Ok(queue) = self.server.get_mut(queue) {
            let made = (0..count).map(|n| Job {
                id: i64::try_from(job + n).unwrap_or(i64::MAX),
                class: "OrderJob".to_owned(),
                claimed_by: None,
            });
            queue.jobs.extend(made);
        }
        self.writer.acknowledged.push((first, count));
    }

    /// Acknowledged orders, and how many of them the primary has no more.
    pub(super) fn orders(&self) -> (u64, u64) {
        let primary = self.server.product.first().and_then(|name| self.server.databases.get(name));
        let runs =
            primary.and_then(|db| db.table(ORDERS)).map(super::server::Table::runs).unwrap_or_default();
        let known = |first: u64, count: u64| {
            let both = runs
                .iter()
                .map(|&(at, length, _)| (at + length).min(first + count).saturating_sub(at.max(first)));
            both.sum::<u64>()
        };
        let all: u64 = self.writer.acknowledged.iter().map(|(_, count)| count).sum();
        let there: u64 = self.writer.acknowledged.iter().map(|&(first, count)| known(first, count)).sum();
        (all, all - there)
    }
}
