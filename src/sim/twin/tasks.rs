use super::{STOP, Twin};
use crate::{
    event::Failure,
    ports::docker::{Container, DockerRead as _, RunContainer, Select, State},
    sim::{engine::not_on_host, tasks::container},
};

impl Twin {
    /// A task is taken to end at once, and nobody knows how: how long it takes is its own business.
    pub(super) async fn ran(&self, request: &RunContainer) -> Result<String, Failure> {
        let all = self.all(&Select::All).await?;
        if let Some(known) = all.into_iter().find(|one| one.name == request.name) {
            return Ok(known.id);
        }
        let missing = || not_on_host(&request.image_id);
        let image = self.image(&request.image_id).await?.ok_or_else(missing)?;
        let made = {
            let mut overlay = self.lock();
            let id = overlay.containers.next_id();
            let made = container(request, &image.id, &id, overlay.now);
            overlay.containers.made.insert(id, None);
            made
        };
        let id = made.id.clone();
        self.wrote(request.change());
        self.started(made.clone());
        if !request.stays {
            self.pass(STOP);
            let started = Some(self.lock().now);
            self.change(Container { state: State::Exited, exit_code: None, started, ..made });
            self.lock().containers.started.remove(&id);
            let words = request.command.join(" ");
            self.make_up(format!("what `{words}` says is known once it has run"));
        }
        Ok(id)
    }
}
