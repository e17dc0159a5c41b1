//! A database server that is a container of the project, reached by nobody but through its network.

use super::{
    state::{State, hex},
    world::World,
};

/// The image of a database server that is a container of the project.
pub(super) const DATABASE: &str = "postgres:15";

impl State {
    /// The service that the database server is, where it is one.
    pub(super) fn database_service(&self) -> Option<String> {
        let mut services = self.model.services.iter();
        services.find(|(_, model)| model.image == DATABASE).map(|(name, _)| name.clone())
    }

    /// Its container comes up, at the first address that is free.
    pub(super) fn start_database(&mut self, name: &str) {
        let known = self.host.service(&self.model.project.name, name).pop().map(|one| one.id);
        let Some(config) = self.service_config(name) else { return };
        let id = known.unwrap_or_else(|| self.create(name, &config, &format!("sha256:{}", hex(DATABASE))));
        let _started = self.start(&id);
        let shown = self.host.get(&id).ok().and_then(|one| one.shown.networks.values().next().cloned());
        self.server.host = shown.unwrap_or_default();
        self.server.reachable = true;
    }
}

impl World {
    /// The container that the server is stops; the next start may give it another address.
    pub fn stop_database(&self) {
        self.set_server(false, false);
        let mut state = self.lock();
        let Some(name) = state.database_service() else { return };
        let project = state.model.project.name.clone();
        for one in state.host.service(&project, &name) {
            let _stopped = state.stop(&one.id);
            if let Ok(stopped) = state.host.get(&one.id) {
                stopped.shown.networks.values_mut().for_each(String::clear);
            }
        }
    }

    /// It starts again; somebody else has taken its old address meanwhile.
    pub fn start_database_elsewhere(&self) {
        let taken = self.lock().server.host.clone();
        self.put_container("neighbour", "busybox:1", |shown| {
            shown.networks = [("strata_default".to_owned(), taken)].into();
        });
        let mut state = self.lock();
        if let Some(name) = state.database_service() {
            state.start_database(&name);
        }
    }
}
