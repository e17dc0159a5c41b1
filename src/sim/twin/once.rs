//! The live engine, compose, server and trees as a rehearsal reads them: every question is asked once, and its answer holds
//! until the rehearsal is over. A wait that looks forty times in the rehearsal's own time would otherwise ask them forty
//! times, and a plan must not see two different sites. Files are read as they are: what a plan relies on of them is compared
//! when it is carried out.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{
    event::{Failure, Teller},
    ports::{
        compose::{ComposeRead, Config},
        docker::{Container, DockerRead, Engine, Image, LogLine, Said, Select, Snapshot},
        postgres::{
            Activity, Contents, DatabaseFacts, Decoded, DumpClient, Jobs, KeptDatabase, Obstacle,
            PostgresRead, Query, Rows, Server, Session, WrittenRows,
        },
        trees::{CheckTree, FillTree, Lacking, TreeCheck, TreeFacts, TreesRead},
    },
    site::{Endpoint, Project, Secret},
};

/// A reading port with what it has answered so far. Failures are not kept: the next look may find an answer.
pub(super) struct Once<P: ?Sized> {
    live: Arc<P>,
    answers: Mutex<HashMap<String, Box<dyn Any + Send>>>,
}

impl<P: ?Sized> Once<P> {
    pub(super) fn new(live: Arc<P>) -> Self {
        Self { live, answers: Mutex::default() }
    }

    async fn ask<T: Clone + Send + 'static>(
        &self,
        question: String,
        live: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        let known = |answers: &HashMap<String, Box<dyn Any + Send>>| {
            answers.get(&question).and_then(|answer| answer.downcast_ref::<T>().cloned())
        };
        if let Some(known) = known(&self.answers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let answer = live.await?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(question, Box::new(answer.clone()));
        Ok(answer)
    }
}

#[async_trait]
impl DockerRead for Once<dyn DockerRead> {
    async fn engine(&self) -> Result<Engine, Failure> {
        self.ask("engine".to_owned(), self.live.engine()).await
    }

