use async_trait::async_trait;

use crate::{
    event::Failure,
    ports::postgres::{LockSite, SiteLock},
    sim::{
        server::{Lock, Server},
        world::World,
    },
};

/// The site's lock in a world, given back when it is dropped.
struct Holding {
    world: World,
    session: u64,
}

pub(super) fn pooled(pooler: &str) -> Failure {
    let text = format!("{pooler} stands before the database server: a lock would not hold there");
    Failure::new("pooled", text).hint("give the server's own address")
}

impl World {
    pub(super) fn take_lock(&self, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
        let session = self.look(|state| {
            state.session(&request.endpoint)?;
            let server = &mut state.server;
            if let Some(pooler) = &server.pooler {
                return Err(pooled(pooler));
            }
            lockable(server)?;
            if let Lock::Held { holder, .. } = &server.lock {
                let at = &request.endpoint;
                let text = format!(
                    "another run holds this site's databases on `{}:{}`: `{holder}`",
                    at.host, at.port
                );
                return Err(Failure::new("site_held", text)
                    .hint("wait for it to end; it may run on another host that uses the same databases"));
            }
            let session = server.number();
            server.lock = Lock::Held { holder: request.holder.clone(), session };
            Ok(session)
        })?;
        Ok(Box::new(Holding { world: self.clone(), session }))
    }
}

impl Holding {
    fn stands(&self) -> bool {
        let state = self.world.lock();
        state.server.lock.is_of(self.session) && state.server.reachable
    }
}

#[async_trait]
impl SiteLock for Holding {
    async fn is_held(&self) -> bool {
        self.stands()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        if state.server.lock.is_of(self.session) {
            state.server.lock = Lock::Free;
        }
    }
}

/// Whether the database that holds the lock lets the site's user in.
pub(super) fn lockable(server: &Server) -> Result<(), Failure> {
    if server.lock != Lock::Denied {
        return Ok(());
    }
    let text = format!("`{}` may not connect to the database `postgres`", server.user);
    Err(Failure::new("lock_denied", text).hint("set `UPLIFT_DB_ADMIN_URL` to an administrator's address"))
}
