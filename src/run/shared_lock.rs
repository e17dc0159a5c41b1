//! The site's lock in the database: what keeps two machines apart that work on the same databases.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::{
    event::Failure,
    ports::{
        Ports,
        clock::Clock,
        postgres::{LockSite, Postgres, SiteLock},
    },
};

/// The server may need a moment to see that an earlier run's session has gone.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Held while this value lives, or missing for as long as the server is down and nothing needs it.
pub struct SharedLock {
    postgres: Arc<dyn Postgres>,
    clock: Arc<dyn Clock>,
    request: LockSite,
    held: Mutex<Option<Box<dyn SiteLock>>>,
}

impl SharedLock {
    /// Takes it. Fails with what [`Postgres::lock`] fails with.
    pub async fn take(ports: &Ports, request: LockSite) -> Result<Self, Failure> {
        let lock = Self::not_taken(ports, request);
        *lock.held.lock().await = Some(lock.ask().await?);
        Ok(lock)
    }

    /// Takes it, or goes without while the server is down, and says why. Only for a run that was begun already:
    /// finishing it or taking it back must be possible as far as it leaves the databases alone.
    pub async fn take_if_up(ports: &Ports, request: LockSite) -> Result<(Self, Option<Failure>), Failure> {
        let lock = Self::not_taken(ports, request);
        match lock.ask().await {
            Ok(held) => *lock.held.lock().await = Some(held),
            Err(failure) if is_down(&failure) => return Ok((lock, Some(failure))),
            Err(failure) => return Err(failure),
        }
        Ok((lock, None))
    }

    fn not_taken(ports: &Ports, request: LockSite) -> Self {
        let (postgres, clock) = (Arc::clone(&ports.postgres), Arc::clone(&ports.clock));
        Self { postgres, clock, request, held: Mutex::new(None) }
    }

    async fn ask(&self) -> Result<Box<dyn SiteLock>, Failure> {
        let mut answer = self.postgres.lock(&self.request).await;
        for _ in 1..TRIES {
            if !answer.as_ref().is_err_and(|failure| failure.code == "site_held") {
                break;
            }
            self.clock.sleep(PAUSE).await;
            answer = self.postgres.lock(&self.request).await;
        }
        answer
    }

    /// Nothing may begin unless this is well. Where the lock is missing, what leaves the databases alone may; the
    /// rest needs the server anyway, and takes the lock as soon as it is back.
    pub(super) async fn stands(&self, leaves_data: bool) -> Result<(), Failure> {
        let mut held = self.held.lock().await;
        match &*held {
            Some(lock) if lock.is_held().await => Ok(()),
            Some(_) => Err(self.lost().await),
            None if leaves_data => Ok(()),
            None => {
                *held = Some(self.ask().await?);
                Ok(())
            }
        }
    }

    /// Whether the run goes on without it.
    pub(super) async fn is_missing(&self) -> bool {
        self.held.lock().await.is_none()
    }

    /// Why the lock is lost: by the server's end, or by the end of its session alone. Only then may anybody else have taken
    /// it.
    async fn lost(&self) -> Failure {
        let at = &self.request.endpoint;
        if let Err(down) = self.postgres.server(at, &self.request.primary).await
            && is_down(&down)
        {
            let text = format!(
                "the database server `{}:{}` does not answer any more, and with it went the site's lock, so nothing more \
                 was begun",
                at.host, at.port
            );
            return Failure::new("lock_lost", text).evidence([down.message]).hint(
                "start the server, or mend the way to it; then `uplift resume` goes on and `uplift rollback` goes back",
            );
        }
        let text = format!(
            "the session that held the site's lock on the database server `{}:{}` has ended, so nothing more was begun",
            at.host, at.port
        );
        Failure::new("lock_lost", text).hint(
            "another machine may have begun to work on this site: ask there first; if none has, `uplift resume` goes on \
             and `uplift rollback` goes back",
        )
    }
}

/// Whether the server as a whole does not answer.
pub(super) fn is_down(failure: &Failure) -> bool {
    failure.code == "database_unreachable"
}
