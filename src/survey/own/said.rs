use std::path::Path;

use toml::{Table, Value};

use super::{FILE, own};
use crate::{event::Failure, ports::files::FilesRead};

/// What `uplift.toml` says: each setting with its value, in the order of their names. Of a command only the program is
/// told, because its arguments may hold a key.
pub async fn said(dir: &Path, files: &dyn FilesRead) -> Result<Vec<(String, String)>, Failure> {
    // First as it is always read, so that what is wrong with it is said in the same words.
    own(dir, files).await?;
    let Some(file) = files.read(&dir.join(FILE)).await? else { return Ok(Vec::new()) };
    let table: Table = String::from_utf8_lossy(&file.bytes).parse().unwrap_or_default();
    let mut found = Vec::new();
    flat("", &table, &mut found);
    Ok(found)
}

fn flat(within: &str, table: &Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        match value {
            Value::Table(below) => flat(&name, below, found),
            Value::Array(words) if key == "command" && words.len() > 1 => {
                let program = words.first().map(written).unwrap_or_default();
                found.push((name, format!("[{program}, ...]")));
            }
            value => found.push((name, written(value))),
        }
    }
}

/// As it could stand in the file.
fn written(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_a_command_are_not_told() {
        let text =
            "[notify]\ncommand = [\"/bin/tell\", \"--token\", \"t-123456\"]\n[database]\nport = 6543\n";
        let mut found = Vec::new();
        flat("", &text.parse().unwrap(), &mut found);
        found.sort();
        let told: Vec<_> = found.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        assert_eq!(told, ["database.port = 6543", "notify.command = [\"/bin/tell\", ...]"]);
    }
}
