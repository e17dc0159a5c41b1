use async_trait::async_trait;

use super::Twin;
use crate::{
    event::Failure,
    ports::requests::{Reply, Requests, RequestsRead, SendRequest},
};

/// A rehearsal sends nothing to anybody, not even what is said to change nothing.
#[async_trait]
impl RequestsRead for Twin {
    async fn ask(&self, _: &SendRequest) -> Result<Option<Reply>, Failure> {
        Ok(None)
    }
}

#[async_trait]
impl Requests for Twin {
    async fn send(&self, request: &SendRequest) -> Result<Reply, Failure> {
        self.wrote(request.change());
        self.make_up(format!("what `{}` answers is known once it is asked", request.words()));
        Ok(Reply::default())
    }
}
