use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rustix::fs::{Access, access};

use super::{
    process::{Processes, in_words},
    requests::Elsewhere,
};
use crate::{
    event::Failure,
    ports::{
        notices::{GiveNotice, Notices, NoticesRead, PostNotice, missing, not_executable},
        requests::Requests as _,
    },
    site::Notify,
};

/// The command that is told of runs, started for each notice, and the chat that is.
pub(super) struct NoticeCommand {
    pub(super) processes: Processes,
    pub(super) elsewhere: Arc<Elsewhere>,
}

impl NoticeCommand {
    /// The program's own file: by its path from the site's folder, or by its name in `PATH`.
    fn find(&self, to: &Notify, folder: &Path) -> Result<PathBuf, Failure> {
        let program = to.program();
        let path = self.processes.environment.get("PATH").unwrap_or_default();
        let places: Vec<_> = if program.contains('/') {
            vec![folder.to_owned()]
        } else {
            std::env::split_paths(path).collect()
        };
        let there: Vec<_> =
            places.iter().map(|place| place.join(program)).filter(|path| path.exists()).collect();
        let may = |path: &&PathBuf| path.is_file() && access(path.as_path(), Access::EXEC_OK).is_ok();
        match (there.iter().find(may), there.first()) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(path)) => Err(not_executable(path)),
            (None, None) => Err(missing(program)),
        }
    }
}

#[async_trait]
impl NoticesRead for NoticeCommand {
    async fn ready(&self, to: &Notify, folder: &Path) -> Result<(), Failure> {
        self.find(to, folder).map(drop)
    }
}

#[async_trait]
impl Notices for NoticeCommand {
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure> {
        let GiveNotice { to, notice } = request;
        let path = self.find(to, &notice.folder)?;
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new("notifier_failed", format!("`{}` cannot be started: {error}", to.program()))
        };
        let mut input = serde_json::to_vec(notice).map_err(|error| broken(&error))?;
        input.push(b'\n');
        let program = self.processes.apart(&path).args(to.command.iter().skip(1)).envs(&notice.variables());
        let ended = program.folder(&notice.folder).input(input).within(to.timeout).await;
        match ended.map_err(|error: io::Error| broken(&error))? {
            None => Err(request.hangs()),
            Some((status, _)) if status.success() => Ok(()),
            Some((status, last_lines)) => Err(request.failed(&in_words(status), last_lines)),
        }
    }
    async fn post(&self, request: &PostNotice) -> Result<(), Failure> {
        request.heard(&self.elsewhere.send(&request.request()).await?)
    }
}
