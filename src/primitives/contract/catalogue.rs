use std::{fmt, sync::Arc};

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    effect::{Effect, Read},
    record::{Record, to_value},
    seam::{Call, EffectCall, Kept, ReadCall, UndoCall},
};
use crate::event::{Failure, suggest};

/// Whether a primitive writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Read,
    Effect,
}

/// One primitive as everything but itself sees it.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a primitive, whatever the others say"
)]
pub struct Verb {
    pub name: &'static str,
    pub version: u32,
    pub kind: Kind,
    /// See [`Effect::ADDS_ONLY`]; true for reads.
    pub adds_only: bool,
    /// What it does to the databases goes back by the savepoint before it.
    pub moves_data: bool,
    /// See [`Effect::LEAVES_DATA`]; true for reads.
    pub leaves_data: bool,
    /// See [`Read::ADMITS`]; false for effects.
    pub admits: bool,
    /// See [`Effect::ESTIMATED`]; none for reads.
    pub estimated: &'static [&'static str],
    /// Schema of the options, with their doc comments.
    pub options: Schema,
    /// Schema of what the script gets.
    pub outcome: Schema,
    /// The options of the example call.
    pub example: Value,
    parse: fn(Value) -> Result<Box<dyn Call>, Failure>,
    kept: Option<Arc<dyn UndoCall>>,
}

impl Verb {
    /// Understands the options of one call. Fails with `bad_option`; unknown names come with a suggestion.
    pub fn parse(&self, options: Value) -> Result<Box<dyn Call>, Failure> {
        self.check_names(&options)?;
        (self.parse)(options)
    }

    /// Whether a call with this intent, as `version` wrote it, changes nothing that is there.
    #[must_use]
    pub fn only_adds(&self, version: u32, intent: &Value) -> bool {
        self.adds_only || self.kept.as_ref().is_some_and(|kept| kept.only_adds(version, intent.clone()))
    }

    /// `None` for reads.
    #[must_use]
    pub fn kept(&self) -> Option<&dyn UndoCall> {
        self.kept.as_deref()
    }

    /// Names of the options, in the order of the struct.
    #[must_use]
    pub fn option_names(&self) -> Vec<&str> {
        let properties = self.options.as_value().get("properties").and_then(Value::as_object);
        properties.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// `NAME: option ...` failures for keys that no option has; an effect that takes any key says so in its schema.
    fn check_names(&self, options: &Value) -> Result<(), Failure> {
        let open = self.options.as_value().get("additionalProperties").is_some_and(|more| more != false);
        let Some(map) = options.as_object().filter(|_| !open) else { return Ok(()) };
        let known = self.option_names();
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let message = format!("`{}` has no option `{key}`", self.name);
                return Err(Failure::new("bad_option", message).hint(suggest(key, &known)));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verb").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// All primitives that a host offers, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Vec<Arc<Verb>>);

impl Catalogue {
    #[must_use]
    pub fn effect<P: Effect>(self) -> Self {
        self.with(Verb {
            name: P::NAME,
            version: P::VERSION,
            kind: Kind::Effect,
            adds_only: P::ADDS_ONLY,
            moves_data: P::MOVES_DATA,
            leaves_data: P::LEAVES_DATA,
            admits: false,
            estimated: P::ESTIMATED,
            options: schema_for!(P),
            outcome: schema_for!(P::Outcome),
            example: example::<P>(&P::example()),
            parse: |value| Ok(Box::new(EffectCall(options::<P>(P::NAME, value)?))),
            kept: Some(Arc::new(Kept::<P>::new())),
        })
    }

    #[must_use]
    pub fn read<P: Read>(self) -> Self {
        self.with(Verb {
            name: P::NAME,
            version: P::VERSION,
            kind: Kind::Read,
            adds_only: true,
            moves_data: false,
            leaves_data: true,
            admits: P::ADMITS,
            estimated: &[],
            options: schema_for!(P),
            outcome: schema_for!(P::Outcome),
            example: example::<P>(&P::example()),
            parse: |value| Ok(Box::new(ReadCall(options::<P>(P::NAME, value)?))),
            kept: None,
        })
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Verb> {
        self.iter().find(|verb| verb.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Verb> {
        self.0.iter().map(AsRef::as_ref)
    }

    fn with(mut self, verb: Verb) -> Self {
        // A later one of the same name replaces the earlier: an embedder's word goes before ours.
        self.0.retain(|known| known.name != verb.name);
        self.0.push(Arc::new(verb));
        self
    }
}

fn example<P: Record>(example: &P) -> Value {
    to_value(example).unwrap_or(Value::Null)
}

fn options<P: DeserializeOwned + JsonSchema>(name: &str, value: Value) -> Result<P, Failure> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = error.path().to_string();
        let option = if place == "." { String::new() } else { format!(": option `{place}`") };
        Failure::new("bad_option", format!("`{name}`{option}: {}", error.inner()))
            .hint("`uplift runbook show compose/upgrade` shows options at work")
    })
}
