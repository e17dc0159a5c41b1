//! What earlier calls of the same run have given: `outcome("prepare/backup#1")`. A hook sees nothing of the variables of the
//! step that it belongs to, and the addresses are what plan, screen and journal name calls by.

use std::collections::BTreeMap;

use super::conduct::Answer;
use crate::{
    event::Failure,
    primitives::contract::{Catalogue, suggest},
};

/// Answers by the address of their call. A call that failed has none.
#[derive(Default)]
pub(super) struct Earlier(BTreeMap<String, Answer>);

impl Earlier {
    pub(super) fn note(&mut self, address: String, answer: &Answer) {
        self.0.insert(address, answer.clone());
    }

    pub(super) fn get(&self, address: &str) -> Result<Answer, Failure> {
        self.0.get(address).cloned().ok_or_else(|| {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let text = format!("this run has nothing from `{address}` yet");
            let hint = match &known[..] {
                [] => "no call came before it".to_owned(),
                known => suggest(address, known),
            };
            Failure::new("no_such_call", text).hint(hint)
        })
    }
}

/// An address, as far as its text tells.
pub(super) struct Address<'a> {
    /// Names of steps, hosts and hooks; none outside a step.
    pub(super) path: Vec<&'a str>,
    pub(super) verb: &'a str,
}

impl<'a> Address<'a> {
    /// Fails with why it can be none, and what to write instead.
    pub(super) fn read(text: &'a str, catalogue: &Catalogue) -> Result<Self, (String, String)> {
        let form = || {
            let hint = "write `STEP/CALL#N`, e.g. `outcome(\"prepare/backup#1\")` for the first `backup` in `prepare`";
            (format!("`{text}` is no address of a call"), hint.to_owned())
        };
        let (path, call) = text.rsplit_once('/').unwrap_or(("", text));
        let (verb, number) = call.split_once('#').ok_or_else(form)?;
        if !number.parse::<u32>().is_ok_and(|number| number > 0) {
            return Err(form());
        }
        if catalogue.get(verb).is_none() {
            let known: Vec<_> = catalogue.iter().map(|verb| verb.name).collect();
            return Err((format!("there is no call `{verb}`"), suggest(verb, &known)));
        }
        Ok(Self { path: path.split('/').filter(|part| !part.is_empty()).collect(), verb })
    }

    /// The steps that it stands in, and whether before or after one.
    pub(super) fn places(&self) -> impl Iterator<Item = &'a str> {
        self.path.iter().copied().filter(|part| !part.starts_with("host:"))
    }
}
