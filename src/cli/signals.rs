use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How often somebody wanted this to stop. The first time ends a run in good order, the second leaves at once.
///
/// A closed terminal (SIGHUP) is heard and ignored: a run goes on without anybody who watches.
#[derive(Clone)]
pub(super) struct Signals(watch::Receiver<u32>);

impl Signals {
    pub(super) fn listen() -> Self {
        let (told, heard) = watch::channel(0);
        tokio::spawn(async move {
            // Where a signal cannot be listened to it does what it always did.
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
            ) else {
                // Kept, so that nobody takes the end of this task for a signal.
                return told.closed().await;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => told.send_modify(|times| *times += 1),
                    _ = terminate.recv() => told.send_modify(|times| *times += 1),
                    _ = hangup.recv() => {}
                    () = told.closed() => return,
                }
            }
        });
        Self(heard)
    }

    /// Comes back once it was wanted `times` times.
    pub(super) async fn wanted(&self, times: u32) {
        let mut heard = self.0.clone();
        if heard.wait_for(|so_far| *so_far >= times).await.is_err() {
            futures::future::pending::<()>().await;
        }
    }

    /// Comes back once it is wanted one more time than by now.
    pub(super) async fn another(&self) {
        let so_far = *self.0.borrow();
        self.wanted(so_far + 1).await;
    }
}
