//! `[services]`: which services are the product's, where their names and commands do not tell.

use toml::{Table, Value};

use super::{Wrong, kind, known, section};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::survey) struct Named {
    pub(in crate::survey) web: Option<String>,
    pub(in crate::survey) job: Option<String>,
}

pub(super) fn named(table: &Table) -> Result<Named, Wrong> {
    let Some(services) = section(table, "services")? else { return Ok(Named::default()) };
    known(services, "services.", &["web", "job"])?;
    let name = |key: &str| match services.get(key) {
        None => Ok(None),
        Some(Value::String(name)) if !name.trim().is_empty() => Ok(Some(name.trim().to_owned())),
        Some(value) => {
            Err(kind(&format!("services.{key}"), value, "the name of a service in the compose files"))
        }
    };
    Ok(Named { web: name("web")?, job: name("job")? })
}
