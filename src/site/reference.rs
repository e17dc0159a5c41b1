use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a secret is, in the place of the secret itself: `env:NAME` (a variable that uplift was started with),
/// `file:PATH` (a file for its owner's eyes alone, from the site folder), `setting:NAME` (a value of the site's env file).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    Variable(String),
    File(PathBuf),
    Setting(String),
}

/// How references are written.
const FORMS: &str = "write where the secret is: `env:NAME`, `file:PATH` or `setting:NAME`";

impl Reference {
    /// How a POSIX shell in the site folder finds the secret, between double quotes.
    #[must_use]
    pub fn in_shell(&self) -> String {
        match self {
            Self::Variable(name) => format!("${name}"),
            Self::File(path) => format!("$(cat '{}')", path.display().to_string().replace('\'', r"'\''")),
            Self::Setting(name) => format!("$(sed -n 's/^{name}=//p' .env)"),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    /// The text is in no message: somebody may have written the secret itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|first: char| first.is_ascii_digit())
                && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
        };
        match text.split_once(':') {
            Some(("env", name)) if is_name(name) => Ok(Self::Variable(name.to_owned())),
            Some(("setting", name)) if is_name(name) => Ok(Self::Setting(name.to_owned())),
            Some(("file", path)) if !path.is_empty() && !path.contains('\0') => Ok(Self::File(path.into())),
            _ => Err(FORMS.to_owned()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Setting(name) => write!(f, "setting:{name}"),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whatever it is instead of a text is not repeated either.
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom(FORMS))?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "secret", "examples": ["env:HAPROXY_TOKEN"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_alike() {
        for text in ["env:TOKEN", "setting:SMTP_PASSWORD", "file:uplift/token", "file:/etc/token"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_is_not_repeated() {
        for text in
            ["hunter2-canary", "env:", "env:hunter2-canary", "file:", "https://hunter2-canary/", "env:1A"]
        {
            let why = text.parse::<Reference>().unwrap_err();
            assert!(why.contains("`env:NAME`") && !why.contains("canary"), "{why}");
        }
        let why = serde_json::from_str::<Reference>("{\"canary\": 1}").unwrap_err().to_string();
        assert!(why.contains("`env:NAME`") && !why.contains("canary"), "{why}");
    }
}
