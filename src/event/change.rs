use serde::{Deserialize, Serialize};

/// How sure a plan is of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// Read from the site.
    Known,
    /// Taken as the worst case; the text says what would make it certain.
    Assumed(String),
}

/// One thing that a writing method of a port changes. Plans are made of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A file gets other content. `diff` is unified; secrets in it are masked.
    File { path: String, diff: String },
    /// A file or folder is added beside what is there; nothing is replaced.
    Added { path: String, bytes: Option<u64>, what: String },
    /// A file or folder of ours is removed.
    Removed { path: String, what: String },
    /// An image is added to the host. `bytes` is what it takes on the disk, as far as that can be told before.
    Image { reference: String, digest: Option<String>, bytes: Option<u64> },
    /// A local name is given to an image.
    Tag { image: String, reference: String },
    /// A service stops answering.
    ServiceDown { service: String, container: String },
    /// A service is started. `replaces` is the container that goes.
    ServiceUp { service: String, image: String, replaces: Option<String> },
    /// A container is removed for good.
    ContainerRemoved { service: String, container: String },
    /// A restart policy is changed.
    RestartPolicy { service: String, from: String, to: String },
    /// A container of the new release runs beside the site, where no user reaches it.
    Trial { service: String, image: String },
    /// A container of the runbook's own runs beside the site: to its end, or until it is taken away.
    Container { name: String, image: String, stays: bool },
    /// Something about a database changes; `what` is a predicate, e.g. "keeps everybody out".
    Database { name: String, what: String },
    /// A database is added on the server beside those that are there.
    DatabaseAdded { name: String, bytes: Option<u64>, what: String },
    /// A folder of the product's takes another's place.
    Tree { path: String, what: String },
    /// A database of uplift's is dropped.
    DatabaseRemoved { name: String },
    /// A program of the operator's is started; what it changes is its own business.
    Program { command: String },
    /// Somebody is told something; nothing of the site changes.
    Told { to: String, text: String },
    /// A service elsewhere is asked for something; what that changes is its own business.
    Request { method: String, url: String },
    /// Something of a system that an embedding program brings: `port` is what it is called there, `what` a predicate, e.g.
    /// "turns `checkout` off".
    Outside { port: String, what: String },
}

/// A [`Change`] with what a person would type to make it by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    pub change: Change,
    /// One line for a POSIX shell, secrets left out; `None` where no single command does it.
    pub shell: Option<String>,
}

impl Write {
    /// What a port of an embedder's own changes; `what` is a predicate, e.g. "turns `checkout` off".
    pub fn outside(port: &str, what: impl Into<String>) -> Self {
        Self { change: Change::Outside { port: port.to_owned(), what: what.into() }, shell: None }
    }

    /// Adds what a person would type to make it by hand: one line for a POSIX shell, secrets left out.
    #[must_use]
    pub fn by_hand(self, shell: impl Into<String>) -> Self {
        Self { shell: Some(shell.into()), ..self }
    }
}

/// One call of a plan: what it would change, in the order of the writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub address: String,
    pub summary: String,
    pub writes: Vec<Write>,
    /// What is assumed about it, with what would make it certain.
    pub assumed: Vec<String>,
    /// What taking it back would do, in a sentence; `None` for reads.
    pub undo: Option<String>,
    /// What was read, for the check that a plan is not stale: a name and a short value each.
    pub relies_on: Vec<(String, String)>,
}
