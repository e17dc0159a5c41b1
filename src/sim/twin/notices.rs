use std::path::Path;

use async_trait::async_trait;

use super::Twin;
use crate::{
    event::Failure,
    ports::notices::{GiveNotice, Notices, NoticesRead, PostNotice},
    site::Notify,
};

#[async_trait]
impl NoticesRead for Twin {
    async fn ready(&self, to: &Notify, folder: &Path) -> Result<(), Failure> {
        self.live().notices.ready(to, folder).await
    }
}

#[async_trait]
impl Notices for Twin {
    /// Nobody is told of a rehearsal.
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure> {
        self.wrote(request.change());
        Ok(())
    }

    async fn post(&self, request: &PostNotice) -> Result<(), Failure> {
        self.wrote(request.change());
        Ok(())
    }
}
