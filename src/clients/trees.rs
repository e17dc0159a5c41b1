//! Trees of files on this host. All of it blocks, so all of it runs on threads made for that.

mod attributes;
mod check;
mod content;
mod desk;
mod earlier;
mod entry;
mod exchange;
mod failed;
mod fill;
mod index;
mod keep;
mod pack;
mod stream;
mod tar;
mod unpack;
mod walk;
mod writer;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rustix::fs::FileType;

use self::walk::{Root, Walk};
use super::files::blocking;
use crate::{
    event::{Failure, Teller},
    ports::trees::{
        CheckTree, ExchangeTrees, FillTree, Lacking, PackTree, Packed, TreeCheck, TreeFacts, Trees,
        TreesRead, UnpackTree,
    },
};

/// Trees of files on this host.
pub(super) struct HostTrees;

#[async_trait]
impl TreesRead for HostTrees {
    async fn facts(&self, path: &Path) -> Result<TreeFacts, Failure> {
        let path = path.to_owned();
        desk::work(move |desk| facts(&path, desk)).await
    }

    async fn beside(&self, live: &Path, name: &str) -> Result<PathBuf, Failure> {
        let (live, name) = (live.to_owned(), name.to_owned());
        blocking(move || exchange::beside(&live, &name)).await
    }

    async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure> {
        let path = path.to_owned();
        blocking(move || exchange::inode(&path)).await
    }

    async fn check(&self, request: &CheckTree, tell: &Teller) -> Result<TreeCheck, Failure> {
        let (request, tell) = (request.clone(), tell.clone());
        desk::work(move |desk| check::check(&request, desk, &tell)).await
    }

    async fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure> {
        let request = request.clone();
        desk::work(move |desk| fill::lacking(&request, desk)).await
    }
}

#[async_trait]
impl Trees for HostTrees {
    async fn pack(&self, request: &PackTree, tell: &Teller) -> Result<Packed, Failure> {
        let (request, tell) = (request.clone(), tell.clone());
        desk::work(move |desk| pack::pack(&request, desk, &tell)).await
    }

    async fn unpack(&self, request: &UnpackTree, tell: &Teller) -> Result<u64, Failure> {
        let (request, tell) = (request.clone(), tell.clone());
        desk::work(move |desk| unpack::unpack(&request, desk, &tell)).await
    }

    async fn exchange(&self, request: &ExchangeTrees) -> Result<(), Failure> {
        let request = request.clone();
        blocking(move || exchange::exchange(&request)).await
    }

    async fn fill(&self, request: &FillTree, tell: &Teller) -> Result<(), Failure> {
        let (request, tell) = (request.clone(), tell.clone());
        desk::work(move |desk| fill::fill(&request, desk, &tell)).await
    }
}

fn facts(path: &Path, desk: &desk::Desk) -> Result<TreeFacts, Failure> {
    let mut facts = TreeFacts { files: 0, folders: 0, bytes: 0 };
    let mut seen = HashSet::new();
    // Root reads everything.
    let ask_for_access = !rustix::process::geteuid().is_root();
    let mut walk = Walk { ask_for_access, ..Walk::default() };
    let walked = Root::open(path).and_then(|root| {
        root.walk(&mut walk, desk, &mut |found| {
            match found.about.kind {
                FileType::Directory => facts.folders += 1,
                FileType::RegularFile => {
                    facts.files += 1;
                    if found.about.links < 2 || seen.insert(found.about.identity()) {
                        facts.bytes += found.about.taken;
                    }
                }
                _ => {}
            }
            Ok(())
        })
    });
    // Asked before anything is done: it is about rights then, not about a copy that could not be made.
    walked.map_err(|failure| match failure.code.as_str() {
        "unreadable_file" => Failure { code: "permission_denied".to_owned(), ..failure },
        _ => failure,
    })?;
    Ok(facts)
}
