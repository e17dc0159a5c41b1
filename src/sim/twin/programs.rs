use std::path::Path;

use async_trait::async_trait;

use super::Twin;
use crate::{
    event::{Failure, Teller},
    ports::programs::{Programs, ProgramsRead, Ran, RunProgram},
};

#[async_trait]
impl ProgramsRead for Twin {
    async fn ready(&self, program: &Path) -> Result<(), Failure> {
        self.live().programs.ready(program).await
    }

    /// Whatever the runbook says of it: only starting it would show that it changes nothing.
    async fn ask(&self, _: &RunProgram) -> Result<Option<Ran>, Failure> {
        Ok(None)
    }
}

#[async_trait]
impl Programs for Twin {
    async fn run(&self, request: &RunProgram, _: &Teller) -> Result<Ran, Failure> {
        self.ready(&request.program).await?;
        self.wrote(request.change());
        self.make_up(format!("what `{}` says is known once it is started", request.words()));
        Ok(Ran::default())
    }
}