    async fn containers(&self, select: &Select) -> Result<Vec<Container>, Failure> {
        self.ask(format!("containers {select:?}"), self.live.containers(select)).await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Failure> {
        self.ask(format!("container {id}"), self.live.container(id)).await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Failure> {
        self.ask(format!("image {reference}"), self.live.image(reference)).await
    }

    async fn remote_digest(&self, reference: &str) -> Result<String, Failure> {
        self.ask(format!("digest {reference}"), self.live.remote_digest(reference)).await
    }

    async fn image_files(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure> {
        self.ask(format!("files {image_id} {folder}"), self.live.image_files(image_id, folder)).await
    }

    async fn environment(&self, id: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        self.ask(format!("environment {id}"), self.live.environment(id)).await
    }

    async fn image_environment(&self, image_id: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        self.ask(format!("image environment {image_id}"), self.live.image_environment(image_id)).await
    }

    async fn logs(&self, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Failure> {
        self.ask(format!("logs {id} {tail:?}"), self.live.logs(id, tail)).await
    }

    async fn file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.ask(format!("file {id} {path}"), self.live.file(id, path)).await
    }

    async fn gateway(&self) -> Result<Option<String>, Failure> {
        self.ask("gateway".to_owned(), self.live.gateway()).await
    }

    async fn volume(&self, name: &str) -> Result<Option<String>, Failure> {
        self.ask(format!("volume {name}"), self.live.volume(name)).await
    }

    async fn said(&self, id: &str) -> Result<Said, Failure> {
        self.ask(format!("said {id}"), self.live.said(id)).await
    }

    async fn network(&self, name: &str) -> Result<bool, Failure> {
        self.ask(format!("network {name}"), self.live.network(name)).await
    }

    async fn snapshot(&self, id: &str) -> Result<Snapshot, Failure> {
        self.ask(format!("snapshot {id}"), self.live.snapshot(id)).await
    }
}

#[async_trait]
impl ComposeRead for Once<dyn ComposeRead> {
    async fn version(&self) -> Result<semver::Version, Failure> {
        self.ask("version".to_owned(), self.live.version()).await
    }

    async fn config(
        &self,
        project: &Project,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Config, Failure> {
        self.ask(format!("config {project:?} {overrides:?}"), self.live.config(project, overrides)).await
    }
}

#[async_trait]
impl PostgresRead for Once<dyn PostgresRead> {
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure> {
        self.ask(format!("server {endpoint:?} {database}"), self.live.server(endpoint, database)).await
    }

    async fn direct(&self, endpoint: &Endpoint, database: &str) -> Result<(), Failure> {
        self.ask(format!("direct {endpoint:?} {database}"), self.live.direct(endpoint, database)).await
    }

    async fn lockable(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        self.ask(format!("lockable {endpoint:?}"), self.live.lockable(endpoint)).await
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        self.ask(format!("databases {endpoint:?} {names:?}"), self.live.databases(endpoint, names)).await
    }

    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let question = format!("schema {endpoint:?} {database}");
        self.ask(question, self.live.schema_versions(endpoint, database)).await
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        let question = format!("sessions {endpoint:?} {databases:?}");
        self.ask(question, self.live.sessions(endpoint, databases)).await
    }

    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure> {
        self.ask(format!("dump client {major}"), self.live.dump_client(major)).await
    }

    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure> {
        self.ask(format!("unreadable {endpoint:?} {database}"), self.live.unreadable(endpoint, database))
            .await
    }

    async fn activity(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Activity>, Failure> {
        let question = format!("activity {endpoint:?} {databases:?}");
        self.ask(question, self.live.activity(endpoint, databases)).await
    }

    async fn obstacles(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Obstacle>, Failure> {
        let question = format!("obstacles {endpoint:?} {databases:?}");
        self.ask(question, self.live.obstacles(endpoint, databases)).await
    }

    async fn kept(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<KeptDatabase>, Failure> {
        self.ask(format!("kept {endpoint:?} {databases:?}"), self.live.kept(endpoint, databases)).await
    }

    async fn contents(&self, endpoint: &Endpoint, database: &str) -> Result<Contents, Failure> {
        self.ask(format!("contents {endpoint:?} {database}"), self.live.contents(endpoint, database)).await
    }

    async fn listed_uploads(&self, endpoint: &Endpoint, database: &str) -> Result<u64, Failure> {
        let question = format!("uploads {endpoint:?} {database}");
        self.ask(question, self.live.listed_uploads(endpoint, database)).await
    }

    async fn snapshot(&self, endpoint: &Endpoint, database: &str) -> Result<String, Failure> {
        self.ask(format!("snapshot {endpoint:?} {database}"), self.live.snapshot(endpoint, database)).await
    }

    async fn written_since(
        &self,
        endpoint: &Endpoint,
        database: &str,
        snapshot: &str,
        sequences: &BTreeMap<String, i64>,
    ) -> Result<Vec<WrittenRows>, Failure> {
        let question = format!("written {endpoint:?} {database} {snapshot} {sequences:?}");
        self.ask(question, self.live.written_since(endpoint, database, snapshot, sequences)).await
    }

    async fn sequences(&self, endpoint: &Endpoint, database: &str) -> Result<BTreeMap<String, i64>, Failure> {
        self.ask(format!("sequences {endpoint:?} {database}"), self.live.sequences(endpoint, database)).await
    }

    async fn jobs(
        &self,
        endpoint: &Endpoint,
        database: &str,
        until: Option<i64>,
        limit: usize,
    ) -> Result<Jobs, Failure> {
        let question = format!("jobs {endpoint:?} {database} {until:?} {limit}");
        self.ask(question, self.live.jobs(endpoint, database, until, limit)).await
    }

    async fn query(&self, request: &Query) -> Result<Rows, Failure> {
        self.ask(format!("query {request:?}"), self.live.query(request)).await
    }

    async fn room(&self, endpoint: &Endpoint) -> Result<Option<u64>, Failure> {
        self.ask(format!("room {endpoint:?}"), self.live.room(endpoint)).await
    }

    async fn decode(&self, major: u32, file: &Path, tell: &Teller) -> Result<Decoded, Failure> {
        self.ask(format!("decode {major} {}", file.display()), self.live.decode(major, file, tell)).await
    }
}

#[async_trait]
impl TreesRead for Once<dyn TreesRead> {
    async fn facts(&self, path: &Path) -> Result<TreeFacts, Failure> {
        self.ask(format!("facts {}", path.display()), self.live.facts(path)).await
    }

    async fn beside(&self, live: &Path, name: &str) -> Result<PathBuf, Failure> {
        self.ask(format!("beside {} {name}", live.display()), self.live.beside(live, name)).await
    }

    async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure> {
        self.ask(format!("inode {}", path.display()), self.live.inode(path)).await
    }

    async fn check(&self, request: &CheckTree, tell: &Teller) -> Result<TreeCheck, Failure> {
        self.ask(format!("check {request:?}"), self.live.check(request, tell)).await
    }

    async fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure> {
        self.ask(format!("lacking {request:?}"), self.live.lacking(request)).await
    }
}
