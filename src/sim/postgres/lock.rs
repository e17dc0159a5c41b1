use async_trait::async_trait;

use crate::{
    event::Failure,
    ports::postgres::{LockSite, SiteLock},
    sim::{server::Held, world::World},
};

/// The site's lock in a world, given back when it is dropped.
struct Lock {
    world: World,
    session: u64,
}

impl World {
    pub(super) fn take_lock(&self, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
        let session = self.look(|state| {
            state.session(&request.endpoint)?;
            let server = &mut state.server;
            if let Some(pooler) = &server.pooler {
                let text = format!("{pooler} stands before the database server: a lock would not hold there");
                return Err(Failure::new("pooled", text).hint("give the server's own address"));
            }
            if server.lock_denied {
                let text = format!("`{}` may not connect to the database `postgres`", server.user);
                return Err(Failure::new("lock_denied", text)
                    .hint("set `UPLIFT_DB_ADMIN_URL` to an administrator's address"));
            }
            if let Some(held) = &server.lock {
                let text = format!("another run holds this site: {}", held.holder);
                return Err(Failure::new("site_held", text).hint("wait until it has ended"));
            }
            let session = server.number();
            server.lock = Some(Held { holder: request.holder.clone(), session });
            Ok(session)
        })?;
        Ok(Box::new(Lock { world: self.clone(), session }))
    }
}

impl Lock {
    fn stands(&self) -> bool {
        let state = self.world.lock();
        let held = state.server.lock.as_ref().is_some_and(|held| held.session == self.session);
        held && state.server.reachable
    }
}

#[async_trait]
impl SiteLock for Lock {
    async fn is_held(&self) -> bool {
        self.stands()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        if state.server.lock.as_ref().is_some_and(|held| held.session == self.session) {
            state.server.lock = None;
        }
    }
}
