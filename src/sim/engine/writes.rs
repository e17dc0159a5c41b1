use std::time::Duration;

use async_trait::async_trait;

use super::{not_on_host, same_definition};
use crate::{
    event::{Failure, Teller, Unit},
    ports::docker::{
        Docker, Image, Pull, Recreate, RemoveContainer, RunContainer, SetRestart, Start, State as Running,
        Stop, Tag,
    },
    sim::{instance::Instance, state::State, world::World},
};

/// How long a container takes to end after its signal.
const STOP: Duration = Duration::from_millis(400);
const START: Duration = Duration::from_millis(300);
/// Bytes per second that a pull brings.
const NETWORK: u64 = 64 << 20;

impl State {
    fn pull(&mut self, request: &Pull) -> Result<Image, Failure> {
        let (digest, built) = self.registered(&request.reference)?.clone();
        if digest != request.digest {
            let message = format!("`{}` is another image now than when it was looked up", request.reference);
            let evidence = [format!("expected {}", request.digest), format!("found {digest}")];
            return Err(Failure::new("tag_moved", message).evidence(evidence));
        }
        if !self.host.images.contains_key(&built.image.id) {
            let root = self.host.engine.root.clone();
            self.disk.take(root.as_ref(), built.image.size)?;
            self.pass(Duration::from_secs(built.image.size / NETWORK));
        }
        let id = built.image.id.clone();
        self.host.images.entry(id.clone()).or_insert(built);
        self.host.name(&id, &request.reference);
        self.host.image(&id).cloned().ok_or_else(|| not_on_host(&id))
    }

    pub(in crate::sim) fn stop(&mut self, id: &str) -> Result<(), Failure> {
        if matches!(self.host.get(id)?.shown.state, Running::Running | Running::Restarting | Running::Paused)
        {
            self.pass(STOP);
            let now = self.now;
            self.host.get(id)?.stop(now);
            self.disconnect(id);
        }
        Ok(())
    }

    pub(in crate::sim) fn start(&mut self, id: &str) -> Result<(), Failure> {
        if !self.host.get(id)?.shown.is_running() {
            let now = self.now;
            let address = self.host.free_address();
            let instance = self.host.get(id)?;
            for known in instance.shown.networks.values_mut() {
                known.clone_from(&address);
            }
            instance.start(now);
            self.connect(id);
            self.pass(START);
        }
        Ok(())
    }

    fn recreate(&mut self, request: &Recreate) -> Result<String, Failure> {
        let damaged = |error: serde_json::Error| {
            Failure::new("snapshot_unreadable", format!("the kept definition cannot be read: {error}"))
        };
        let mut made: Instance =
            serde_json::from_str(request.snapshot.definition.reveal()).map_err(damaged)?;
        if let Some(known) = self.host.named(&made.shown.name) {
            if same_definition(known, &made) {
                return Ok(known.shown.id.clone());
            }
            let message = format!("there is another container named `{}`", made.shown.name);
            return Err(Failure::new("name_taken", message));
        }
        if !self.host.images.contains_key(&made.shown.image_id) {
            return Err(not_on_host(&made.shown.image_id));
        }
        made.shown.id = self.next_id();
        made.shown.created = self.now;
        made.shown.started = None;
        made.shown.state = Running::Created;
        made.shown.exit_code = None;
        made.shown.health = None;
        made.shown.restarts = 0;
        made.shown.networks.values_mut().for_each(String::clear);
        let id = made.shown.id.clone();
        self.host.instances.insert(id.clone(), made);
        Ok(id)
    }
}

#[async_trait]
impl Docker for World {
    async fn pull(&self, request: &Pull, tell: &Teller) -> Result<Image, Failure> {
        let image = self.act(&format!("pull {}", request.reference), |state| {
            state.host.reach()?;
            state.pull(request)
        })?;
        // Told without the world's lock: a listener may ask the clock.
        for part in 0..=4 {
            let total = image.size;
            tell.progress(format!("`{}`", request.reference), total / 4 * part, Some(total), Unit::Bytes);
        }
        Ok(image)
    }

    async fn tag(&self, request: &Tag) -> Result<(), Failure> {
        self.act(&format!("tag {}", request.reference), |state| {
            state.host.reach()?;
            if !state.host.images.contains_key(&request.image_id) {
                return Err(not_on_host(&request.image_id));
            }
            state.host.name(&request.image_id, &request.reference);
            Ok(())
        })
    }

    async fn stop(&self, request: &Stop) -> Result<(), Failure> {
        self.act(&format!("stop {}", request.service), |state| {
            state.host.reach()?;
            state.stop(&request.id)
        })
    }

    async fn start(&self, request: &Start) -> Result<(), Failure> {
        self.act(&format!("start {}", request.service), |state| {
            state.host.reach()?;
            state.start(&request.id)
        })
    }

    async fn remove(&self, request: &RemoveContainer) -> Result<(), Failure> {
        self.act(&format!("remove container of {}", request.service), |state| {
            state.host.reach()?;
            let state_of = state.host.instances.get(&request.id).map(|instance| instance.shown.state);
            if matches!(state_of, Some(Running::Running | Running::Restarting | Running::Paused)) {
                let message = format!("the container of `{}` still runs", request.service);
                return Err(Failure::new("container_running", message));
            }
            state.host.instances.remove(&request.id);
            Ok(())
        })
    }

    async fn recreate(&self, request: &Recreate) -> Result<String, Failure> {
        self.act(&format!("recreate container of {}", request.service), |state| {
            state.host.reach()?;
            state.recreate(request)
        })
    }

    async fn run(&self, request: &RunContainer) -> Result<String, Failure> {
        let mut state = self.lock();
        state.host.reach()?;
        state.settle();
        state.run(request)
    }

    async fn set_restart(&self, request: &SetRestart) -> Result<(), Failure> {
        self.act(&format!("set restart of {} to {}", request.service, request.to), |state| {
            state.host.reach()?;
            state.host.get(&request.id)?.shown.restart_policy.clone_from(&request.to);
            Ok(())
        })
    }
}
