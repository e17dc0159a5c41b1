use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::event::Failure;

/// What crosses the seam: options, intents and outcomes. JSON in the journal, a map in a script.
///
/// An option struct carries `#[serde(deny_unknown_fields)]`; its doc comments are the documentation of the options.
pub trait Record: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> Record for T {}

/// A record as JSON.
pub fn to_value<T: Serialize>(record: &T) -> Result<Value, Failure> {
    serde_json::to_value(record).map_err(|error| not_recordable(&error))
}

/// A record as the bytes of a file.
pub(in crate::primitives) fn to_bytes<T: Serialize>(record: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(record).map_err(|error| not_recordable(&error))
}

fn not_recordable(error: &serde_json::Error) -> Failure {
    Failure::inside("not_recordable", format!("what a call has to note cannot be recorded: {error}"))
}

/// A record read back; the message names the place inside it.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("`{place}`: ") };
        Failure::new("bad_record", format!("what a call has noted cannot be read: {place}{}", error.inner()))
            .hint("use the uplift that began the run")
    })
}
