//! Nothing that a primitive can ask for is left without a behaviour that both sides show.

use std::{fs, path::Path};

/// Traits of what a port hands out: what is done with the value counts, whatever its name.
const HANDED_OUT: [&str; 2] = ["LineLog", "SiteLock"];

/// What no behaviour of the suite calls, and why. Read and agreed with.
const LEFT_OUT: [(&str, &str); 1] =
    [("outside.rehearse", "an embedder's own: tests/runbooks/outside.rs shows it")];

struct Method {
    /// The port's name, which is that of its file.
    port: String,
    of: String,
    name: String,
}

/// Methods of the traits in one file, as `rustfmt` writes them.
fn methods(path: &Path) -> Vec<Method> {
    let port = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let (mut of, mut found) = (None, Vec::new());
    for line in fs::read_to_string(path).unwrap().lines() {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            of = rest.split([':', ' ', '<']).next().map(str::to_owned);
        } else if line == "}" {
            of = None;
        }
        let Some(of) = &of else { continue };
        let line = line.strip_prefix("    ").unwrap_or_default();
        if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            let name = rest.split(['(', '<']).next().unwrap().to_owned();
            found.push(Method { port: port.clone(), of: of.clone(), name });
        }
    }
    found
}

fn sources(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// What the behaviours do, without blanks: what only one side is asked in its own tests does not count.
fn suite() -> String {
    let one_sided = ["called", "here", "real", "rehearsal", "world"];
    let suite = sources("tests/contract").into_iter();
    let suite = suite.filter(|path| !one_sided.iter().any(|one| path.ends_with(format!("{one}.rs"))));
    suite
        .flat_map(|path| {
            fs::read_to_string(path).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_question_and_every_change_has_a_behaviour() {
    let suite = suite();
    let all: Vec<_> = sources("src/ports").iter().flat_map(|path| methods(path)).collect();
    for known in ["containers", "swap", "probe", "line", "runs"] {
        assert!(all.iter().any(|method| method.name == known), "`{known}` is one of them");
    }
    let called = |method: &Method| {
        let from = if HANDED_OUT.contains(&method.of.as_str()) { "" } else { &method.port };
        suite.contains(&format!("{from}.{}(", method.name))
    };
    let left: Vec<_> = all.iter().filter(|method| !called(method)).collect();
    let left: Vec<_> = left.iter().map(|method| format!("{}.{}", method.port, method.name)).collect();
    let agreed: Vec<_> = LEFT_OUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(left, agreed, "left: called by no behaviour of `tests/contract`; right: what was agreed on");
}
