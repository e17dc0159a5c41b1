//! What a plan cannot know, as a script has it in its hands.

use rhai::{Dynamic, Map};

use super::{conduct::Answer, value::from_json};

/// It can be handed on; whoever looks inside ends the certain part of the plan.
#[derive(Debug, Clone)]
pub(super) struct Unknown(pub(super) String);

impl Answer {
    /// What the script gets.
    pub(super) fn into_script(self) -> Dynamic {
        match self {
            Self::Known(value) => from_json(&value),
            Self::Estimated { value, fields, why } => {
                let mut given = from_json(&value);
                if let Some(mut map) = given.write_lock::<Map>() {
                    for (_, field) in map.iter_mut().filter(|(name, _)| fields.contains(&name.as_str())) {
                        *field = Dynamic::from(Unknown(why.clone()));
                    }
                }
                given
            }
            Self::Unknown { why } => Dynamic::from(Unknown(why)),
        }
    }
}
