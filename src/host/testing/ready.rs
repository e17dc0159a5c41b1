//! The ready sites that ship with uplift.

use crate::{event::Failure, primitives::contract::suggest};

const SITES: [(&str, &str); 6] = [
    ("busy", include_str!("../../../examples/sites/busy.toml")),
    ("flaky", include_str!("../../../examples/sites/flaky.toml")),
    ("killed", include_str!("../../../examples/sites/killed.toml")),
    ("older", include_str!("../../../examples/sites/older.toml")),
    ("plain", include_str!("../../../examples/sites/plain.toml")),
    ("tight", include_str!("../../../examples/sites/tight.toml")),
];

/// The world file of this name.
pub(super) fn ready(name: &str) -> Result<&'static str, Failure> {
    SITES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text).ok_or_else(|| {
        let known: Vec<_> = SITES.iter().map(|(known, _)| *known).collect();
        let text = format!("there is no ready site `{name}`");
        let hint =
            format!("{} (a file of your own needs its path: `\"./{name}.toml\"`)", suggest(name, &known));
        Failure::new("no_such_site", text).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_ready_site() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sites");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for path in entries.filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(crate::sim::World::written(ready(&name).unwrap()).is_ok(), "{name}");
            count += 1;
        }
        assert_eq!(count, SITES.len());
        assert!(ready("plian").unwrap_err().hint.unwrap().contains("did you mean `plain`?"));
    }
}
